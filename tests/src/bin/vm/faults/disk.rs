//! The disk takes no more.

use anyhow::{Context, Result, ensure};

use super::{ENGINE, Row, answer, answered, break_it};
use crate::guest::{Guest, MODEL};

pub(super) fn read_only(guest: &mut Guest) -> Result<Row> {
    let (_, begin) = break_it(guest, "mount -o remount,ro /var")?;
    let answered = answered(guest, begin);
    let health = guest.client().get("/api/v1/status")?.status();
    guest.sudo("mount -o remount,rw /var")?;
    ensure!(health == 200, "the status is refused with {health}");
    Ok(Row {
        noticed_by: "nobody needs to: answers go on",
        answered: Some(answered?),
        ..Row::default()
    })
}

pub(super) fn full(guest: &mut Guest) -> Result<Row> {
    let (_, begin) = break_it(
        guest,
        "fallocate -l $(($(df --output=avail -B1 /var | tail -1) - 4096)) /var/full; dd if=/dev/zero of=/var/full.2 bs=4k status=none 2>/dev/null; true",
    )?;
    let answered = answered(guest, begin);
    let restarted = guest
        .sudo(&format!("systemctl restart {ENGINE}"))
        .and_then(|_| answer(guest, MODEL));
    guest.sudo("rm -f /var/full /var/full.2")?;
    restarted.context("on a full disk the engine does not start again")?;
    Ok(Row {
        noticed_by: "nobody needs to: answers go on",
        answered: Some(answered?),
        note: "also after a restart of the engine".to_owned(),
        ..Row::default()
    })
}
