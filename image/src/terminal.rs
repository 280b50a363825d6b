//! Showing progress on standard error: a moving line on a terminal, plain lines elsewhere. Results go to standard
//! output, so that they can be piped.

use std::cell::RefCell;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use image::Event;
use indicatif::{ProgressBar, ProgressStyle};

/// How long plain output may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Where progress is drawn.
pub(crate) struct Terminal {
    lively: bool,
    steps: RefCell<Vec<Step>>,
}

/// A step that is running. One may run inside another.
struct Step {
    name: String,
    bar: Option<ProgressBar>,
    begun: Instant,
    spoken: Instant,
}

impl Terminal {
    /// Lively on a terminal, plain elsewhere.
    pub(crate) fn new() -> Self {
        Self {
            lively: stderr().is_terminal(),
            steps: RefCell::default(),
        }
    }

    /// Shows one event.
    pub(crate) fn show(&self, event: Event<'_>) {
        match event {
            Event::Started { step } => self.start(step),
            Event::Line { text } => self.line(text),
            Event::Amount { done, total } => self.amount(done, total),
            Event::Note { text } => self.print(text),
            Event::Finished { step, took, ok } => self.finish(step, took, ok),
        }
    }

    /// Shows what everything ended with.
    pub(crate) fn fail(&self, error: &anyhow::Error) {
        self.print(&format!("error: {error:#}"));
    }

    fn start(&self, name: &str) {
        let bar = self.lively.then(|| spinner(name));
        if !self.lively {
            eprintln!("==> {name}");
        }
        let now = Instant::now();
        self.steps.borrow_mut().push(Step {
            name: name.to_owned(),
            bar,
            begun: now,
            spoken: now,
        });
    }

    fn line(&self, text: &str) {
        let mut steps = self.steps.borrow_mut();
        let Some(step) = steps.last_mut() else { return };
        match &step.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if step.spoken.elapsed() > SILENCE => {
                step.spoken = Instant::now();
                eprintln!(
                    "    {} ({:.0} s): {text}",
                    step.name,
                    step.begun.elapsed().as_secs_f64()
                );
            }
            None => {}
        }
    }

    fn amount(&self, done: u64, total: u64) {
        let mut steps = self.steps.borrow_mut();
        let Some(step) = steps.last_mut() else { return };
        match &step.bar {
            Some(bar) => {
                if bar.length() != Some(total) {
                    bar.set_length(total);
                    bar.set_style(style(
                        "{bar:30} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left",
                    ));
                }
                bar.set_position(done);
            }
            None if step.spoken.elapsed() > SILENCE => {
                step.spoken = Instant::now();
                eprintln!("    {}: {} %", step.name, done * 100 / total.max(1));
            }
            None => {}
        }
    }

    fn finish(&self, name: &str, took: Duration, ok: bool) {
        let step = self.steps.borrow_mut().pop();
        if let Some(bar) = step.and_then(|step| step.bar) {
            bar.finish_and_clear();
        }
        let mark = if ok { "ok" } else { "failed" };
        self.print(&format!("{mark:>6} {:>7.1} s  {name}", took.as_secs_f64()));
    }

    /// Prints above what moves.
    fn print(&self, text: &str) {
        match self.steps.borrow().last().and_then(|step| step.bar.as_ref()) {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

fn spinner(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(name.to_owned());
    bar.set_style(style("{elapsed} {wide_msg:.dim}"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn style(rest: &str) -> ProgressStyle {
    // A template that does not parse would be a mistake in this file; the default is shown then.
    ProgressStyle::with_template(&format!("{{spinner}} {{prefix}}  {rest}"))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
