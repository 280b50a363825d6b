//! `setup install`: copies the appliance to the internal disk, as `hearth.toml` wants it. What is copied say the definitions
//! for systemd-repart; which disk, `setup::disks`.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use setup::disks::{self, Choice, Chosen};
use setup::settings::Install;

use crate::desk::{Desk, INSTALL};
use crate::journal;
use crate::place::Place;

/// What systemd-repart makes of the disk.
const DEFINITIONS: &str = "/usr/lib/hearth/install.d";

/// Does it, if it is wanted; it is tried once. The answer says how it went. A copy that is whole ends this system: nothing
/// runs from its disk any more that would have to be kept.
pub(crate) fn run(place: &Place) -> Result<()> {
    let Some(install) = place.load::<Install>(INSTALL)? else {
        bail!("nothing is to be installed: {INSTALL} is not there");
    };
    place.remove(INSTALL)?;
    let done = carry_out(&install);
    let said = match &done {
        Ok(Choice::Copy(disk)) => format!(
            "The appliance is on {}. The machine powers off; take the stick out and switch it on.",
            disk.description
        ),
        Ok(Choice::RunsFrom(disk)) => {
            format!(
                "The appliance runs from {}; nothing was copied.",
                disk.description
            )
        }
        Err(error) => format!("The appliance was NOT installed: {error:#}."),
    };
    journal::info(&said);
    // A copy that is whole is worth more than the answer.
    if let Err(error) = append(place, &said) {
        journal::error(&format!("{error:#}"));
    }
    match done? {
        Choice::Copy(_) => power_off(),
        Choice::RunsFrom(_) => Ok(()),
    }
}

fn carry_out(install: &Install) -> Result<Choice> {
    let listing = output(Command::new("lsblk").args(["--json", "--bytes", "--output", disks::COLUMNS]))?;
    let devices = disks::parse(&listing).map_err(anyhow::Error::msg)?;
    let choice = disks::choose(&devices, install).map_err(anyhow::Error::msg)?;
    if let Choice::Copy(disk) = &choice {
        copy(disk, install.erase)?;
    }
    Ok(choice)
}

/// repart itself refuses nothing but a partition table that may not be erased, and signatures of two kinds hide each other:
/// without the word the disk must be seen to be empty.
fn copy(disk: &Chosen, erase: bool) -> Result<()> {
    let path = Path::new("/dev").join(&disk.name);
    if !erase {
        let device = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_blank = disks::is_blank(device).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(is_blank, disks::full(disk));
    }
    let mut repart = Command::new("systemd-repart");
    repart.args(["--dry-run=no", "--no-pager", "--definitions", DEFINITIONS]);
    repart.arg(if erase { "--empty=force" } else { "--empty=require" });
    output(repart.arg(path)).map(drop)
}

/// The answer is brought to CONFIG before the power is off, where that can be.
fn power_off() -> Result<()> {
    let answered = output(Command::new("systemctl").args(["restart", "hearth-result.service"]));
    if let Err(error) = answered {
        journal::error(&format!("{error:#}"));
    }
    output(Command::new("systemctl").args([
        "--no-block",
        "--job-mode=replace-irreversibly",
        "start",
        "poweroff.target",
    ]))
    .map(drop)
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{program} ended with {}: {}", output.status, words.trim());
    }
    Ok(output.stdout)
}

fn append(place: &Place, said: &str) -> Result<()> {
    let mut desk = Desk::open(place)?;
    let mut next = desk.state().clone();
    next.installed(said);
    desk.save(next)
}
