//! Trying again what one lost packet has broken.

use crate::{client::ClientError, screen};
use anyhow::Context;
use indicatif::ProgressBar;
use std::time::Duration;
use tokio::time::sleep;

/// How long to wait after each failure in a row, in seconds; after the last it is given up.
const WAITS: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// How much has failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: usize,
}

impl Patience {
    /// After a failure: waits, and says so beside the bar. An error that does not pass is given back, and so is the last of
    /// too many, with the way out.
    pub(crate) async fn endure(
        &mut self,
        error: ClientError,
        bar: &ProgressBar,
        way_out: &str,
    ) -> anyhow::Result<()> {
        if !error.is_passing() {
            return Err(error.into());
        }
        let Some(seconds) = WAITS.get(self.failures) else {
            return Err(error).context(way_out.to_owned());
        };
        self.failures += 1;
        let why = screen::one_line(&error.to_string());
        bar.println(format!("{why}; trying again in {seconds} s"));
        sleep(Duration::from_secs(*seconds)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use hyper::StatusCode;
    use tokio::time::Instant;

    fn refused(status: StatusCode) -> ClientError {
        ClientError::Refused {
            endpoint: Endpoint::Socket("/run/x".into()),
            status,
            message: "no".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_a_minute_and_then_the_way_out_is_told() {
        let (begin, bar) = (Instant::now(), ProgressBar::hidden());
        let mut patience = Patience::default();
        let passing = || refused(StatusCode::TOO_MANY_REQUESTS);
        let mut waits = 0;
        let given_up = loop {
            match patience.endure(passing(), &bar, "come back").await {
                Ok(()) => waits += 1,
                Err(error) => break format!("{error:#}"),
            }
        };
        assert_eq!((waits, begin.elapsed().as_secs()), (WAITS.len(), 63));
        assert!(given_up.starts_with("come back: "), "{given_up}");
    }

    #[tokio::test]
    async fn what_does_not_pass_is_told_at_once() {
        let lasting = refused(StatusCode::NOT_FOUND);
        let told = Patience::default()
            .endure(lasting, &ProgressBar::hidden(), "come back")
            .await;
        let told = format!("{:#}", told.unwrap_err());
        assert!(!told.contains("come back") && told.contains("404"), "{told}");
    }
}
