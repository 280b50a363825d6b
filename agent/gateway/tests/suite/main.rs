//! The gateway as others meet it: the program itself on loopback, with a fake inferd behind it.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod agent;
mod client;
mod engine;
mod process;

mod access;
mod conditions;
mod ending;
mod events;
mod interface;
mod jobs;
mod limits;
mod management;
mod metrics;
mod models;
mod network;
mod page;
mod power;
mod session;
mod streaming;
mod system;
mod systemd;
mod tls;
mod unit;
mod uploads;
