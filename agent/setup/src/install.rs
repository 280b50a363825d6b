//! `setup install`: copies the appliance to the internal disk, as `hearth.toml` wants it. What is copied say the definitions
//! for systemd-repart; which disk, `setup::disks`.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use setup::copies;
use setup::disks::{self, Choice, Chosen};
use setup::file::LONGEST;

use crate::boot::CONFIG;
use crate::desk::{Desk, INSTALL, Order};
use crate::journal;
use crate::place::Place;

/// What systemd-repart makes of the disk: the same of each, and what is this copy's own.
const DEFINITIONS: &str = "/usr/lib/hearth/install.d";
const OWN_DEFINITIONS: &str = "run/hearth/setup/install.d";
/// What `hearth-result.service` brings to CONFIG beside the answers.
const COPIES: &str = "run/hearth/setup/hearth-installed.txt";

/// Does it, if it is wanted; it is tried once. The answer says how it went. A copy that is whole ends this system: nothing
/// runs from its disk any more that would have to be kept.
pub(crate) fn run(place: &Place) -> Result<()> {
    let Some(order) = place.load::<Order>(INSTALL)? else {
        bail!("nothing is to be installed: {INSTALL} is not there");
    };
    place.remove(INSTALL)?;
    let done = carry_out(place, &order);
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

fn carry_out(place: &Place, order: &Order) -> Result<Choice> {
    let listing = output(Command::new("lsblk").args(["--json", "--bytes", "--output", disks::COLUMNS]))?;
    let devices = disks::parse(&listing).map_err(anyhow::Error::msg)?;
    let choice = disks::choose(&devices, &order.install).map_err(anyhow::Error::msg)?;
    if let Choice::Copy(disk) = &choice {
        copy(place, disk, order)?;
    }
    Ok(choice)
}

/// Before a disk is written to, it stands on CONFIG by what text: after a factory reset that is read anew. `bring` brings it
/// there.
fn remember(place: &Place, digest: &str, bring: impl FnOnce() -> Result<()>) -> Result<()> {
    let path = format!("{CONFIG}/{}", copies::NAME);
    let read = || {
        let copies = place.read(&path, LONGEST)?.unwrap_or_default();
        anyhow::Ok(String::from_utf8_lossy(&copies).into_owned())
    };
    let written = copies::with(&read()?, digest);
    place.write(Path::new(COPIES), written.as_bytes(), 0o644)?;
    bring().with_context(|| format!("cannot write {path}"))?;
    ensure!(
        copies::has(&read()?, digest),
        "{path} could not be written, by which it is known later that this was done; is the stick protected against \
         writing, or CONFIG full?"
    );
    Ok(())
}

/// Has what lies ready for CONFIG written there.
fn bring() -> Result<()> {
    output(Command::new("systemctl").args(["restart", "hearth-result.service"])).map(drop)
}

/// What is this copy's own: the ESP's identifier, by which a machine that has several tells which it was started from.
fn define(place: &Place) -> Result<()> {
    let identifier = output(Command::new("systemd-id128").args(["new", "--uuid"]))?;
    let definition = format!("[Partition]\nUUID={}", String::from_utf8_lossy(&identifier));
    let path = Path::new(OWN_DEFINITIONS).join("00-esp.conf.d/own.conf");
    place.write(&path, definition.as_bytes(), 0o644)
}

/// repart itself refuses nothing but a partition table that may not be erased, and signatures of two kinds hide each other:
/// without the word the disk must be seen to be empty.
fn copy(place: &Place, disk: &Chosen, order: &Order) -> Result<()> {
    let erase = order.install.erase;
    let path = Path::new("/dev").join(&disk.name);
    if !erase {
        let device = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_blank = disks::is_blank(device).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(is_blank, disks::full(disk));
    }
    remember(place, &order.digest, bring)?;
    define(place)?;
    let mut repart = Command::new("systemd-repart");
    repart.args(["--dry-run=no", "--no-pager", "--definitions", DEFINITIONS]);
    repart.arg("--definitions").arg(place.at(OWN_DEFINITIONS));
    repart.arg(if erase { "--empty=force" } else { "--empty=require" });
    output(repart.arg(path)).map(drop)
}

/// The answer is brought to CONFIG before the power is off, where that can be.
fn power_off() -> Result<()> {
    if let Err(error) = bring() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_erased_that_could_not_be_remembered() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path());
        let digest = setup::digest(b"a text");
        let error = remember(&place, &digest, || Ok(())).unwrap_err().to_string();
        assert!(error.contains("config/hearth-installed.txt"), "{error}");
        let protected = remember(&place, &digest, || bail!("read-only")).unwrap_err();
        assert!(format!("{protected:#}").contains("read-only"), "{protected:#}");
        let bring = || {
            place.write(
                Path::new("config/hearth-installed.txt"),
                &std::fs::read(place.at(COPIES))?,
                0o644,
            )
        };
        remember(&place, &digest, bring).unwrap();
        let another = setup::digest(b"another");
        remember(&place, &another, bring).unwrap();
        let copies = std::fs::read_to_string(place.at("config/hearth-installed.txt")).unwrap();
        assert!(
            copies::has(&copies, &digest) && copies::has(&copies, &another),
            "{copies}"
        );
    }
}
