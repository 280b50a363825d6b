//! An answer whose times are noted as it passes.

use crate::metrics::Measured;
use api::openai::ChatChunk;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

/// An answer that is timed. One that is cut short is not counted.
pub(super) struct Timed {
    inner: Body,
    began: Instant,
    measured: Arc<Measured>,
    /// Whether the first text of a stream is still to come. The engine says who speaks as soon as there is a slot, long
    /// before the prompt is read.
    awaits_text: bool,
    ended: bool,
}

impl Timed {
    /// An answer to a request that came then.
    pub(super) fn new(inner: Body, began: Instant, measured: Arc<Measured>, is_stream: bool) -> Self {
        Self {
            inner,
            began,
            measured,
            awaits_text: is_stream,
            ended: false,
        }
    }

    fn look_for_text(&mut self, frame: &Frame<Bytes>) {
        if self.awaits_text && frame.data_ref().is_some_and(|data| has_text(data)) {
            self.awaits_text = false;
            self.measured.first_token.observe(self.began.elapsed());
        }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.measured.whole.observe(self.began.elapsed());
        }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(pin!(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.look_for_text(frame);
        }
        // Whoever asks does not ask again after a body that says itself that it has ended.
        if frame.is_none() || matches!(frame, Some(Ok(_))) && self.inner.is_end_stream() {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Whether one of these events, which are whole, has text of the answer.
fn has_text(events: &[u8]) -> bool {
    let lines = events.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice::<ChatChunk>(line.strip_prefix(b"data: ")?).ok())
        .flat_map(|chunk| chunk.choices)
        .any(|choice| choice.delta.content.is_some_and(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(delta: &str) -> String {
        format!(
            r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
        ) + "\n\n"
    }

    #[test]
    fn who_speaks_and_that_it_is_over_is_no_text() {
        let role = event(r#"{"role":"assistant","content":""}"#);
        let text = event(r#"{"content":"Hi"}"#);
        let (usage, error) = (r#"data: {"choices":[]}"#, r#"data: {"error":{"message":"no"}}"#);
        for none in [
            "",
            ": alive\n\n",
            "data: [DONE]\n\n",
            &role,
            &event("{}"),
            usage,
            error,
        ] {
            assert!(!has_text(none.as_bytes()), "{none}");
        }
        for some in [text.clone(), role + &text] {
            assert!(has_text(some.as_bytes()), "{some}");
        }
    }
}
