//! A recording of everything the laws were told: JSON lines that replay to the same decisions.

use crate::{Capabilities, MemorySample, PressureSample, Sample, Tuning, Wishes};
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// One line of a recording. The first two are the capabilities and the tuning; each comes again when it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// What the machine has.
    Capabilities(Box<Capabilities>),
    /// Which firmware profile it matched.
    Tuning(Tuning),
    /// What people want.
    Wishes(Wishes),
    /// What the machine shows.
    Sample(Box<Sample>),
    /// What the law of reclaim is told, each time that it looks.
    Memory(Box<MemorySample>),
    /// What the law of pressure is told, each time that it looks.
    Pressure(Box<PressureSample>),
}
