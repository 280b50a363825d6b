//! What the inference engine does, as far as the machine's power is concerned.

use crate::BootTime;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// What the engine is busy with. Prefill is bound by arithmetic, decode by memory: no governor can guess it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

/// Where the engine is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum EngineState {
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

/// How far the engine gives memory up, mildest first. Each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PressureLevel {
    /// Nothing is asked for.
    #[default]
    None,
    /// Half the memory for idle sessions' KV is given back at once.
    Trim,
    /// All idle sessions go to the disk, and weights are unmapped where nobody is being answered.
    Park,
    /// New requests are refused; those that are being answered go on.
    Refuse,
    /// It ends, whoever is being answered having a few seconds yet, and comes back with half the context, but no less than
    /// 512 tokens.
    Shrink,
}

/// The newest phase record of the engine, and when it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EngineSample {
    /// When hearthd received it.
    pub at_usec: BootTime,
    /// What it is busy with.
    pub phase: Phase,
    /// Where it is in its life; empty in recordings older than this field.
    #[serde(default)]
    pub state: EngineState,
    /// Requests that wait for a slot.
    pub queue_depth: u32,
    /// Sequences that are being answered.
    pub active: u32,
    /// Tokens run through the model since the engine started, prompts' and answers': it grows while work goes on.
    pub progress: u64,
    /// Tokens generated since the engine started.
    pub generated: u64,
    /// Pieces of work done since the engine started, however small: a layer computed, a block of weights checked. It
    /// stands still only in an engine that does nothing or is stuck. 0 in recordings older than this field.
    #[serde(default)]
    pub pulse: u64,
    /// Tells models apart, also two of one name: the beginning of a hash of what the model is. While one is being made
    /// ready it is that one's; 0 for none.
    pub model: u64,
    /// That model's name, cut to 128 bytes; empty for none, and in recordings older than this field.
    #[serde(default)]
    pub model_name: String,
    /// Tokens generated per second over the record's own time, all sequences together; `null` outside decode.
    pub tokens_per_second: Option<f32>,
    /// Tokens in the KV cache of the longest active sequence.
    pub kv_tokens: u32,
    /// Tokens that a sequence may have: with the model that is loaded, or with the next one if nobody says otherwise. 0 in
    /// recordings older than this field.
    #[serde(default)]
    pub context: u32,
    /// Bytes of memory that idle sessions' KV holds; 0 in recordings older than this field.
    #[serde(default)]
    pub kv_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_before_states_is_read() {
        let old = r#"{"at_usec":1,"phase":"decode","queue_depth":0,"active":1,"progress":9,"generated":4,"model":7,
            "tokens_per_second":null,"kv_tokens":5}"#;
        let expected = EngineSample {
            at_usec: BootTime(1),
            phase: Phase::Decode,
            active: 1,
            progress: 9,
            generated: 4,
            model: 7,
            kv_tokens: 5,
            ..EngineSample::default()
        };
        assert_eq!(serde_json::from_str::<EngineSample>(old).unwrap(), expected);
    }

    #[test]
    fn pressure_levels_are_ordered_by_what_they_ask() {
        let levels = [
            PressureLevel::None,
            PressureLevel::Trim,
            PressureLevel::Park,
            PressureLevel::Refuse,
            PressureLevel::Shrink,
        ];
        assert!(levels.is_sorted());
    }
}
