//! The control laws: pure functions of what the machine shows, from a [`machine::Sample`] to a [`machine::Decision`].
//!
//! No IO, no clock (time is a part of the sample), no randomness, and no NaN passes the border.
#![no_std]

mod controller;

pub use controller::Controller;
