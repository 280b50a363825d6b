//! The daemons on this host, end to end, as clients meet them.
//!
//! Most tests have a made-up model, for what they test is behaviour. Where the answers matter it is SmolLM2.

mod answers;
mod command;
mod conformance;
mod door;
mod kills;
mod life;
mod models;
mod models_door;
mod network;
mod power;
mod store;
mod streams;
mod tls;
