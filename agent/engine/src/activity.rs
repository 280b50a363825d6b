//! What the engine does, for those who set clocks by it.

use std::sync::Arc;
use std::time::Instant;

/// What the engine is busy with. Of several sequences the one in prefill counts: it is bound by arithmetic and would
/// be held up by a clock that suits decode, whereas decode is bound by memory and loses nothing by a higher one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing, or every answer waits for its reader.
    #[default]
    Idle,
    /// A model, or what was kept of a conversation, is read and made ready.
    Loading,
    /// At least one prompt is run through the model.
    Prefill,
    /// Tokens are generated.
    Decode,
}

/// What the engine does, and how much it has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// What it is busy with.
    pub phase: Phase,
    /// The model that is loaded.
    pub model: Option<Arc<str>>,
    /// Requests that wait for a slot.
    pub queued: usize,
    /// Sequences that are being answered.
    pub active: usize,
    /// Tokens in the KV cache of the longest of them.
    pub kv_tokens: usize,
    /// Tokens run through the model since the engine started, prompts' and answers'.
    pub progress: u64,
    /// Tokens generated since the engine started.
    pub generated: u64,
    /// When the last of them was; with [`Self::generated`] it measures speed without an error of a token.
    pub generated_at: Option<Instant>,
}

impl Activity {
    /// Whether more has changed than the counters: phase, depth or model.
    pub fn differs(&self, other: &Self) -> bool {
        let state = |activity: &Self| (activity.phase, activity.queued, activity.active);
        state(self) != state(other) || self.model != other.model
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
        let changes: [fn(&mut Activity); 4] = [
            |activity| activity.phase = Phase::Decode,
            |activity| activity.queued = 1,
            |activity| activity.active = 1,
            |activity| activity.model = Some("tiny".into()),
        ];
        for change in changes {
            let mut changed = before.clone();
            change(&mut changed);
            assert!(changed.differs(&before), "{changed:?}");
        }
    }
}
