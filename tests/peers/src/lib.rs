//! The engine beside its peers: llama.cpp as Debian builds it and stock candle, on the same model files.
//!
//! Every engine is a process of its own that is told what to do and says how fast it was; what is compared was run in
//! turns, A, B, A, B, so that whatever else the machine did fell on all of them. Nothing here is part of the appliance.

pub mod answers;
pub mod candle;
pub mod candle_whole;
pub mod corpus;
pub mod divergence;
pub mod engines;
pub mod hearth;
pub mod kv;
pub mod llama_server;
pub mod logits;
pub mod machine;
pub mod memory_group;
pub mod parts;
pub mod rows;
pub mod sandbox;
pub mod statistics;
pub mod stored;
pub mod subject;
