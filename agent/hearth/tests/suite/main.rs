//! The command as people meet it: the program itself, with a fake gateway on a Unix socket or on loopback.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod certificates;
mod command;
mod gateway;

mod administering;
mod asking;
mod calling;
mod managing;
mod models;
mod resuming;
mod screen;
mod trusting;
