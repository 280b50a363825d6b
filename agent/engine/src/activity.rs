//! What the engine does, for those who set clocks by it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use store::Pulse;

/// What the engine is busy with. Of several sequences the one in prefill counts: it is bound by arithmetic and would
/// be held up by a clock that suits decode, whereas decode is bound by memory and loses nothing by a higher one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing, or every answer waits for its reader.
    #[default]
    Idle,
    /// A model, a prompt, or what was kept of a conversation, is read and made ready.
    Loading,
    /// At least one prompt is run through the model.
    Prefill,
    /// Tokens are generated.
    Decode,
}

/// Where the engine is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It holds no model.
    #[default]
    Empty,
    /// It makes a model ready.
    Loading,
    /// A model's weights are mapped.
    Ready,
    /// A model is chosen; its weights are unmapped, and what idle sessions' KV held of memory is given back.
    Parked,
}

/// A model, as others are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name that requests give.
    pub name: Arc<str>,
    /// Tells models of one name apart: see [`crate::catalog::Entry::tag`].
    pub tag: u64,
}

/// What the engine does, and how much it has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// What it is busy with.
    pub phase: Phase,
    /// Where it is in its life.
    pub state: State,
    /// The model that is loaded, or is being loaded.
    pub model: Option<Named>,
    /// Loads that were begun since the engine started.
    pub loads: u64,
    /// Requests that wait for a slot.
    pub queued: usize,
    /// Sequences that are being answered.
    pub active: usize,
    /// Tokens in the KV cache of the longest of them.
    pub kv_tokens: usize,
    /// Tokens that a sequence may have: with the model that is loaded, or with the next one if nobody says otherwise.
    pub context: usize,
    /// Tokens run through the model since the engine started, prompts' and answers'.
    pub progress: u64,
    /// Tokens generated since the engine started.
    pub generated: u64,
    /// When the last of them was; with [`Self::generated`] it measures speed without an error of a token.
    pub generated_at: Option<Instant>,
    /// Bytes of memory that idle sessions' KV holds.
    pub kv_bytes: u64,
}

impl Activity {
    /// Whether more has changed than the counters: phase, state, depth, room or model.
    pub fn differs(&self, other: &Self) -> bool {
        let depth = |activity: &Self| (activity.queued, activity.active);
        let life = |activity: &Self| (activity.phase, activity.state, activity.loads);
        let room = |activity: &Self| (activity.kv_bytes, activity.context);
        life(self) != life(other)
            || depth(self) != depth(other)
            || room(self) != room(other)
            || self.model != other.model
    }
}

/// Somebody who outlives the engine and is told which model it is about to load, so that a model that ends the process
/// is known by name. Where nobody is told, nobody is waited for.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<(Mutex<Testimony>, Condvar)>);

#[derive(Debug, Default)]
struct Testimony {
    /// Somebody is told.
    present: bool,
    /// [`Activity::loads`] of the newest activity that was told.
    told: u64,
}

impl Witness {
    /// Somebody is told from now on.
    pub fn attend(&self) {
        self.testimony().present = true;
    }

    /// An activity with so many loads was told.
    pub fn told(&self, loads: u64) {
        self.testimony().told = loads;
        self.0.1.notify_all();
    }

    /// Nobody is told any more.
    pub fn leave(&self) {
        self.testimony().present = false;
        self.0.1.notify_all();
    }

    /// Waits until that load was told. Whether it was.
    pub fn wait(&self, loads: u64, limit: Duration) -> bool {
        let untold = |testimony: &mut Testimony| testimony.present && testimony.told < loads;
        let waited = self.0.1.wait_timeout_while(self.testimony(), limit, untold);
        let (testimony, _) = waited.unwrap_or_else(PoisonError::into_inner);
        testimony.told >= loads
    }

    fn testimony(&self) -> MutexGuard<'_, Testimony> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_more_is_no_change_and_another_phase_depth_or_model_is() {
        let before = Activity::default();
        let counted = Activity {
            progress: 1,
            generated: 1,
            kv_tokens: 1,
            generated_at: Some(Instant::now()),
            ..Activity::default()
        };
        assert!(!counted.differs(&before));
        let changes: [fn(&mut Activity); 8] = [
            |activity| activity.phase = Phase::Decode,
            |activity| activity.state = State::Parked,
            |activity| activity.queued = 1,
            |activity| activity.active = 1,
            |activity| activity.loads = 1,
            |activity| activity.kv_bytes = 1,
            |activity| activity.context = 1,
            |activity| {
                activity.model = Some(Named {
                    name: "tiny".into(),
                    tag: 1,
                });
            },
        ];
        for change in changes {
            let mut changed = before.clone();
            change(&mut changed);
            assert!(changed.differs(&before), "{changed:?}");
        }
    }

    #[test]
    fn a_load_waits_until_it_is_told_and_for_nobody_who_is_not_there() {
        let (witness, long) = (Witness::default(), Duration::from_secs(600));
        assert!(!witness.wait(1, long), "there is nobody");
        witness.attend();
        assert!(!witness.wait(1, Duration::ZERO), "it was not told in time");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| witness.wait(2, long));
            witness.told(1);
            witness.told(2);
            assert!(waiting.join().unwrap());
            let waiting = scope.spawn(|| witness.wait(3, long));
            witness.leave();
            assert!(!waiting.join().unwrap());
        });
    }
}
