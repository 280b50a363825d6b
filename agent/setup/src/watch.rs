//! `setup watch`: stands by while a network is tried, and keeps it or takes it back. Whoever is started after it was killed
//! goes on where it was.

use std::thread;

use anyhow::Result;
use machine::BootTime;
use setup::settings::Ipv4;
use setup::trial::{Trial, Verdict};

use crate::desk::Desk;
use crate::place::Place;

/// Stands by until nothing is tried. `neighbours` are the addresses of machines that have answered this one.
pub(crate) fn run(
    place: &Place,
    neighbours: impl Fn() -> Vec<std::net::Ipv4Addr>,
    now: impl Fn() -> Result<BootTime>,
) -> Result<()> {
    loop {
        let mut desk = Desk::open(place)?;
        let Some(trial) = &desk.trial else {
            return Ok(());
        };
        match trial.judge(now()?, is_heard(trial, &neighbours())) {
            Verdict::Keep => return desk.keep(),
            Verdict::TakeBack => return desk.take_back(),
            Verdict::Wait(time) => {
                drop(desk);
                thread::sleep(time);
            }
        }
    }
}

fn is_heard(trial: &Trial, neighbours: &[std::net::Ipv4Addr]) -> bool {
    match &trial.network.ipv4 {
        Ipv4::Static(fixed) => neighbours.iter().any(|&other| fixed.net().is_neighbour(other)),
        Ipv4::Dhcp => false,
    }
}
