//! Server-sent events on their way to the client: only whole ones, and a last one that says so if the engine ends in
//! the middle of its answer.

use super::upstream::BrokenOff;
use crate::refusal::Kind;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// An event that grows beyond this is passed on in pieces.
const LARGEST_HELD: usize = 64 << 10;

/// A stream of events. An event is held back until its empty line has come, so that a broken one is never followed by
/// the error event, which clients would read as its continuation. inferd writes events whole, so nothing waits.
pub(crate) struct Events<B> {
    inner: B,
    tail: BytesMut,
    ended: bool,
}

impl<B> Events<B> {
    /// The events of a body.
    pub(crate) fn new(inner: B) -> Self {
        Self {
            inner,
            tail: BytesMut::new(),
            ended: false,
        }
    }

    /// The events that `data` completes, as far as any.
    fn completed(&mut self, data: Bytes) -> Option<Bytes> {
        if self.tail.is_empty() && whole_length(&data) == data.len() {
            return Some(data).filter(|data| !data.is_empty());
        }
        self.tail.extend_from_slice(&data);
        let length = match whole_length(&self.tail) {
            0 if self.tail.len() > LARGEST_HELD => self.tail.len(),
            length => length,
        };
        (length > 0).then(|| self.tail.split_to(length).freeze())
    }

    /// What follows the last event: nothing after an orderly end but what was held back.
    fn last(&mut self, broken: Option<BrokenOff>) -> Option<Bytes> {
        self.ended = true;
        match broken {
            None => Some(self.tail.split().freeze()).filter(|rest| !rest.is_empty()),
            Some(broken) => Some(error_event(&broken)),
        }
    }
}

impl<B> HttpBody for Events<B>
where
    B: HttpBody<Data = Bytes, Error = BrokenOff> + Unpin,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        while !this.ended {
            let data = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                // Trailers are not passed on: no client of events reads them.
                Some(Ok(frame)) => frame.into_data().ok().and_then(|data| this.completed(data)),
                Some(Err(broken)) => this.last(Some(broken)),
                None => this.last(None),
            };
            if let Some(data) = data {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        Poll::Ready(None)
    }
}

/// The length of the events that are whole: up to the last empty line.
fn whole_length(data: &[u8]) -> usize {
    let ends = |at: &usize| data[..*at].ends_with(b"\n\n") || data[..*at].ends_with(b"\n\r\n");
    (1..=data.len()).rev().find(ends).unwrap_or(0)
}

fn error_event(broken: &BrokenOff) -> Bytes {
    let body = Kind::EngineLost.openai(broken.to_string());
    // Strings alone always become JSON.
    let json = serde_json::to_string(&body).unwrap_or_default();
    Bytes::from(format!("data: {json}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};
    use proptest::prelude::*;

    fn events(
        parts: Vec<Result<Bytes, BrokenOff>>,
    ) -> Events<impl HttpBody<Data = Bytes, Error = BrokenOff> + Unpin> {
        let frames = parts.into_iter().map(|part| part.map(Frame::data));
        Events::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    fn chunks(parts: Vec<Result<&'static str, BrokenOff>>) -> Vec<String> {
        let mut events = events(parts.into_iter().map(|part| part.map(Bytes::from)).collect());
        let mut chunks = Vec::new();
        while let Some(Some(Ok(frame))) = futures_util::FutureExt::now_or_never(events.frame()) {
            chunks.push(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap());
        }
        chunks
    }

    #[test]
    fn whole_events_pass_as_they_come() {
        let parts = ["data: a\n\n", "data: b\n\ndata: c\n\n", "data: d\r\n\r\n"];
        assert_eq!(chunks(parts.map(Ok).into()), parts);
    }

    #[test]
    fn a_piece_waits_for_its_rest_and_an_orderly_end_loses_nothing() {
        let parts = vec![Ok("data: a\n\nda"), Ok("ta: b\n"), Ok("\nda"), Ok("ta")];
        assert_eq!(chunks(parts), ["data: a\n\n", "data: b\n\n", "data"]);
    }

    #[test]
    fn after_a_broken_event_comes_the_error_alone() {
        let got = chunks(vec![
            Ok("data: a\n\ndata: {\"half"),
            Err(BrokenOff::Silent),
            Ok("data: never\n\n"),
        ]);
        assert_eq!(got.len(), 2);
        assert_eq!(got[0], "data: a\n\n");
        let json = got[1]
            .strip_prefix("data: ")
            .unwrap()
            .strip_suffix("\n\n")
            .unwrap();
        let body: api::openai::ErrorBody = serde_json::from_str(json).unwrap();
        assert_eq!(body.error.kind, "server_error");
    }

    #[test]
    fn an_endless_event_is_not_held_for_ever() {
        let half = Bytes::from(vec![b'x'; LARGEST_HELD / 2 + 1]);
        let mut events = events(vec![]);
        assert_eq!(events.completed(half.clone()), None);
        assert_eq!(events.completed(half).unwrap().len(), LARGEST_HELD + 2);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_reordered(parts in proptest::collection::vec("[a\r\n]{0,6}", 0..12)) {
            let expected = parts.concat();
            let mut events = events(parts.into_iter().map(|part| Ok(Bytes::from(part))).collect());
            let mut got = Vec::new();
            while let Some(Some(Ok(frame))) = futures_util::FutureExt::now_or_never(events.frame()) {
                got.extend_from_slice(&frame.into_data().unwrap());
            }
            prop_assert_eq!(String::from_utf8(got).unwrap(), expected);
        }
    }
}
