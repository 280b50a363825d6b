//! The control laws: pure functions of what the machine shows, from a [`machine::Sample`] to a [`machine::Decision`].
//!
//! No IO, no clock (time is a part of the sample), no randomness, and no NaN passes the border.
#![no_std]

extern crate alloc;

mod arbiter;
mod budget;
mod controller;
mod dvfs;
mod fans;
mod ladder;
mod sensors;
mod share;
mod supply;
mod thermal;
mod utilisation;

pub use controller::Controller;
pub use dvfs::{Dvfs, PowerWish};
pub use utilisation::{Meter, Utilisation};
