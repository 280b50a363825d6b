//! An answer whose times are noted as it passes.

use crate::metrics::Measured;
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
    /// Whether the first piece of a stream is still to come.
    awaits_first: bool,
    ended: bool,
}

impl Timed {
    /// An answer to a request that came then.
    pub(super) fn new(inner: Body, began: Instant, measured: Arc<Measured>, is_stream: bool) -> Self {
        Self {
            inner,
            began,
            measured,
            awaits_first: is_stream,
            ended: false,
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
        if matches!(frame, Some(Ok(_))) && std::mem::take(&mut self.awaits_first) {
            self.measured.first_token.observe(self.began.elapsed());
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
