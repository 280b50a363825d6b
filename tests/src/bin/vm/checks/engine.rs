//! The engine's unit in an administrator's hand: `hearth engine`.

use std::time::{Duration, Instant};

use ::tests::client::brief;
use ::tests::report::seconds;
use ::tests::wait;
use anyhow::{Result, ensure};

use crate::guest::{Guest, MODEL};

const ENGINE: &str = "hearth-inferd.service";
/// How long hearthd may take to have put a limit back after its own start.
const BACK: Duration = Duration::from_secs(60);
/// 1 GiB, less than the unit's own limit in a guest of 2.
const MEMORY_MAX: &str = "1073741824";
/// The limit that must outlive a boot.
const WEIGHT: &str = "50";

/// Limits are the unit's at once and again after a restart of hearthd, and go when nobody wants them any more; a stopped
/// engine answers nobody, and tells why, until it is started.
pub(crate) fn obeys_an_administrator(guest: &mut Guest) -> Result<String> {
    limits_hold(guest)?;
    guest.run("hearth engine stop")?;
    let refused = guest
        .client()
        .post("/v1/chat/completions", &brief(MODEL, "Say yes.", 2))?;
    let refused = refused.expect(503)?.text();
    let is_told = ["engine_held", "hearth engine start"]
        .iter()
        .all(|words| refused.contains(words));
    ensure!(is_told, "it is not told why: {refused}");
    let state = guest.show(ENGINE, "ActiveState")?;
    ensure!(state == "inactive", "the unit is {state}");
    let begin = Instant::now();
    guest.run("hearth engine start")?;
    guest.awaken()?;
    Ok(format!(
        "limited and not any more; stopped: 503 engine_held; started: answered after {}",
        seconds(begin.elapsed())
    ))
}

fn limits_hold(guest: &mut Guest) -> Result<()> {
    let own = guest.show(ENGINE, "MemoryMax")?;
    ensure!(own != MEMORY_MAX, "the unit's own limit is the one to be set");
    guest.run("hearth engine limit --memory-max 1G")?;
    let now = guest.show(ENGINE, "MemoryMax")?;
    ensure!(now == MEMORY_MAX, "MemoryMax is {now}");
    guest.sudo("systemctl restart hearthd.service")?;
    comes_back(guest, "MemoryMax", MEMORY_MAX)?;
    guest.run("hearth engine limit --reset")?;
    let now = guest.show(ENGINE, "MemoryMax")?;
    ensure!(now == own, "MemoryMax was {own} and is {now}");
    Ok(())
}

/// Sets a limit, which the next boot must find.
pub(crate) fn is_limited(guest: &mut Guest) -> Result<String> {
    guest.run(&format!("hearth engine limit --cpu-weight {WEIGHT}"))
}

/// The limit that was set in the boot before is in force, and goes when nobody wants it any more.
pub(crate) fn is_still_limited(guest: &mut Guest) -> Result<String> {
    comes_back(guest, "CPUWeight", WEIGHT)?;
    guest.run("hearth engine limit --reset")?;
    let now = guest.show(ENGINE, "CPUWeight")?;
    ensure!(now == "[not set]", "CPUWeight is {now}");
    Ok(format!("CPUWeight {WEIGHT}"))
}

fn comes_back(guest: &mut Guest, property: &str, value: &str) -> Result<()> {
    wait::until(&format!("{property} of {value}"), BACK, || {
        Ok((guest.show(ENGINE, property)? == value).then_some(()))
    })
}
