//! What crosses a process boundary: the management REST types, OpenAI's shapes, and the agent's names on the bus.
//!
//! Types only. The daemons share this crate and never a library of one another.

pub mod agent;
pub mod openai;
pub mod rest;
