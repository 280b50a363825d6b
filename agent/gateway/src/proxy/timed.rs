//! An answer whose times are noted as it passes.

use crate::metrics::Measured;
use api::openai::{ChatChunk, ChunkChoice};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Deserialize;
use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

/// The longest answer that is looked through for its model, in bytes.
const LONGEST: usize = 256 << 10;

/// An answer that is timed. One that is cut short is not counted.
pub(super) struct Timed {
    inner: Body,
    began: Instant,
    measured: Arc<Measured>,
    seen: Seen,
    ended: bool,
}

/// What an answer has told of itself.
enum Seen {
    /// One that comes as a whole: what has come of it.
    Whole(BytesMut),
    /// One that comes as events, of which none had text yet. The engine says who speaks as soon as there is a slot, long
    /// before the prompt is read.
    NoText,
    /// One that has begun: its model.
    Text(String),
}

/// Of an answer, who has given it.
#[derive(Deserialize)]
struct Named {
    model: String,
}

impl Timed {
    /// An answer to a request that came then.
    pub(super) fn new(inner: Body, began: Instant, measured: Arc<Measured>, is_stream: bool) -> Self {
        let seen = if is_stream {
            Seen::NoText
        } else {
            Seen::Whole(BytesMut::new())
        };
        Self {
            inner,
            began,
            measured,
            seen,
            ended: false,
        }
    }

    fn look_at(&mut self, data: &[u8]) {
        match &mut self.seen {
            Seen::Whole(whole) => {
                let room = LONGEST - whole.len();
                whole.extend_from_slice(&data[..data.len().min(room)]);
            }
            Seen::NoText => {
                if let Some(model) = speaker(data) {
                    self.measured.of(&model).first_token.observe(self.began.elapsed());
                    self.seen = Seen::Text(model);
                }
            }
            Seen::Text(_) => (),
        }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            let model = self.seen.model();
            self.measured.of(&model).whole.observe(self.began.elapsed());
        }
    }
}

impl Seen {
    /// The model; empty where the answer does not say.
    fn model(&self) -> String {
        match self {
            Self::Whole(whole) => {
                serde_json::from_slice(whole).map_or_else(|_| String::new(), |Named { model }| model)
            }
            Self::NoText => String::new(),
            Self::Text(model) => model.clone(),
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
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.look_at(data);
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

/// The model of the first of these events, which are whole, that has text of the answer.
fn speaker(events: &[u8]) -> Option<String> {
    let lines = events.split(|byte| *byte == b'\n');
    let mut chunks =
        lines.filter_map(|line| serde_json::from_slice::<ChatChunk>(line.strip_prefix(b"data: ")?).ok());
    let is_text = |choice: &ChunkChoice| choice.delta.content.as_ref().is_some_and(|text| !text.is_empty());
    Some(chunks.find(|chunk| chunk.choices.iter().any(is_text))?.model)
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
            assert_eq!(speaker(none.as_bytes()), None, "{none}");
        }
        for some in [text.clone(), role + &text] {
            assert_eq!(speaker(some.as_bytes()).as_deref(), Some("m"), "{some}");
        }
    }
}
