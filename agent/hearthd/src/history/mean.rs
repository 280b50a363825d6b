//! The mean of readings, each weighed by the time that it stood.

use super::PHASES;
use api::samples::Row;

/// Columns that are numbers.
pub(super) const NUMBERS: usize = 5;

/// The numbers of a row.
pub(super) fn numbers(row: &Row) -> [Option<f32>; NUMBERS] {
    [
        row.temperature,
        row.clock,
        row.power,
        row.memory_used,
        row.tokens_per_second,
    ]
}

/// A row of these numbers.
pub(super) fn row(
    time: u64,
    [temperature, clock, power, memory_used, tokens_per_second]: [Option<f32>; NUMBERS],
    phase: Option<machine::Phase>,
) -> Row {
    Row {
        time,
        temperature,
        clock,
        power,
        memory_used,
        tokens_per_second,
        phase,
    }
}

/// Readings of one time, as far as they have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Mean {
    /// Sums and seconds of each number.
    sums: [(f64, u64); NUMBERS],
    /// Seconds of each phase.
    phases: [u64; PHASES.len()],
    /// Seconds without an engine.
    none: u64,
}

impl Mean {
    /// Takes a reading in that stood for so many seconds.
    pub(super) fn take(&mut self, row: &Row, seconds: u64) {
        for ((sum, weight), number) in self.sums.iter_mut().zip(numbers(row)) {
            if let Some(number) = number {
                *sum += f64::from(number) * seconds as f64;
                *weight += seconds;
            }
        }
        match row
            .phase
            .and_then(|phase| PHASES.iter().position(|known| *known == phase))
        {
            Some(place) => self.phases[place] += seconds,
            None => self.none += seconds,
        }
    }

    /// What came out; nothing where nothing stood for any time.
    pub(super) fn row(&self, time: u64) -> Option<Row> {
        let counted = self.none + self.phases.iter().sum::<u64>();
        let mean = |(sum, weight): (f64, u64)| (weight > 0).then(|| (sum / weight as f64) as f32);
        // Of two that lasted as long, the busier.
        let (place, longest) = (0..).zip(self.phases).max_by_key(|(_, seconds)| *seconds)?;
        let phase = (longest > 0).then(|| PHASES[place]);
        (counted > 0).then(|| row(time, self.sums.map(mean), phase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::Phase;

    #[test]
    fn what_was_not_measured_weighs_nothing() {
        let mut mean = Mean::default();
        let reading = |power, phase| Row {
            power,
            phase,
            ..Row::default()
        };
        mean.take(&reading(Some(6.0), Some(Phase::Decode)), 2);
        mean.take(&reading(None, Some(Phase::Idle)), 2);
        mean.take(&reading(None, None), 3);
        let row = mean.row(5).unwrap();
        assert_eq!(
            (row.power, row.temperature, row.phase),
            (Some(6.0), None, Some(Phase::Decode))
        );
        assert_eq!(Mean::default().row(5), None);
    }
}
