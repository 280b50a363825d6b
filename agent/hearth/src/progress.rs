//! How far something is, shown where somebody looks, and only there; wiped away however the work ends, by Ctrl-C too.

use api::jobs::JobProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

const BAR: &str = "{msg:>9} {bar:40} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
const SPINNER: &str = "{msg:>9} {spinner} {binary_bytes} {binary_bytes_per_sec}";
const BUSY: &str = "{msg:>9} {spinner} {elapsed}";
/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(250);

/// A bar on standard error.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Of so many bytes, or of an unknown number, with a word for what is done with them.
    pub(crate) fn new(total: Option<u64>, word: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let style = style(if total.is_some() { BAR } else { SPINNER });
        Self(bar.with_style(style).with_message(word))
    }

    /// What counts on it from elsewhere.
    pub(crate) fn counter(&self) -> ProgressBar {
        self.0.clone()
    }

    /// So much is done of all, with a word for what is done now.
    pub(crate) fn advance(&self, word: &'static str, done: u64, total: u64) {
        if self.0.message() != word {
            self.0.reset();
            self.0.set_style(style(BAR));
            self.0.set_message(word);
        }
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// How far a job is, if it tells.
    pub(crate) fn show(&self, progress: &Option<JobProgress>) {
        match progress.as_ref().filter(|progress| progress.total > 0) {
            Some(progress) => self.advance("working", progress.done, progress.total),
            None => {
                self.0.set_style(style(BUSY));
                self.0.enable_steady_tick(TICK);
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
