//! Named checks with their results and times, and tables.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use comfy_table::{ContentArrangement, Table};
use image::{Event, Progress};

/// The checks of one run. All run, whatever becomes of those before; the end tells what failed.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failures: Vec<String>,
}

impl Report {
    /// No check yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a check and prints its line. What it returns is the figure or fact that it saw, shown beside its name.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result<String>) -> bool {
        let start = Instant::now();
        let result = check();
        self.record(name, start.elapsed(), result)
    }

    /// Counts a result that was had elsewhere, and prints its line.
    pub fn record(&mut self, name: &str, took: Duration, result: Result<String>) -> bool {
        let passed = result.is_ok();
        let note = match &result {
            Ok(note) if note.is_empty() => String::new(),
            Ok(note) => format!(": {note}"),
            Err(error) => format!(": {error:#}"),
        };
        say(&format!("{} {:>7}  {name}{note}", mark(passed), seconds(took)));
        self.count(name, passed);
        passed
    }

    fn count(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failures.push(name.to_owned());
        }
    }

    /// Counts checks that another program ran and printed.
    pub fn add(&mut self, passed: usize, failed: Vec<String>) {
        self.passed += passed;
        self.failures.extend(failed);
    }

    /// How many passed.
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// The names of those that failed.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Prints the failures' names and the closing line. The exit code is 1 if a check failed or none ran.
    pub fn finish(&self) -> ExitCode {
        for name in &self.failures {
            say(&format!("failed: {name}"));
        }
        say(&format!("{} passed, {} failed", self.passed, self.failures.len()));
        self.verdict()
    }

    fn verdict(&self) -> ExitCode {
        if self.failures.is_empty() && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// How a program ends: as it says, or with a line that tells what went wrong.
pub fn exit_code(outcome: Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Prints one line at once, even into a pipe. A reader that has gone away is no reason to stop testing.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Runs a step, telling what it is before and how long it took after.
pub fn step<T>(what: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    say(&format!("… {what}"));
    let start = Instant::now();
    let result = step()?;
    say(&format!("{} {:>7}  {what}", mark(true), seconds(start.elapsed())));
    Ok(result)
}

/// Runs the image builder's work with its steps told as they come. What outside programs write stays in their logs.
pub fn with_progress<T, E>(
    work: impl FnOnce(Progress<'_>) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    work(Progress::new(&|event| match event {
        Event::Started { step } => say(&format!("… {step}")),
        Event::Finished { step, took, ok } => say(&format!("{} {:>7}  {step}", mark(ok), seconds(took))),
        Event::Note { text } => say(&format!("     {text}")),
        Event::Line { .. } | Event::Amount { .. } => {}
    }))
}

/// A table as text, in Markdown.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.add_rows(rows);
    table.to_string()
}

/// A time for people: `12.3 s`.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn mark(good: bool) -> &'static str {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match (good, colour) {
        (true, true) => "\u{1b}[32mok  \u{1b}[0m",
        (false, true) => "\u{1b}[31mFAIL\u{1b}[0m",
        (true, false) => "ok  ",
        (false, false) => "FAIL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_among_others_fails_the_run() {
        let mut report = Report::new();
        report.count("good", true);
        assert_eq!(report.verdict(), ExitCode::SUCCESS);
        report.count("bad", false);
        report.count("good", true);
        assert_eq!((report.passed(), report.failures()), (2, &["bad".to_owned()][..]));
        assert_eq!(report.verdict(), ExitCode::FAILURE);
    }

    #[test]
    fn no_check_at_all_is_a_failure() {
        assert_eq!(Report::new().verdict(), ExitCode::FAILURE);
    }
}
