//! A recording's records, put to the laws again.

use control::{Controller, PressureLaw, Reclaimer};
use machine::{BootTime, Capabilities, Decision, PressureDecision, Reclaim, Record, Sample, Tuning};

/// Why a record cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("line {0} is a sample, but no line before it tells the machine's capabilities and its tuning")]
    NoMachine(usize),
    #[error("the sample in line {line} is older than the one before it")]
    Backwards { line: usize },
}

/// A step that was replayed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) sample: Sample,
    pub(super) decision: Decision,
}

/// What a record leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decided {
    /// A step of the laws of heat and power.
    Step(Box<Step>),
    /// Of the law of reclaim, and when.
    Reclaim(BootTime, Reclaim),
    /// Of the law of pressure, and when.
    Pressure(BootTime, PressureDecision),
}

/// The laws and what they were told so far.
#[derive(Debug, Default)]
pub(super) struct Replay {
    found: Option<Capabilities>,
    tuning: Option<Tuning>,
    /// The capabilities or the tuning were told anew, and the laws do not know yet.
    news: bool,
    wishes: machine::Wishes,
    controller: Option<Controller>,
    reclaimer: Reclaimer,
    pressure: PressureLaw,
    at: BootTime,
}

impl Replay {
    /// Takes the record of a line. A sample is decided upon.
    pub(super) fn take(&mut self, line: usize, record: Record) -> Result<Option<Decided>, Error> {
        match record {
            Record::Capabilities(found) => {
                self.found = Some(*found);
                self.news = true;
            }
            Record::Tuning(tuning) => {
                self.tuning = Some(tuning);
                self.news = true;
            }
            Record::Wishes(wishes) => self.wishes = wishes,
            Record::Sample(sample) => {
                let step = self.step(line, *sample)?;
                return Ok(Some(Decided::Step(Box::new(step))));
            }
            Record::Memory(sample) => {
                let decided = self.reclaimer.step(&sample);
                return Ok(Some(Decided::Reclaim(sample.at_usec, decided)));
            }
            Record::Pressure(sample) => {
                let decided = self.pressure.step(&sample);
                return Ok(Some(Decided::Pressure(sample.at_usec, decided)));
            }
        }
        Ok(None)
    }

    fn step(&mut self, line: usize, sample: Sample) -> Result<Step, Error> {
        if sample.at_usec < self.at {
            return Err(Error::Backwards { line });
        }
        self.at = sample.at_usec;
        let wishes = self.wishes.clone();
        let controller = self.controller(line)?;
        controller.set_wishes(wishes);
        let decision = controller.step(&sample);
        Ok(Step { sample, decision })
    }

    /// The laws, who know the machine as it was told last.
    fn controller(&mut self, line: usize) -> Result<&mut Controller, Error> {
        let (Some(found), Some(tuning)) = (&self.found, &self.tuning) else {
            return Err(Error::NoMachine(line));
        };
        let controller = self
            .controller
            .get_or_insert_with(|| Controller::new(found.clone(), tuning.clone()));
        if self.news {
            controller.set_machine(found.clone(), tuning.clone());
            self.news = false;
        }
        Ok(controller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_usec: u64) -> Record {
        Record::Sample(Box::new(Sample {
            at_usec: BootTime(at_usec),
            ..Sample::default()
        }))
    }

    #[test]
    fn a_recording_must_name_the_machine_and_keep_the_order() {
        let mut replay = Replay::default();
        assert!(matches!(replay.take(1, sample(5)), Err(Error::NoMachine(1))));
        let mut replay = Replay::default();
        replay.take(1, Record::Capabilities(Box::default())).unwrap();
        replay.take(2, Record::Tuning(Tuning::default())).unwrap();
        assert!(replay.take(3, sample(5)).unwrap().is_some());
        assert!(matches!(
            replay.take(4, sample(4)),
            Err(Error::Backwards { line: 4 })
        ));
    }
}
