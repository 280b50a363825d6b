//! What long work tells its caller. The library prints nothing: whoever runs it decides where the words go.

use std::time::{Duration, Instant};

/// One thing worth showing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// A step begins.
    Started {
        /// What it does, in the imperative: `build the tools tree`.
        step: &'a str,
    },
    /// The latest line that an outside program wrote.
    Line {
        /// Without its line end.
        text: &'a str,
    },
    /// How far the step is.
    Amount {
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Something the reader should know.
    Note {
        /// One sentence.
        text: &'a str,
    },
    /// A step ended.
    Finished {
        /// As in [`Event::Started`].
        step: &'a str,
        /// Wall time.
        took: Duration,
        /// Whether it did what it should.
        ok: bool,
    },
}

/// Carries events to a sink.
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    sink: &'a dyn Fn(Event<'_>),
}

impl<'a> Progress<'a> {
    /// Sends every event to `sink`.
    pub fn new(sink: &'a dyn Fn(Event<'_>)) -> Self {
        Self { sink }
    }

    /// Drops every event.
    pub fn silent() -> Progress<'static> {
        Progress { sink: &|_| {} }
    }

    /// Runs `work` as a step of its own, timed.
    pub fn step<T, E>(&self, step: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        (self.sink)(Event::Started { step });
        let begun = Instant::now();
        let result = work();
        (self.sink)(Event::Finished {
            step,
            took: begun.elapsed(),
            ok: result.is_ok(),
        });
        result
    }

    /// Tells the latest line of a program's output.
    pub fn line(&self, text: &str) {
        (self.sink)(Event::Line { text });
    }

    /// Tells how many of `total` bytes are done.
    pub fn amount(&self, done: u64, total: u64) {
        (self.sink)(Event::Amount { done, total });
    }

    /// Tells the reader something.
    pub fn note(&self, text: &str) {
        (self.sink)(Event::Note { text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_failed_step_is_told_as_failed() {
        let seen = RefCell::new(Vec::new());
        let sink = |event: Event<'_>| {
            if let Event::Finished { step, ok, .. } = event {
                seen.borrow_mut().push((step.to_owned(), ok));
            }
        };
        let progress = Progress::new(&sink);
        assert_eq!(progress.step("good", || Ok::<_, ()>(1)), Ok(1));
        assert_eq!(progress.step("bad", || Err::<(), _>("no")), Err("no"));
        assert_eq!(
            *seen.borrow(),
            [("good".to_owned(), true), ("bad".to_owned(), false)]
        );
    }
}
