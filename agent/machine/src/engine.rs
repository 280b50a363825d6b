//! What the inference engine does, as far as the machine's power is concerned.

use crate::BootTime;
use serde::{Deserialize, Serialize};

/// What the engine is busy with. Prefill is bound by arithmetic, decode by memory: no governor can guess it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// A model is read and made ready.
    Loading,
    /// Prompts are run through the model.
    Prefill,
    /// Tokens are generated, one per sequence and turn.
    Decode,
}

/// The newest phase record of the engine, and when it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineSample {
    /// When hearthd received it.
    pub at_usec: BootTime,
    /// What it is busy with.
    pub phase: Phase,
    /// Requests that wait for a slot.
    pub queue_depth: u32,
    /// Sequences that are being answered.
    pub active: u32,
    /// Tokens run through the model since the engine started, prompts' and answers': it grows while work goes on.
    pub progress: u64,
    /// Tokens generated since the engine started.
    pub generated: u64,
    /// Tells models apart, nothing more: the beginning of a hash of the model's name; 0 while none is loaded.
    pub model: u64,
    /// Tokens generated per second over the record's own time, all sequences together; `null` outside decode.
    pub tokens_per_second: Option<f32>,
    /// Tokens in the KV cache of the longest active sequence.
    pub kv_tokens: u32,
}
