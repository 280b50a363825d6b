//! `setup watch`: stands by while a network is tried, and keeps it or takes it back. Whoever is started after it was killed
//! goes on where it was.

use std::net::Ipv4Addr;
use std::thread;

use anyhow::Result;
use machine::BootTime;
use setup::trial::{LOOK, Seen, Verdict};

use crate::desk::Desk;
use crate::journal;
use crate::place::Place;

/// Stands by until nothing is tried. `look` tells what is seen, `ask` has a machine answer.
pub(crate) fn run(
    place: &Place,
    look: impl Fn() -> Seen,
    ask: impl Fn(Ipv4Addr),
    now: impl Fn() -> Result<BootTime>,
) -> Result<()> {
    loop {
        let mut desk = Desk::open(place)?;
        let Some(trial) = desk.state().trial() else {
            return Ok(());
        };
        let now = now()?;
        let asked = trial.to_ask();
        let mut next = desk.state().clone();
        let wait = match trial.judge(now, &look()) {
            Verdict::Keep => {
                journal::info("the network that was tried is kept: another machine has answered");
                next.keep();
                return desk.save(next);
            }
            Verdict::TakeBack => {
                journal::warn("the network that was tried is taken back: nobody has confirmed it");
                next.take_back();
                return desk.put_back(next);
            }
            Verdict::BeginAnew => {
                next.begin_anew(now);
                desk.save(next)?;
                LOOK
            }
            Verdict::Wait(time) => time,
        };
        drop(desk);
        asked.into_iter().for_each(&ask);
        thread::sleep(wait);
    }
}

#[cfg(test)]
mod tests;
