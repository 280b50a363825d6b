//! `setup boot`: reads what the owner has put on CONFIG or handed over as a credential, and brings all files to it, before
//! the network starts.

use std::path::Path;

use anyhow::Result;
use machine::BootTime;
use setup::file::{LONGEST, NAME};
use setup::trial::Source;
use setup::{digest, parse, render};

use crate::desk::Desk;
use crate::journal;
use crate::place::{self, Place};

/// Where CONFIG is mounted.
const CONFIG: &str = "config";
/// How the credential is called, and what answers say of it. What is on CONFIG comes later in the order of names, and so
/// takes its place.
const CREDENTIAL: (&str, &str) = ("hearth.toml", "credential hearth.toml");

/// Does it. `credentials` is the folder of the unit's credentials, if it has any.
pub(crate) fn run(place: &Place, credentials: Option<&Path>, now: BootTime) -> Result<()> {
    let mut desk = Desk::open(place)?;
    let before = desk.network().clone();
    let given = credentials.map(|folder| place::read(&folder.join(CREDENTIAL.0), LONGEST));
    let given = given.transpose().map(Option::flatten);
    let on_config = place.read(&format!("{CONFIG}/{NAME}"), LONGEST);
    for (name, text) in [(CREDENTIAL.1, given), (NAME, on_config)] {
        // A drive that cannot be read must not keep the rest from being there.
        match text {
            Ok(Some(text)) => read(place, &mut desk, name, &text, now)?,
            Ok(None) => {}
            Err(error) => journal::warn(&format!("{error:#}")),
        }
    }
    desk.render(&before)
}

fn read(place: &Place, desk: &mut Desk<'_>, name: &str, text: &[u8], now: BootTime) -> Result<()> {
    let digest = digest(text);
    if desk.kept.has_read(name, &digest) {
        return Ok(());
    }
    match parse(text, |zone| is_zone(place, zone)) {
        Ok(settings) => {
            let name = name.to_owned();
            let source = Source {
                name,
                settings,
                digest,
            };
            desk.take(source, &[], now)
        }
        Err(problems) => desk.refuse(name, &problems),
    }
}

/// Whether the time zone database has a zone of this name, which leads nowhere else.
pub(crate) fn is_zone(place: &Place, name: &str) -> bool {
    place.at(render::ZONES).join(name).is_file()
}
