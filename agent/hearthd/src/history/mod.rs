//! What the machine showed over the last week: every second of ten minutes, and means of longer times for longer.
//!
//! A law: time is given, and nothing is read or written here. Rows come when hearthd has sampled for its own reasons; it
//! does not wake for them.

mod kept;
mod mean;
mod ring;

pub(crate) use kept::HistoryBook;

use api::samples::{COLUMNS, LONGEST_SPAN, Row, Samples, Values};
use machine::Phase;
use ring::Ring;

/// Seconds of a row, and seconds that are kept, finest first.
const RINGS: [(u64, u64); 3] = [(1, 600), (10, 3 * 3600), (120, LONGEST_SPAN as u64)];
/// A reading stands for the time until the next, but not for longer than so many seconds: then nobody has looked.
const STANDS_FOR: u64 = 10;

/// What was measured.
#[derive(Debug)]
pub(crate) struct History {
    rings: [Ring; 3],
    /// The newest row, of which it is not known yet how long it stands.
    newest: Option<Row>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            rings: RINGS.map(|(step, span)| Ring::new(step, span)),
            newest: None,
        }
    }
}

impl History {
    /// Takes a row in. Of one second the last counts.
    pub(crate) fn take(&mut self, row: Row) {
        if let Some(before) = self.newest.filter(|before| before.time != row.time) {
            // A clock that was set back leaves no time for it.
            let stood = row.time.saturating_sub(before.time).min(STANDS_FOR);
            self.rings.iter_mut().for_each(|ring| ring.take(&before, stood));
        }
        self.rings.iter_mut().for_each(|ring| ring.forget(row.time));
        self.newest = Some(row);
    }

    /// The rows of so many seconds before now, from the finest ring that has them. `interval`: seconds between two
    /// samples, at most.
    pub(crate) fn tell(&self, seconds: u32, now: u64, interval: u32) -> Samples {
        let ring = self.rings.iter().find(|ring| ring.span() >= u64::from(seconds));
        let ring = ring.unwrap_or(&self.rings[RINGS.len() - 1]);
        let since = now.saturating_sub(seconds.into());
        let step = ring.step();
        let newest = self.newest.filter(|_| step == 1);
        // What is shown as now may have been read a moment before this second began.
        let rows = ring
            .rows()
            .filter(|row| row.time + step > since + 1)
            .chain(newest);
        Samples {
            step_seconds: interval.max(step as u32),
            columns: COLUMNS.map(str::to_owned).to_vec(),
            rows: rows.map(Values::from).collect(),
        }
    }

    /// The rows that are kept over restarts: the coarsest.
    fn coarsest(&self) -> impl Iterator<Item = Row> {
        self.rings[RINGS.len() - 1].rows()
    }

    /// Brings rows back that were kept.
    fn bring_back(&mut self, rows: impl Iterator<Item = Row>) {
        let coarsest = &mut self.rings[RINGS.len() - 1];
        rows.for_each(|row| coarsest.bring_back(&row));
    }
}

/// Phases by how busy they are.
const PHASES: [Phase; 4] = [Phase::Idle, Phase::Loading, Phase::Prefill, Phase::Decode];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: u64, temperature: f32) -> Row {
        Row {
            time,
            temperature: Some(temperature),
            ..Row::default()
        }
    }

    fn temperatures(samples: &Samples) -> Vec<(u64, Option<f32>)> {
        samples.rows.iter().map(|values| (values.0, values.1)).collect()
    }

    #[test]
    fn the_finest_ring_that_covers_the_time_answers() {
        let mut history = History::default();
        for time in 0..1000 {
            history.take(row(time, 40.0));
        }
        let told = |seconds| history.tell(seconds, 999, 1);
        assert_eq!((told(600).step_seconds, told(600).rows.len()), (1, 600));
        assert_eq!((told(10).step_seconds, told(10).rows.len()), (1, 10));
        assert_eq!((told(601).step_seconds, told(601).rows.len()), (10, 61));
        assert_eq!(told(20_000).step_seconds, 120);
        assert_eq!(history.tell(600, 999, 5).step_seconds, 5);
    }

    #[test]
    fn what_was_read_at_the_end_of_the_last_second_is_now() {
        let mut history = History::default();
        [row(7, 40.0), row(8, 41.0)]
            .into_iter()
            .for_each(|row| history.take(row));
        assert_eq!(temperatures(&history.tell(1, 9, 1)), [(8, Some(41.0))]);
    }

    #[test]
    fn of_one_second_the_last_counts() {
        let mut history = History::default();
        [row(7, 40.0), row(7, 41.0), row(8, 42.0)]
            .into_iter()
            .for_each(|row| history.take(row));
        assert_eq!(
            temperatures(&history.tell(60, 8, 1)),
            [(7, Some(41.0)), (8, Some(42.0))]
        );
    }

    #[test]
    fn a_mean_weighs_a_reading_by_the_time_that_it_stood() {
        let mut history = History::default();
        // Three seconds of 50 °C, then seven of 40 °C.
        [row(100, 50.0), row(103, 40.0), row(110, 0.0)]
            .into_iter()
            .for_each(|row| history.take(row));
        let told = temperatures(&history.tell(700, 110, 1));
        assert_eq!(told, [(100, Some(43.0))]);
    }

    #[test]
    fn a_time_in_which_nobody_looked_is_a_gap() {
        let mut history = History::default();
        [row(1000, 50.0), row(4000, 40.0), row(4001, 40.0)]
            .into_iter()
            .for_each(|row| history.take(row));
        let told = temperatures(&history.tell(700, 4001, 1));
        assert_eq!(told, [(4000, Some(40.0))]);
        let told = temperatures(&history.tell(3600, 4001, 1));
        assert_eq!(told, [(1000, Some(50.0)), (4000, Some(40.0))]);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_what_lies_ahead_with_it() {
        let mut history = History::default();
        for time in 1000..2000 {
            history.take(row(time, 50.0));
        }
        [row(1500, 40.0), row(1501, 40.0)]
            .into_iter()
            .for_each(|row| history.take(row));
        let told = history.tell(600, 1501, 1);
        assert!(told.rows.iter().all(|values| values.0 <= 1501));
        assert!(told.rows.is_sorted_by(|a, b| a.0 < b.0));
    }
}
