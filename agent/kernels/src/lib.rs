//! Arithmetic on quantised weights: packed layouts, products, attention and the operators between them.
//!
//! One binary serves every x86-64 machine: each operator has a path for each instruction set ([`path::Path`]), and
//! which one runs is a value, chosen once by measuring. All paths give the same bits, because the order of rounding
//! is part of each operator's definition: integers are summed exactly inside a block of 32 columns, and blocks are
//! added in order of columns by fused multiply-add. So a token depends neither on the machine, nor on the number of
//! threads, nor on what else is in the batch.
//!
//! What is absent: this crate knows no file, no model and no clock but those that [`path`] measures and
//! [`pool`] waits with. All `unsafe` code that computes is here.

pub mod activations;
pub mod attention;
pub mod compute;
pub mod cpu;
pub mod kind;
pub mod kv;
pub mod layout;
pub mod matrix;
pub mod ops;
pub mod path;
pub mod pool;
pub mod product;
pub mod shared;
