//! How fast tokens come.

use machine::{BootTime, EngineSample};

/// What is discarded after a change: the clock needs a moment, and the token under way belongs to both.
const SETTLE_USEC: u64 = 250_000;

/// A speed that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Speed {
    /// Seconds per token.
    pub(super) seconds: f64,
    /// Its standard error, relative.
    pub(super) error: f64,
    /// Tokens that it rests on.
    pub(super) tokens: f64,
    /// Mean depth of the KV cache meanwhile.
    pub(super) depth: f64,
    /// When the last of them came.
    pub(super) at: BootTime,
    /// Power of the processor's package meanwhile, where it is metered.
    pub(super) watts: Option<f64>,
}

impl Speed {
    /// Joules per token.
    pub(super) fn joules(&self) -> Option<f64> {
        self.watts.map(|watts| watts * self.seconds)
    }
}

/// Sums over the records since the clock was last changed, with what interrupts them left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    since: BootTime,
    before: Option<(BootTime, u64)>,
    energy: Option<(BootTime, u64)>,
    microjoules: f64,
    metered_usec: f64,
    skipped: bool,
    tokens: f64,
    seconds: f64,
    depth: f64,
    /// For the spread of seconds per token between records: Σ n and Σ n·x² of those that brought tokens.
    squares: f64,
    records: f64,
    last: BootTime,
}

impl Meter {
    /// One that begins now.
    pub(super) fn begin(now: BootTime) -> Self {
        Self {
            since: now,
            ..Self::default()
        }
    }

    /// What comes next does not follow on what came before.
    pub(super) fn interrupt(&mut self, now: BootTime) {
        self.since = now;
        self.before = None;
        self.energy = None;
        self.skipped = false;
    }

    /// Takes a record in; one that is not new changes nothing.
    pub(super) fn record(&mut self, engine: &EngineSample) {
        let before = self.before.replace((engine.at_usec, engine.generated));
        let Some((at, generated)) = before else {
            return;
        };
        let settled = at.0 >= self.since.0.saturating_add(SETTLE_USEC);
        if engine.generated <= generated || engine.at_usec <= at || !settled {
            if engine.generated == generated {
                // Its time belongs to the token that the next record brings.
                self.before = before;
            }
            return;
        }
        if core::mem::replace(&mut self.skipped, true) {
            self.add(engine, engine.generated - generated, engine.at_usec.0 - at.0);
        }
    }

    fn add(&mut self, engine: &EngineSample, tokens: u64, usec: u64) {
        let tokens = tokens as f64;
        let passed = usec as f64 / 1e6;
        // The engine's own rate knows when its tokens really came; the records' times are late by up to one record.
        let told = engine.tokens_per_second.map(|rate| tokens / f64::from(rate));
        let told =
            told.filter(|seconds| seconds.is_finite() && *seconds > 0.0 && *seconds < passed * 2.0 + 1.0);
        let seconds = told.unwrap_or(passed);
        self.tokens += tokens;
        self.seconds += seconds;
        self.depth += tokens * f64::from(engine.kv_tokens);
        self.squares += seconds * seconds / tokens;
        self.records += 1.0;
        self.last = engine.at_usec;
    }

    /// Takes in what the package's energy counter says at an instant, in µJ. Where it wraps, nothing is counted.
    pub(super) fn energy(&mut self, now: BootTime, counter: Option<u64>) {
        let settled = now.0 >= self.since.0.saturating_add(SETTLE_USEC);
        let Some(counter) = counter.filter(|_| settled) else {
            return;
        };
        if let Some((at, before)) = self.energy.replace((now, counter))
            && counter >= before
        {
            self.microjoules += (counter - before) as f64;
            self.metered_usec += now.0.saturating_sub(at.0) as f64;
        }
    }

    /// The speed so far; `None` before three records with tokens.
    pub(super) fn speed(&self) -> Option<Speed> {
        if self.records < 3.0 || self.tokens < 1.0 || self.seconds <= 0.0 {
            return None;
        }
        let mean = self.seconds / self.tokens;
        // Weighted by tokens: Σ n·(x − mean)² = Σ n·x² − N·mean²; rounding may take it below nought.
        let spread = (self.squares - self.tokens * mean * mean).max(0.0) / (self.records - 1.0);
        Some(Speed {
            seconds: mean,
            error: libm::sqrt(spread / self.tokens) / mean,
            tokens: self.tokens,
            depth: self.depth / self.tokens,
            at: self.last,
            watts: (self.metered_usec > 0.0).then(|| self.microjoules / self.metered_usec),
        })
    }

    /// Seconds of decode that were taken in.
    pub(super) fn lasted(&self) -> f64 {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::Phase;

    fn record(at_ms: u64, generated: u64, rate: Option<f32>) -> EngineSample {
        EngineSample {
            at_usec: BootTime(at_ms * 1000),
            phase: Phase::Decode,
            generated,
            tokens_per_second: rate,
            kv_tokens: 100,
            ..EngineSample::default()
        }
    }

    #[test]
    fn it_counts_time_by_the_engines_own_word_or_by_the_records() {
        let mut told = Meter::begin(BootTime(0));
        let mut counted = Meter::begin(BootTime(0));
        for number in 0..40u64 {
            told.record(&record(number * 250 + 13 * (number % 3), number * 2, Some(8.0)));
            counted.record(&record(number * 250, number * 2, None));
        }
        let (told, counted) = (told.speed().unwrap(), counted.speed().unwrap());
        assert!(
            (told.seconds - 0.125).abs() < 1e-9 && told.error < 1e-6,
            "{told:?}"
        );
        assert!((counted.seconds - 0.125).abs() < 1e-9, "{counted:?}");
    }

    #[test]
    fn tokens_slower_than_records_are_not_lost() {
        let mut meter = Meter::begin(BootTime(0));
        for number in 0..60u64 {
            meter.record(&record(number * 250, number / 4, None));
        }
        let speed = meter.speed().unwrap();
        assert!((speed.seconds - 1.0).abs() < 0.02, "{speed:?}");
    }

    #[test]
    fn what_follows_a_change_or_an_interruption_is_left_out() {
        let mut meter = Meter::begin(BootTime(0));
        meter.record(&record(100, 0, None));
        meter.record(&record(200, 50, None));
        for number in 1..20u64 {
            meter.record(&record(200 + number * 250, 50 + number, None));
        }
        meter.interrupt(BootTime(60_000_000));
        for number in 0..20u64 {
            meter.record(&record(60_000 + number * 250, 5_000 + number, None));
        }
        assert!((meter.speed().unwrap().seconds - 0.25).abs() < 1e-9, "{meter:?}");
    }

    #[test]
    fn records_that_stand_still_run_backwards_or_lie_make_no_nonsense() {
        let mut meter = Meter::begin(BootTime(0));
        for (at, generated, rate) in [
            (300, 5, None),
            (300, 9, Some(0.0)),
            (250, 3, None),
            (9, 0, Some(1e-30)),
        ] {
            meter.record(&record(at, generated, rate));
        }
        for number in 1..20u64 {
            meter.record(&record(1000 + number * 250, number, Some(f32::NAN)));
        }
        let speed = meter.speed().unwrap();
        assert!(speed.seconds.is_finite() && speed.error.is_finite(), "{speed:?}");
    }
}
