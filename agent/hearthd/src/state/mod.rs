//! What outlives a run of hearthd: people's wishes, and why the machine was powered off.

mod file;
mod power_off;
mod wishes;

pub(crate) use file::{FileError, load, load_or_set_aside, remove, save, save_compact};
pub(crate) use power_off::PowerOff;
pub(crate) use wishes::{Ended, NewHold, Owner, Refusal, WishBook};
