//! `setup boot`: reads what the owner has put on CONFIG or handed over as a credential, and brings all files to it, before
//! the network starts.

use std::path::Path;

use anyhow::Result;
use machine::BootTime;
use setup::file::{LONGEST, NAME, Problem};
use setup::settings::Settings;
use setup::trial::Source;
use setup::{copies, digest, parse, render};

use crate::desk::Desk;
use crate::place::{self, Place};

/// Where CONFIG is mounted.
pub(crate) const CONFIG: &str = "config";
/// How the credential is called, and what answers say of it. What is on CONFIG comes later in the order of names, and so
/// goes before it.
const CREDENTIAL: (&str, &str) = ("hearth.toml", "credential hearth.toml");

/// Does it. `credentials` is the folder of the unit's credentials, if it has any. Whatever is wrong with a file, or with the
/// disk that keeps what it sets: the machine comes up as it can, and the first error is told at the end.
pub(crate) fn run(place: &Place, credentials: Option<&Path>, now: BootTime) -> Result<()> {
    let (mut desk, settled) = Desk::open_anyway(place)?;
    let before = desk.state().network().clone();
    let given = credentials.map(|folder| place::read(&folder.join(CREDENTIAL.0), LONGEST));
    let given = given.transpose().map(Option::flatten);
    let on_config = place.read(&format!("{CONFIG}/{NAME}"), LONGEST);
    let mut done = settled.and(desk.start()).and(desk.forget_reset());
    for (name, text) in [(CREDENTIAL.1, given), (NAME, on_config)] {
        let read = match text {
            Ok(text) => read(place, &mut desk, name, text.as_deref(), now),
            Err(error) => {
                let problem = Problem::of_file(format!("it cannot be read: {error:#}"));
                desk.refuse(name, &[problem]).and(Err(error))
            }
        };
        done = done.and(read);
    }
    let rendered = desk.render(&before);
    done.and(rendered)
}

fn read(place: &Place, desk: &mut Desk<'_>, name: &str, text: Option<&[u8]>, now: BootTime) -> Result<()> {
    let new = text
        .map(|text| (text, digest(text)))
        .filter(|(_, digest)| !desk.state().kept().has_read(name, digest));
    let Some((text, digest)) = new else {
        if name == NAME && text.is_none() && place.at(format!("{CONFIG}/{NAME}.txt")).exists() {
            // As Windows saves it, which does not show that it does.
            let problem = format!("it is called {NAME}.txt; take the .txt away");
            return desk.refuse(name, &[Problem::of_file(problem)]);
        }
        let mut next = desk.state().clone();
        next.excuse(name);
        return desk.save(next);
    };
    match parse(text, |zone| is_zone(place, zone)) {
        Ok(settings) => {
            let source = Source {
                name: name.to_owned(),
                settings,
                digest,
                notes: Vec::new(),
            };
            desk.take(without_old_wish(place, source), now)
        }
        Err(problems) => desk.refuse(name, &problems),
    }
}

/// A wish to be copied is carried out once, whatever becomes of what is kept: the word that lets a disk be erased stays on
/// CONFIG, but nobody has said it anew. Where it cannot be told whether it was carried out, it was.
fn without_old_wish(place: &Place, mut source: Source) -> Source {
    let copies = place.read(&format!("{CONFIG}/{}", copies::NAME), LONGEST);
    let copies = copies.map(|bytes| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned());
    let note = match copies {
        _ if source.settings.install.is_none() => return source,
        Ok(copies) if copies::has(&copies, &source.digest) => copies::AGAIN.to_owned(),
        Ok(_) => return source,
        Err(error) => format!("The appliance is not copied: {error:#}."),
    };
    source.settings = Settings {
        install: None,
        ..source.settings
    };
    source.notes.push(note);
    source
}

/// Whether the time zone database has a zone of this name, which leads nowhere else.
pub(crate) fn is_zone(place: &Place, name: &str) -> bool {
    place.at(render::ZONES).join(name).is_file()
}

#[cfg(test)]
mod tests;
