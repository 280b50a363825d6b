//! A model of a mini PC's processor and of the engine on it: how long a token takes at a clock, and what power that
//! draws. **Simulated**: nothing here was measured by this project.
//!
//! Time, after the roofline (Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009): a step takes as
//! long as the longer of moving its bytes and doing its arithmetic, plus the part of the shorter that does not overlap,
//! plus the engine's own cycles (sampling, barriers, bookkeeping):
//!
//! ```text
//! bytes      = weights + Σ over sequences (KV bytes per token · depth)
//! operations = tokens · (2 · parameters + 4 · layers · width · depth)
//! time       = max(bytes / bandwidth(f), operations / (rate · cores · f))
//!              + (1 − overlap) · min(…) + overhead cycles / f
//! ```
//!
//! Power of the processor's package and its memory:
//!
//! ```text
//! P = idle + uncore + pJ/bit · bits per second + Σ over busy cores (C · V(f)² · f · activity + leakage · V/Vmax)
//! activity = stalled + (1 − stalled) · arithmetic's share of the time
//! ```
//!
//! The numbers of each machine stand in [`machines`], those of each model in [`models`], each with where it was published.
//! What nobody publishes is called an assumption; the energy table shows what ± 30 % of each group of them does.

pub mod cpufreq;
pub mod engine;
pub mod machines;
pub mod models;
mod power;
pub mod rig;
mod sensitivity;
mod time;
pub mod work;

pub use power::Load;
pub use sensitivity::Group;
pub use time::{Bound, Step};

/// A processor with its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// What people call it.
    pub name: &'static str,
    /// Cores that compute.
    pub cores: u32,
    /// Lowest clock, in GHz, `cpuinfo_min_freq`.
    pub clock_min: f64,
    /// Highest clock that may be asked for, in GHz, `cpuinfo_max_freq`.
    pub clock_max: f64,
    /// Highest clock that the hardware gives while all cores work, in GHz.
    pub clock_all_cores: f64,
    /// Clocks that can be asked for, in GHz, ascending; empty where any will do.
    pub table: &'static [f64],
    /// The cpufreq driver.
    pub driver: &'static str,
    /// Whether the package counts its energy (RAPL).
    pub metered: bool,
    /// How fast it computes and moves.
    pub speed: Speed,
    /// What it draws.
    pub power: Power,
}

/// The two roofs, and what is above neither.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// Bytes per second that the engine streams at the full clock, in GB/s.
    pub bandwidth: f64,
    /// The share of that bandwidth which is lost at a clock of nought, linearly from the full clock: memory controllers
    /// have clocks of their own, but a slower core asks for less at once.
    pub bandwidth_slope: f64,
    /// Operations (a multiply-accumulate is two) per core and cycle that the engine's matrix kernels reach.
    pub operations_per_cycle: f64,
    /// The share of the shorter of the two times which hides behind the longer.
    pub overlap: f64,
    /// Cycles of each step that neither roof explains.
    pub overhead_cycles: f64,
}

/// What the package and the memory draw, in watts if nothing else is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Power {
    /// The package and its memory at rest, every core in its deepest state.
    pub idle: f64,
    /// What is awake beside the cores while any works: fabric, cache, memory controller.
    pub uncore: f64,
    /// Energy per bit moved from memory, device and controller, in pJ.
    pub memory_picojoules_per_bit: f64,
    /// Switched capacitance of a core in nF: watts = nF · V² · GHz at full activity.
    pub capacitance: f64,
    /// Leakage of an awake core at the highest voltage.
    pub leakage: f64,
    /// Voltage at points of the clock: (GHz, V), ascending, straight lines between them.
    pub voltage: &'static [(f64, f64)],
    /// Activity of a core that only waits for memory, relative to one that computes.
    pub stalled: f64,
    /// What the package may draw for long (PL1, STAPM): the hardware lowers the clock to hold it.
    pub sustained: f64,
    /// The rest of the box at the wall, supply's losses included; no law changes it.
    pub board: f64,
}

/// A language model as the roofline sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name and format.
    pub name: &'static str,
    /// Bytes of weights that every step reads.
    pub weight_bytes: f64,
    /// Parameters that every token is multiplied with.
    pub parameters: f64,
    /// Bytes of KV cache that a token leaves behind.
    pub kv_bytes_per_token: f64,
    /// Layers.
    pub layers: f64,
    /// Width of the attention's queries: heads times the size of a head.
    pub width: f64,
}
