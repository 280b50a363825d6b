//! The disk takes no more.

use std::time::Instant;

use anyhow::{Context, Result};
use tests::wait;

use super::{ENGINE, PATIENCE, Row, answer, answered, break_it};
use crate::guest::{Guest, MODEL};

/// What can be written to at any other time.
const WRITABLE: [&str; 2] = ["/var", "/var/lib/hearth/models"];
/// Leaves 4 KiB of `/var`, and then nothing.
const FILL: &str = "fallocate -l $(($(df --output=avail -B1 /var | tail -1) - 4096)) /var/full; \
    dd if=/dev/zero of=/var/full.2 bs=4k status=none 2>/dev/null; true";

/// All file systems at once, whoever writes to them, as where a disk fails: `mount` would refuse it for the journal's sake.
pub(super) fn read_only(guest: &mut Guest) -> Result<Row> {
    let (_, begin) = break_it(guest, "echo u > /proc/sysrq-trigger")?;
    wait::until("a read-only /var", PATIENCE, || {
        let options = guest.run("findmnt --noheadings --output OPTIONS /var")?;
        Ok(options.starts_with("ro,").then_some(()))
    })?;
    let row = goes_on(guest, begin);
    for place in WRITABLE {
        guest.sudo(&format!("mount -o remount,rw {place}"))?;
    }
    row
}

pub(super) fn full(guest: &mut Guest) -> Result<Row> {
    let (_, begin) = break_it(guest, FILL)?;
    let row = goes_on(guest, begin);
    guest.sudo("rm -f /var/full /var/full.2")?;
    row
}

/// Nothing that answers need is written: not by an engine that runs, nor by one that starts.
fn goes_on(guest: &mut Guest, begin: Instant) -> Result<Row> {
    let answered = answered(guest, begin)?;
    guest.client().get("/api/v1/status")?.expect(200)?;
    guest.sudo(&format!("systemctl restart {ENGINE}"))?;
    answer(guest, MODEL).context("after a restart the engine does not answer")?;
    Ok(Row {
        noticed_by: "nobody needs to: answers go on",
        answered: Some(answered),
        note: "also after a restart of the engine".to_owned(),
        ..Row::default()
    })
}
