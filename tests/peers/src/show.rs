//! Progress on standard error, so that results on standard output can be piped.

use std::time::Instant;

use ::tests::report::seconds;
use anyhow::Result;
use image::{Event, Progress};

/// Says a line.
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// Runs a step, saying what it is before and how long it took after.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    note(&format!("… {what}"));
    let start = Instant::now();
    let result = work()?;
    note(&format!("ok   {:>7}  {what}", seconds(start.elapsed())));
    Ok(result)
}

/// Runs the set-up's work with its steps told as they come.
pub(crate) fn with_progress<T, E>(work: impl FnOnce(Progress<'_>) -> Result<T, E>) -> Result<T, E> {
    work(Progress::new(&|event| match event {
        Event::Started { step } => note(&format!("… {step}")),
        Event::Finished { step, took, ok } => note(&format!(
            "{} {:>7}  {step}",
            if ok { "ok  " } else { "FAIL" },
            seconds(took)
        )),
        Event::Note { text } => note(&format!("     {text}")),
        Event::Amount { done, total } => {
            note(&format!("     {} of {} MB", done / 1_000_000, total / 1_000_000))
        }
        Event::Line { .. } => {}
    }))
}
