//! What there is to do.

use crate::utilisation::Utilisation;
use machine::{BootTime, Phase, PowerProfile, Sample};

/// An announced request that has not reached the engine after this is thought to have been refused or lost.
const ANNOUNCEMENT_USEC: u64 = 10_000_000;
/// A working engine reports every quarter of a second (`api::phase`); one that was silent for so long has died or hangs.
const SILENCE_USEC: u64 = 5_000_000;
/// Other work than the engine's begins to count above the first share of the busiest processor, and ceases below the
/// second.
const BUSY: (f64, f64) = (0.5, 0.25);

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing for the engine; `busy` tells whether something else works.
    Rest {
        /// Whether other work keeps a processor busy.
        busy: bool,
    },
    /// Something that is bound by arithmetic, or that somebody waits for.
    Full,
    /// Tokens are generated.
    Decode,
}

/// Tells what there is to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    busy: bool,
}

impl Watch {
    /// What there is to do now, and when that ends if nothing happens.
    pub(super) fn step(
        &mut self,
        sample: &Sample,
        utilisation: &Utilisation,
        profile: PowerProfile,
    ) -> (Demand, Option<BootTime>) {
        let share = utilisation.busiest().unwrap_or(0.0);
        let threshold = if self.busy { BUSY.1 } else { BUSY.0 };
        self.busy = share > threshold;
        let announced = announced(sample);
        match engine(sample) {
            Some((Demand::Decode, until)) if profile != PowerProfile::Performance => {
                (Demand::Decode, Some(until))
            }
            Some((_, until)) => (Demand::Full, Some(until)),
            None if announced.is_some() => (Demand::Full, announced),
            None => (Demand::Rest { busy: self.busy }, None),
        }
    }
}

/// Until when an announced request counts; `None` once the engine has spoken since, or it is too long ago.
fn announced(sample: &Sample) -> Option<BootTime> {
    let at = sample.announced_at_usec?;
    let spoken = sample.engine.as_ref().is_some_and(|engine| engine.at_usec > at);
    let until = BootTime(at.0.saturating_add(ANNOUNCEMENT_USEC));
    (!spoken && sample.at_usec < until).then_some(until)
}

/// What the engine is busy with, and until when its word counts.
fn engine(sample: &Sample) -> Option<(Demand, BootTime)> {
    let engine = sample.engine.as_ref()?;
    let demand = match engine.phase {
        Phase::Idle if engine.queue_depth == 0 => return None,
        Phase::Idle | Phase::Loading | Phase::Prefill => Demand::Full,
        Phase::Decode => Demand::Decode,
    };
    let until = BootTime(engine.at_usec.0.saturating_add(SILENCE_USEC));
    (sample.at_usec < until).then_some((demand, until))
}
