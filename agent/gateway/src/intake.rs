//! A request's body on its way in: bounded in size, and in the time that it may stand still.

use crate::refusal::{Kind, Refusal};
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    mem,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep, timeout};

/// How long a body may stand still.
pub(crate) const STANDSTILL: Duration = Duration::from_secs(30);
/// Bytes that earn back a second of it: one that drips is not waited for, however often something comes.
const SLOWEST: u32 = 1 << 10;
/// What is still read of a body that nobody wants, so that the client gets to read why.
const DRAINED: usize = 16 << 20;
/// And for how long.
const DRAINING: Duration = Duration::from_secs(10);

/// Why a body did not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It has more bytes than allowed.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    /// Nothing came for too long, or too little.
    #[error(
        "the request body was waited for {} s in which less than {SLOWEST} bytes a second came",
        STANDSTILL.as_secs()
    )]
    Standstill,
    /// The client hung up or broke the protocol.
    #[error("the request body broke off")]
    Broken,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let kind = match fault {
            Fault::TooLarge(_) => Kind::TooLarge,
            Fault::Standstill => Kind::BodyTimeout,
            Fault::Broken => Kind::Invalid,
        };
        Self::new(kind, fault.to_string())
    }
}

/// Where the fault of a body is found by whoever handed the body on.
pub(crate) type FaultCell = Arc<OnceLock<Fault>>;

/// A bounded body.
pub(crate) struct Intake {
    inner: Body,
    limit: u64,
    taken: u64,
    /// How long it may still be waited for. What this process does with what has come does not count.
    credit: Duration,
    /// Since when it has been waited for.
    waiting: Option<Instant>,
    patience: Pin<Box<Sleep>>,
    fault: FaultCell,
}

impl Intake {
    /// Bounds a body to `limit` bytes. One whose announced length is beyond it is refused before it is read.
    pub(crate) fn new(inner: Body, limit: u64) -> Result<Self, Fault> {
        let announced = inner.size_hint().lower();
        let patience = Box::pin(sleep(STANDSTILL));
        let intake = Self {
            inner,
            limit,
            taken: 0,
            credit: STANDSTILL,
            waiting: None,
            patience,
            fault: FaultCell::default(),
        };
        if announced > limit {
            Err(Fault::TooLarge(limit))
        } else {
            Ok(intake)
        }
    }

    /// Where this body's fault will be found.
    pub(crate) fn fault(&self) -> FaultCell {
        self.fault.clone()
    }

    /// The whole body at once.
    pub(crate) async fn read_whole(self) -> Result<Bytes, Fault> {
        Ok(self.collect().await?.to_bytes())
    }

    fn broken(&self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(Some(Err(*self.fault.get_or_init(|| fault))))
    }

    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), Fault> {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.taken += bytes as u64;
        let waited = self
            .waiting
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        let earned = Duration::from_secs_f64(bytes as f64 / f64::from(SLOWEST));
        self.credit = (self.credit.saturating_sub(waited) + earned).min(STANDSTILL);
        if self.taken > self.limit {
            Err(Fault::TooLarge(self.limit))
        } else {
            Ok(())
        }
    }
}

impl HttpBody for Intake {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Poll::Ready(frame) = pin!(&mut self.inner).poll_frame(cx) {
            return match frame {
                Some(Ok(frame)) => match self.count(&frame) {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(fault) => self.broken(fault),
                },
                Some(Err(_)) => self.broken(Fault::Broken),
                None => Poll::Ready(None),
            };
        }
        if self.waiting.is_none() {
            let now = Instant::now();
            self.waiting = Some(now);
            let until = now + self.credit;
            self.patience.as_mut().reset(until);
        }
        ready!(self.patience.as_mut().poll(cx));
        self.broken(Fault::Standstill)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body of which the rest is read and thrown away, up to a bound, when nobody wants it any more. Else the
/// connection would be closed with unread bytes, which resets it, and the reset may overtake the response that says
/// why the request was refused.
pub(crate) struct Drained {
    inner: Body,
    done: bool,
}

impl Drained {
    /// A body that will not be left unread.
    pub(crate) fn new(inner: Body) -> Self {
        let done = inner.is_end_stream();
        Self { inner, done }
    }
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(pin!(&mut self.inner).poll_frame(cx));
        self.done = !matches!(frame, Some(Ok(_))) || self.inner.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let rest = mem::take(&mut self.inner);
        // While the runtime is being taken down there is nobody left to read to.
        if let (false, Ok(runtime)) = (self.done, tokio::runtime::Handle::try_current()) {
            runtime.spawn(timeout(DRAINING, drain(rest)));
        }
    }
}

async fn drain(mut rest: Body) {
    let mut drained = 0;
    while let Some(Ok(frame)) = rest.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > DRAINED {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use http_body_util::StreamBody;

    #[tokio::test]
    async fn an_announced_length_beyond_the_limit_is_refused_unread() {
        assert_eq!(
            Intake::new(Body::from("12345"), 4).err(),
            Some(Fault::TooLarge(4))
        );
        let whole = Intake::new(Body::from("1234"), 4).unwrap().read_whole().await;
        assert_eq!(whole.unwrap(), "1234");
    }

    fn unannounced(parts: Vec<&'static str>) -> Body {
        let frames = parts
            .into_iter()
            .map(|part| Ok::<_, Fault>(Frame::data(Bytes::from_static(part.as_bytes()))));
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn an_unannounced_length_is_counted() {
        let intake = Intake::new(unannounced(vec!["123", "45"]), 4).unwrap();
        let fault = intake.fault();
        assert_eq!(intake.read_whole().await, Err(Fault::TooLarge(4)));
        assert_eq!(fault.get(), Some(&Fault::TooLarge(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_is_given_up() {
        let never = Body::new(StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, Fault>,
        >()));
        let began = Instant::now();
        assert_eq!(
            Intake::new(never, 4).unwrap().read_whole().await,
            Err(Fault::Standstill)
        );
        assert_eq!(began.elapsed(), STANDSTILL);
    }

    /// So many bytes in every so many seconds, for ever.
    fn dripping(bytes: usize, every: u64) -> Intake {
        let drops = futures_util::stream::repeat_with(move || ()).then(move |()| async move {
            sleep(Duration::from_secs(every)).await;
            Ok::<_, Fault>(Frame::data(Bytes::from(vec![b'x'; bytes])))
        });
        Intake::new(Body::new(StreamBody::new(drops)), 1 << 20).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_and_a_slow_line_is_not() {
        let began = Instant::now();
        assert_eq!(dripping(1, 29).read_whole().await, Err(Fault::Standstill));
        assert!(began.elapsed() < STANDSTILL * 2, "{:?}", began.elapsed());
        let began = Instant::now();
        assert_eq!(dripping(512, 1).read_whole().await, Err(Fault::Standstill));
        assert!(began.elapsed() < STANDSTILL * 3, "{:?}", began.elapsed());
        let all = Err(Fault::TooLarge(1 << 20));
        assert_eq!(dripping(2 << 10, 1).read_whole().await, all);
        assert_eq!(
            dripping(32 << 10, 29).read_whole().await,
            all,
            "it rests, and goes on"
        );
    }
}
