//! `vm prove disks`: a stick and an internal disk of the same version in one machine. Each system is of the disk that it was
//! started from, and a factory reset of the stick's leaves the other disk as it is.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use setup::{copies, digest};
use tests::report::{Report, seconds, step};
use tests::vm::{DISK, Drive, Setup, quote};

use crate::checks::disk::{layout, runs_from};
use crate::checks::settled;
use crate::checks::setup::{answer, apply, write};
use crate::guest::Guest;
use crate::parts::Parts;

/// The internal disk's file.
const INTERNAL: &str = "internal.raw";
/// What the stick has copied itself by, and would do again.
const WISH: &str = "[install]\nto = \"internal\"\ndisk = \"the only one\"\nconfirm = \"erase\"\n";

/// Boots from the one, from the other, and resets that.
pub(crate) fn run(parts: &Parts, report: &mut Report) -> Result<()> {
    let mut setup = Setup::new(parts.paths.cache())?;
    if let Err(error) = boots(parts, &mut setup, report) {
        report.record("the run goes to its end", Duration::ZERO, Err(error));
    }
    if !report.failures().is_empty() {
        setup.keep();
    }
    Ok(())
}

fn boots(parts: &Parts, setup: &mut Setup, report: &mut Report) -> Result<()> {
    let (stick, internal) = (Drive::stick(DISK), Drive::internal(INTERNAL));
    parts.flash(setup, String::new(), None)?;
    fs::rename(setup.path(&stick), setup.path(&internal)).context("cannot rename the disk")?;
    parts.flash(setup, String::new(), None)?;
    setup.set_drives(vec![internal.clone(), stick.clone()]);
    let mut guest = boot(setup, "boot from the internal disk, a fresh stick beside it")?;
    report.check("the internal disk's system is its own", || {
        runs_from(&mut guest, "vda")
    });
    step("shut the machine down", || guest.machine.power_off())?;
    setup.set_drives(vec![stick, internal.clone()]);
    setup.expect_another_host()?;
    let internal = setup.path(&internal);
    let untouched = written(&internal)?;
    let mut guest = boot(setup, "boot from the stick, which begins anew")?;
    report.check("the stick's system is its own", || runs_from(&mut guest, "sda"));
    report.check("the stick gets its final layout", || layout(&mut guest));
    let before = guest.run("cat /etc/machine-id")?;
    report.check("a factory reset is ordered on the stick", || reset(guest));
    report.check("the partitions are made anew, and it restarts once", || {
        Ok(seconds(setup.boot_to_its_end()?))
    });
    setup.expect_another_host()?;
    let mut guest = boot(setup, "boot from the stick again")?;
    report.check("the stick's system was made anew, and is its own", || {
        ensure!(
            guest.run("cat /etc/machine-id")? != before,
            "the machine-id is the same"
        );
        runs_from(&mut guest, "sda")
    });
    report.check("what the stick was copied by erases nothing again", || {
        // The reset has taken it off CONFIG, and its owner puts it there again.
        write(&mut guest, WISH)?;
        apply(&mut guest)?;
        answer(&mut guest, "is not copied again").map(|_| String::new())
    });
    report.check("no unit has failed on the stick", || {
        settled::no_failed_units(&mut guest)
    });
    report.check("nothing was written to the internal disk", || {
        ensure!(
            written(&internal)? == untouched,
            "{} was written to",
            internal.display()
        );
        Ok(String::new())
    });
    Ok(())
}

/// Has the stick be one that was copied to an internal disk, and resets it.
fn reset(mut guest: Guest) -> Result<String> {
    write(&mut guest, WISH)?;
    let copied = copies::with("", &digest(WISH.as_bytes()));
    guest.sudo(&format!(
        "mount -o remount,rw /config && printf %s {} >/config/{}; mount -o remount,ro /config",
        quote(&copied),
        copies::NAME
    ))?;
    let name = json!({"confirm": guest.run("hostname")?});
    let client = guest.client();
    client.post("/api/v1/system/factory-reset", &name)?.expect(202)?;
    Ok(seconds(guest.machine.ended()?))
}

/// By a credential the run's key counts also where a reset has taken it off CONFIG.
fn boot(setup: &Setup, what: &str) -> Result<Guest> {
    let keys = [setup.keys().credential()];
    let mut machine = step(what, || setup.boot(&keys))?;
    let token = machine.wait_for_token()?;
    Ok(Guest { machine, token })
}

/// When a drive's file was written to last.
fn written(drive: &Path) -> Result<SystemTime> {
    let metadata = drive.metadata().and_then(|metadata| metadata.modified());
    metadata.with_context(|| format!("cannot look at {}", drive.display()))
}
