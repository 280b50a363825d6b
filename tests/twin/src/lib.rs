//! Simulated hardware, the part without IO: what a machine looks like to its kernel, and how its heat behaves.

pub mod asl;
pub mod description;
pub mod plant;
pub mod range;
pub mod registers;
pub mod roofline;
pub mod trace;
