//! What a twin went through, tick by tick, and the figures that are read from it.

use std::fmt::Write as _;

/// One tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Seconds since the twin began, at the tick's end.
    pub seconds: f64,
    /// What the sensor showed the guest, in °C; `None` while it could not be read.
    pub reading: Option<f64>,
    /// The true temperature of the die, in °C.
    pub die: f64,
    /// The mean clock of each processor, in MHz.
    pub megahertz: Vec<f64>,
    /// How busy each processor was, 0 to 1.
    pub load: Vec<f64>,
    /// Power of the machine.
    pub watts: f64,
    /// The fan's level, as the guest set it.
    pub fan_level: f64,
}

impl Row {
    /// The mean clock of all processors, in MHz.
    pub fn mean_megahertz(&self) -> f64 {
        self.megahertz.iter().sum::<f64>() / self.megahertz.len().max(1) as f64
    }

    /// The mean load of all processors.
    pub fn mean_load(&self) -> f64 {
        self.load.iter().sum::<f64>() / self.load.len().max(1) as f64
    }
}

/// Ticks in the order of their time. A figure of none is no number, and so within no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The ticks.
    pub rows: Vec<Row>,
}

impl Trace {
    /// The ticks from `start` up to `end`, in seconds.
    #[must_use]
    pub fn between(&self, start: f64, end: f64) -> Self {
        let inside = |row: &&Row| (start..=end).contains(&row.seconds);
        Self {
            rows: self.rows.iter().filter(inside).cloned().collect(),
        }
    }

    /// Its second half, by time.
    #[must_use]
    pub fn second_half(&self) -> Self {
        self.between((self.start() + self.end()) / 2.0, self.end())
    }

    /// When it begins, in seconds.
    pub fn start(&self) -> f64 {
        self.rows.first().map_or(0.0, |row| row.seconds)
    }

    /// When it ends, in seconds.
    pub fn end(&self) -> f64 {
        self.rows.last().map_or(0.0, |row| row.seconds)
    }

    /// The hottest that the die was, in °C.
    pub fn hottest(&self) -> f64 {
        self.rows
            .iter()
            .map(|row| row.die)
            .reduce(f64::max)
            .unwrap_or(f64::NAN)
    }

    /// The coolest that the die was, in °C.
    pub fn coolest(&self) -> f64 {
        self.rows
            .iter()
            .map(|row| row.die)
            .reduce(f64::min)
            .unwrap_or(f64::NAN)
    }

    /// How far the die swung from peak to peak, in K.
    pub fn swing(&self) -> f64 {
        self.hottest() - self.coolest()
    }

    /// The mean clock, in MHz.
    pub fn mean_megahertz(&self) -> f64 {
        self.mean(Row::mean_megahertz)
    }

    /// The mean of anything.
    pub fn mean(&self, of: impl Fn(&Row) -> f64) -> f64 {
        self.rows.iter().map(of).sum::<f64>() / self.rows.len() as f64
    }

    /// The longest time without a break for which something held, in seconds.
    pub fn longest(&self, holds: impl Fn(&Row) -> bool) -> f64 {
        let mut longest: f64 = if self.rows.is_empty() { f64::NAN } else { 0.0 };
        let mut since = None;
        for row in &self.rows {
            if holds(row) {
                longest = longest.max(row.seconds - *since.get_or_insert(row.seconds));
            } else {
                since = None;
            }
        }
        longest
    }

    /// As comma-separated values with a header.
    pub fn csv(&self) -> String {
        let processors = self.rows.first().map_or(0, |row| row.megahertz.len());
        let mut text = String::from("seconds,reading,die,watts,fan_level");
        for processor in 0..processors {
            let _infallible = write!(text, ",mhz{processor},load{processor}");
        }
        text.push('\n');
        for row in &self.rows {
            text += &row.csv();
        }
        text
    }
}

impl Row {
    fn csv(&self) -> String {
        let reading = self
            .reading
            .map_or(String::new(), |reading| format!("{reading:.1}"));
        let Self {
            seconds,
            die,
            watts,
            fan_level,
            ..
        } = self;
        let mut text = format!("{seconds:.2},{reading},{die:.2},{watts:.2},{fan_level:.0}");
        for (megahertz, load) in self.megahertz.iter().zip(&self.load) {
            let _infallible = write!(text, ",{megahertz:.0},{load:.3}");
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let row = |(tick, die): (usize, &f64)| Row {
            seconds: tick as f64,
            reading: (tick != 1).then_some(*die),
            die: *die,
            megahertz: vec![1000.0, 2000.0],
            load: vec![1.0, 0.5],
            watts: 10.0,
            fan_level: 1.0,
        };
        Trace {
            rows: [50.0, 70.0, 79.0, 81.0, 80.0]
                .iter()
                .enumerate()
                .map(row)
                .collect(),
        }
    }

    #[test]
    fn figures_are_read_from_the_window_asked_for() {
        let trace = trace();
        assert_eq!((trace.hottest(), trace.swing()), (81.0, 31.0));
        assert_eq!(trace.second_half().swing(), 2.0);
        assert_eq!(trace.between(0.5, 2.5).hottest(), 79.0);
        assert_eq!(trace.mean_megahertz(), 1500.0);
        assert_eq!(trace.mean(Row::mean_load), 0.75);
        assert_eq!(trace.longest(|row| row.die > 75.0), 2.0);
    }

    #[test]
    fn a_figure_of_nothing_is_no_number() {
        let none = Trace::default();
        let figures = [
            none.hottest(),
            none.swing(),
            none.mean_megahertz(),
            none.longest(|_| true),
        ];
        assert!(figures.iter().all(|figure| figure.is_nan()), "{figures:?}");
    }

    #[test]
    fn a_reading_that_failed_is_empty_in_the_table() {
        let csv = trace().csv();
        let mut lines = csv.lines();
        assert_eq!(
            lines.next(),
            Some("seconds,reading,die,watts,fan_level,mhz0,load0,mhz1,load1")
        );
        assert_eq!(
            lines.next(),
            Some("0.00,50.0,50.00,10.00,1,1000,1.000,2000,0.500")
        );
        assert!(lines.next().unwrap().starts_with("1.00,,70.00"));
    }
}
