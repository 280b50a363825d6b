//! Who lets speakers in. One who connects anew all the time costs a step and a line of the journal each time, and is
//! kept waiting. Of those who came meanwhile only the newest is let in: the others have gone, or it stands for them.

use super::connection::Connection;
use super::pace::Pace;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

/// Before the next try when nobody can be let in, for example for want of descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits at a listening socket.
#[derive(Debug)]
pub(super) struct Porter {
    listener: UnixListener,
    pace: Pace,
    /// Nobody is let in before.
    opens_at: Instant,
}

impl Porter {
    pub(super) fn new(listener: UnixListener) -> Self {
        Self {
            listener,
            pace: Pace::of_connections(),
            opens_at: Instant::now(),
        }
    }

    /// Waits for the next speaker. It can be dropped while it waits; nothing is lost by that.
    pub(super) async fn admit(&mut self) -> Connection {
        loop {
            sleep_until(self.opens_at).await;
            match Connection::accept(&self.listener).await {
                Ok(speaker) => {
                    let now = Instant::now();
                    self.opens_at = self.pace.take(now).unwrap_or(now);
                    return speaker;
                }
                Err(error) => {
                    warn!(
                        "cannot let anybody in at {:?}: {error}",
                        self.listener.local_addr().ok()
                    );
                    self.opens_at = Instant::now() + PAUSE;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[tokio::test(start_paused = true)]
    async fn of_those_who_were_kept_waiting_the_newest_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door");
        let mut porter = Porter::new(UnixListener::bind(&path).unwrap());
        for _ in 0..8 {
            drop(UnixStream::connect(&path).unwrap());
            porter.admit().await;
        }
        for _ in 0..50 {
            drop(UnixStream::connect(&path).unwrap());
        }
        let mut newest = UnixStream::connect(&path).unwrap();
        newest.write_all(b"here").unwrap();
        let begin = Instant::now();
        let packet = porter.admit().await.newest().await.unwrap();
        assert_eq!(packet.unwrap().bytes(), b"here");
        assert!(begin.elapsed() <= Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_anew_all_the_time_is_kept_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door");
        let mut porter = Porter::new(UnixListener::bind(&path).unwrap());
        let begin = Instant::now();
        for count in 1..=20 {
            drop(UnixStream::connect(&path).unwrap());
            porter.admit().await;
            if count == 8 {
                assert_eq!(begin.elapsed(), Duration::ZERO, "a few are no flood");
            }
        }
        assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}
