//! The control laws: pure functions of what the machine shows, from a [`machine::Sample`] to a [`machine::Decision`].
//!
//! No IO, no clock (time is a part of the sample), no randomness, and no NaN passes the border: everything comes in as
//! integers, or is checked.
//!
//! [`Controller::step`] asks, in this order:
//!
//! 1. **What is drawn?** [`Meter`] makes shares of `/proc/stat`'s counters; busy share times clock squared is the share
//!    of full power (`share`).
//! 2. **How hot is it?** `sensors` weighs every temperature. What is missing, absurd, frozen or contradicted is named, and
//!    never makes the assumed temperature lower; while none of the processor's sensors is believed, a clock is held that
//!    needs none.
//! 3. **How much power does heat permit?** `thermal` holds a target temperature by the clock, without knowing the machine,
//!    and says when it wants to look again: every 100 ms while it holds, every 5 s far away from the target.
//! 4. **What if the clock does not do?** `ladder` takes processor time, then slots, from the engine, stops it: only for
//!    sensors that have ever moved. It powers off before the firmware cuts: only on several readings of a sensor that is
//!    believed, against the critical temperature of that very sensor's zone. Each step has its reason with it, and is
//!    undone in the same order, with hysteresis.
//! 5. **What does the engine's phase want?** [`Dvfs`], under the profile in force: a hold, the battery, or the choice.
//! 6. **Who wins?** `arbiter`: safety first; of two clocks the lower one.
//!
//! Apart from all that, and only while nothing is asked: **who can give memory back?** [`Reclaimer`] takes a
//! [`machine::MemorySample`], and says how much of which control group. And at any time: **is memory short?**
//! [`PressureLaw`] takes a [`machine::PressureSample`], and says how far the engine gives memory up.
//!
//! What holds of all this on any machine is stated in `tests/properties`: wishes lie within what the machine can; hotter
//! never permits more; a lost sensor never cools less; the same trace leads to the same decisions. That it holds heat is
//! shown in `tests/closed_loop.rs`, over plants drawn by lot; `examples/closed_loop.rs` prints the figures.
#![no_std]

extern crate alloc;

mod arbiter;
mod budget;
mod controller;
mod dvfs;
mod fans;
mod ladder;
mod pressure;
mod reclaim;
mod sensors;
mod share;
mod supply;
mod thermal;
mod utilisation;

pub use controller::Controller;
pub use dvfs::{Dvfs, PowerWish};
pub use pressure::{
    CALM_USEC, LAST_SETTLE_USEC, LEAST_CONTEXT, LITTLE_AVAILABLE, LONG_CALM_USEC, PressureLaw,
    SETTLE_USEC as PRESSURE_SETTLE_USEC, WHOLE_CONTEXT,
};
pub use reclaim::{BITE, CRUMB, FELT, MemoryGoal, Reclaimer, SETTLE_USEC};
pub use utilisation::{Meter, Utilisation};
