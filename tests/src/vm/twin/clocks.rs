//! The clocks that the guest has chosen: each P-state that it writes to a port comes out of a socket as a byte.

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

/// Megahertz in one step of the byte.
const STEP: f64 = 100.0;

/// A change of a processor's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    at: Instant,
    megahertz: f64,
}

/// Time that a processor spent at a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) megahertz: f64,
    pub(super) seconds: f64,
}

/// What QEMU has told of a clock.
type Told = Mutex<Result<Vec<Change>, String>>;

/// One processor's clock: its changes since it was last asked, or why nobody hears of them.
#[derive(Clone, Debug)]
pub(super) struct Clock(Arc<Told>);

impl Clock {
    /// A clock that starts at `megahertz`, listening where QEMU will connect, and reading until QEMU ends.
    pub(super) fn listen(socket: &Path, megahertz: f64) -> Result<Self> {
        remove_old(socket)?;
        let listener =
            UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
        let clock = Self::at(Instant::now(), megahertz);
        let changes = Arc::clone(&clock.0);
        let name = socket.file_name().map(|name| name.to_string_lossy().into_owned());
        let builder = thread::Builder::new().name(name.unwrap_or_default());
        builder
            .spawn(move || listen(&listener, &changes))
            .context("cannot start a thread")?;
        Ok(clock)
    }

    fn at(at: Instant, megahertz: f64) -> Self {
        Self(Arc::new(Mutex::new(Ok(vec![Change { at, megahertz }]))))
    }

    /// Every clock since it was last asked, and for how long; forgets them.
    pub(super) fn take(&self, now: Instant) -> Result<Vec<Span>> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = told.as_mut().map_err(|error| anyhow!(error.clone()))?;
        let Some(last) = changes.last().copied() else {
            return Ok(Vec::new());
        };
        let ends = changes.iter().skip(1).map(|change| change.at).chain([now]);
        let span = |(change, end): (&Change, Instant)| Span {
            megahertz: change.megahertz,
            seconds: end.saturating_duration_since(change.at).as_secs_f64(),
        };
        let spans = changes.iter().zip(ends).map(span).collect();
        *changes = vec![Change {
            at: now.max(last.at),
            megahertz: last.megahertz,
        }];
        Ok(spans)
    }
}

/// The mean of something over spans, by time.
pub(super) fn mean(spans: &[Span], of: impl Fn(f64) -> f64) -> f64 {
    let whole: f64 = spans.iter().map(|span| span.seconds).sum();
    if whole <= 0.0 {
        return spans.last().map_or(0.0, |span| of(span.megahertz));
    }
    spans
        .iter()
        .map(|span| of(span.megahertz) * span.seconds / whole)
        .sum()
}

/// A boot that is tried again finds the socket of the one before.
fn remove_old(socket: &Path) -> Result<()> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", socket.display()))
        }
        _ => Ok(()),
    }
}

fn listen(listener: &UnixListener, told: &Told) {
    let read = listener.accept().and_then(|(stream, _)| read(stream, told));
    if let Err(error) = read {
        *told.lock().unwrap_or_else(PoisonError::into_inner) =
            Err(format!("a processor's clock is not heard: {error}"));
    }
}

/// Reads until QEMU ends.
fn read(mut stream: UnixStream, told: &Told) -> std::io::Result<()> {
    let mut bytes = [0; 256];
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        let at = Instant::now();
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(changes) = told.as_mut() {
            changes.extend(bytes[..count].iter().map(|byte| Change {
                at,
                megahertz: f64::from(*byte) * STEP,
            }));
        }
    }
}

/// Where processor `number`'s socket lies.
pub(super) fn socket(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("clock{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    #[test]
    fn time_is_shared_out_among_clocks() {
        let start = Instant::now();
        let clock = Clock::at(start, 3200.0);
        let change = |after, megahertz| Change {
            at: start + Duration::from_secs(after),
            megahertz,
        };
        clock.0.lock().unwrap().as_mut().unwrap().push(change(3, 800.0));
        let spans = clock.take(start + Duration::from_secs(4)).unwrap();
        assert_eq!(mean(&spans, |megahertz| megahertz), 2600.0);
        let spans = clock.take(start + Duration::from_secs(6)).unwrap();
        assert_eq!(mean(&spans, |megahertz| megahertz), 800.0);
    }

    #[test]
    fn no_time_at_all_is_spent_at_the_last_clock() {
        let now = Instant::now();
        let clock = Clock::at(now, 1200.0);
        assert_eq!(mean(&clock.take(now).unwrap(), |megahertz| megahertz), 1200.0);
    }

    #[test]
    fn what_qemu_writes_is_a_clock() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket(folder.path(), 0);
        let clock = Clock::listen(&path, 3200.0).unwrap();
        UnixStream::connect(&path).unwrap().write_all(&[16]).unwrap();
        let changed = || Ok((clock.0.lock().unwrap().as_ref().unwrap().len() == 2).then_some(()));
        crate::wait::until("the byte", Duration::from_secs(10), changed).unwrap();
        assert_eq!(
            clock.take(Instant::now()).unwrap().last().unwrap().megahertz,
            1600.0
        );
    }
}
