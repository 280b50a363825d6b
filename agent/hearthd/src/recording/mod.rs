//! Recordings of everything the laws were told, so that a fault in the field becomes a fixture.
//!
//! The format is [`machine::Record`], one JSON text a line. Replaying gives the decisions that were taken.

mod command;
mod reader;
mod recorder;
mod replay;
mod screen;

pub(crate) use command::{RecordOptions, ReplayOptions, record, replay};
pub(crate) use recorder::Recorder;
