//! `setup cidata`: takes over what a `cidata` drive says, as soon as the drive is there.

use std::path::Path;

use anyhow::{Context, Result};
use machine::BootTime;
use setup::file::LONGEST;
use setup::trial::Source;
use setup::{cidata, digest};

use crate::desk::Desk;
use crate::journal;
use crate::place::{self, Place};

/// How answers call it. In the order of names it comes before the others, so that what they set goes before it.
const NAME: &str = "cidata";

/// Takes over what is in this folder, where the drive is mounted.
pub(crate) fn run(place: &Place, folder: &Path, now: BootTime) -> Result<()> {
    let user_data = place::read(&folder.join("user-data"), LONGEST)?;
    let user_data = user_data.with_context(|| format!("there is no user-data in {}", folder.display()))?;
    let meta_data = place::read(&folder.join("meta-data"), LONGEST)?.unwrap_or_default();
    let mut desk = Desk::open(place)?;
    let digest = digest(&[user_data.as_slice(), &meta_data].concat());
    if desk.state().kept().has_read(NAME, &digest) {
        return Ok(());
    }
    match cidata::parse(&user_data, &meta_data) {
        Ok((settings, notes)) => {
            notes.iter().for_each(|note| journal::info(note));
            let before = desk.state().network().clone();
            let source = Source {
                name: NAME.to_owned(),
                settings,
                digest,
                notes,
            };
            desk.take(source, now)?;
            desk.render_now(&before)
        }
        Err(problems) => desk.refuse(NAME, &problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_names_a_running_machine_once() {
        let root = tempfile::tempdir().unwrap();
        let drive = tempfile::tempdir().unwrap();
        let place = Place::new(root.path());
        let name = || place.read("var/lib/hearth/config/hostname", 99).unwrap().unwrap();
        std::fs::write(drive.path().join("user-data"), "#cloud-config\nhostname: vm-7\n").unwrap();
        run(&place, drive.path(), BootTime(1)).unwrap();
        assert_eq!(name(), b"vm-7\n");
        assert!(
            place.at("run/hearth/setup/changed").exists(),
            "the running system is told"
        );
        let mut desk = Desk::open(&place).unwrap();
        let mut next = desk.state().clone();
        let mine = setup::settings::Network {
            hostname: "mine".parse().unwrap(),
            ..next.network().clone()
        };
        next.begin(mine, BootTime(1));
        next.keep();
        desk.save(next).unwrap();
        drop(desk);
        run(&place, drive.path(), BootTime(2)).unwrap();
        let desk = Desk::open(&place).unwrap();
        assert_eq!(desk.state().network().hostname.to_string(), "mine");
    }

    #[test]
    fn a_drive_without_user_data_is_an_error() {
        let (root, drive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let error = run(&Place::new(root.path()), drive.path(), BootTime(1)).unwrap_err();
        assert!(error.to_string().contains("no user-data"), "{error}");
    }
}
