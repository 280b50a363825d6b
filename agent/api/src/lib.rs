//! What crosses a process boundary: the management REST types, OpenAI's shapes, the agent's names on
//! the bus, and the phase record.
//!
//! Types only. The daemons share this crate and never a library of one another.

pub mod agent;
pub mod engine;
pub mod import;
pub mod jobs;
pub mod memory;
pub mod models;
pub mod network;
pub mod openai;
pub mod phase;
pub mod power;
pub mod rest;
pub mod samples;
pub mod setup;
pub mod system;
pub mod tls;
pub mod uploads;
