//! Rows of one length, as many as fit into a span.

use super::PHASES;
use super::mean::{Mean, NUMBERS, numbers, row};
use api::samples::Row;
use std::collections::VecDeque;

/// A row as it is kept: 28 bytes instead of 64, for there are thousands.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// Unix seconds, which fit until 2106.
    time: u32,
    /// Not a number: not measured.
    numbers: [f32; NUMBERS],
    /// The place in [`PHASES`]; beyond it: none.
    phase: u8,
}

impl Packed {
    fn new(row: &Row) -> Self {
        let place = PHASES.iter().position(|phase| Some(*phase) == row.phase);
        Self {
            time: u32::try_from(row.time).unwrap_or(u32::MAX),
            numbers: numbers(row).map(|number| number.unwrap_or(f32::NAN)),
            phase: place.unwrap_or(PHASES.len()) as u8,
        }
    }

    fn row(&self) -> Row {
        let measured = self.numbers.map(|number| (!number.is_nan()).then_some(number));
        row(
            self.time.into(),
            measured,
            PHASES.get(usize::from(self.phase)).copied(),
        )
    }
}

/// Rows, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    step: u64,
    span: u64,
    rows: VecDeque<Packed>,
    /// When the row begins that is being gathered, and what has come of it.
    open: (u64, Mean),
}

impl Ring {
    pub(super) fn new(step: u64, span: u64) -> Self {
        Self {
            step,
            span,
            rows: VecDeque::new(),
            open: (0, Mean::default()),
        }
    }

    pub(super) fn step(&self) -> u64 {
        self.step
    }

    pub(super) fn span(&self) -> u64 {
        self.span
    }

    /// Takes a reading in that stood for so many seconds.
    pub(super) fn take(&mut self, reading: &Row, stood: u64) {
        let begin = reading.time - reading.time % self.step;
        if begin != self.open.0 {
            self.close();
            self.open = (begin, Mean::default());
        }
        self.open.1.take(reading, stood);
    }

    /// Forgets what is too old, and what lies ahead because the clock was set back.
    pub(super) fn forget(&mut self, now: u64) {
        if self.open.0 > now {
            self.open = (0, Mean::default());
        }
        let begin = now - now % self.step;
        while self.rows.back().is_some_and(|row| u64::from(row.time) >= begin) {
            self.rows.pop_back();
        }
        let oldest = now.saturating_sub(self.span);
        while self.rows.front().is_some_and(|row| u64::from(row.time) < oldest) {
            self.rows.pop_front();
        }
    }

    /// Puts a row back that was here before.
    pub(super) fn bring_back(&mut self, row: &Row) {
        self.rows.push_back(Packed::new(row));
    }

    /// All rows, the one that is being gathered included.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let (begin, mean) = &self.open;
        self.rows.iter().map(Packed::row).chain(mean.row(*begin))
    }

    fn close(&mut self) {
        let (begin, mean) = &self.open;
        let is_next = self.rows.back().is_none_or(|last| u64::from(last.time) < *begin);
        if let Some(row) = mean.row(*begin).filter(|_| is_next) {
            self.rows.push_back(Packed::new(&row));
        }
    }
}
