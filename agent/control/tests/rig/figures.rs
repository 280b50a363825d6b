//! What a run is judged by.

use super::{Point, TARGET, TICK};

/// A figure and what it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) limit: Limit,
}

/// What a figure may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(crate) fn at_most(name: &'static str, value: f64, limit: f64) -> Self {
        Self {
            name,
            value,
            limit: Limit::AtMost(limit),
        }
    }

    pub(crate) fn at_least(name: &'static str, value: f64, limit: f64) -> Self {
        Self {
            name,
            value,
            limit: Limit::AtLeast(limit),
        }
    }

    pub(crate) fn holds(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.value <= limit,
            Limit::AtLeast(limit) => self.value >= limit,
        }
    }
}

/// The most that the die was above the target, in K.
pub(crate) fn over(run: &[Point]) -> f64 {
    dies(run).1 - TARGET
}

/// Peak to peak of the die in the second half, in K.
pub(crate) fn swing(run: &[Point]) -> f64 {
    let (low, high) = dies(second_half(run));
    high - low
}

/// The mean clock, in kHz.
pub(crate) fn mean_clock(run: &[Point]) -> f64 {
    run.iter().map(|point| point.clock).sum::<f64>() / run.len().max(1) as f64
}

/// The lowest mean clock over 2 s, in kHz.
pub(crate) fn lowest_clock(run: &[Point]) -> f64 {
    run.chunks_exact((2.0 / TICK) as usize)
        .map(mean_clock)
        .fold(f64::INFINITY, f64::min)
}

pub(crate) fn second_half(run: &[Point]) -> &[Point] {
    &run[run.len() / 2..]
}

fn dies(run: &[Point]) -> (f64, f64) {
    let widen = |(low, high): (f64, f64), point: &Point| (low.min(point.die), high.max(point.die));
    run.iter().fold((f64::INFINITY, f64::NEG_INFINITY), widen)
}
