//! Tokens: models and their graphs, chat templates, sequences, the scheduler and the model's own thread.
//!
//! What is absent: this crate knows no HTTP, no D-Bus and no systemd. The model's thread has no async code; the handles'
//! async functions only wait on channels. Time is asked only to measure, to choose a way of computing, and to tell how long
//! nobody has come back to a conversation; what is answered never depends on it.

pub mod activity;
mod bpe;
pub mod capacity;
pub mod catalog;
pub mod engine;
pub mod error;
pub mod family;
pub mod graph;
pub mod hyperparameters;
mod keys;
pub mod kv;
pub mod model;
pub mod pace;
pub mod parking;
mod quote;
pub mod request;
pub mod sampler;
pub mod scheduler;
mod sequence;
pub mod solo;
pub mod stop;
pub mod template;
pub mod text;
#[cfg(any(test, feature = "tiny-model"))]
pub mod tiny;
pub mod vocabulary;
