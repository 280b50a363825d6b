//! From the stick onto the internal disk: never over somebody's data without the word, and then a machine without a stick.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use ::tests::client::brief;
use anyhow::{Context, Result, ensure};
use image::flash::{Token, read_config};
use setup::{copies, digest, outcome};
use tests::report::{Report, say, seconds, step};
use tests::vm::{DISK, Drive, Setup, fat};
use tests::wait;

use crate::checks::setup::{answer, apply, write};
use crate::checks::{disk, settled};
use crate::guest::{Guest, MODEL};
use crate::thermal::press_power_button;

/// The internal disk's file.
const INTERNAL: &str = "internal.raw";
/// How long copying and powering off may take.
const LIMIT: Duration = Duration::from_secs(600);

/// The machine from its next boot on: it runs from a stick, and its disk holds somebody's pictures.
pub(crate) fn prepare(setup: &mut Setup) -> Result<()> {
    let internal = Drive::internal(INTERNAL);
    let pictures = fat(*b"PICTURES   ", &[("holiday.jpg", "the sea")])?;
    setup.make_drive(&internal, &pictures)?;
    setup.set_drives(vec![Drive::stick(DISK), internal]);
    Ok(())
}

/// Installs from a guest that [`prepare`]'s machine has booted, and boots from what was installed.
pub(crate) fn run(setup: &mut Setup, mut guest: Guest, report: &mut Report) -> Result<()> {
    let internal = setup.path(&Drive::internal(INTERNAL));
    let token = Token::new()?;
    report.check("no data is erased without the word for it", || {
        is_refused(&mut guest, &token, &internal)
    });
    let stick = setup.path(&Drive::stick(DISK));
    report.check(
        "with it the stick copies itself to the internal disk, and powers off",
        || copies_itself(guest, &token, &stick),
    );
    setup.set_drives(vec![Drive::internal(INTERNAL), Drive::stick(DISK)]);
    setup.expect_another_host()?;
    say("boot from the internal disk, while the stick of the same version is still in");
    let machine = step("boot from the internal disk", || setup.boot(&[]))?;
    let mut guest = Guest {
        machine,
        token: token.text,
    };
    report.check("what was on CONFIG has come along, and it answers", || {
        has_come_along(&mut guest)
    });
    report.check("no unit has failed on the internal disk", || {
        settled::no_failed_units(&mut guest)
    });
    if !report.failures().is_empty()
        && let Err(error) = guest.machine.collect_evidence()
    {
        say(&format!("the guest cannot be asked for evidence: {error:#}"));
    }
    press_power_button(guest.machine, report);
    Ok(())
}

/// A `hearth.toml` that wants it, with what else the installed machine is to have.
fn wish(token: &Token, further: &str) -> String {
    let hash = token.hash_line();
    format!(
        "[access]\ntoken_hashes = [\"{}\"]\n[install]\nto = \"internal\"\ndisk = \"the only one\"\n{further}",
        hash.trim_end()
    )
}

fn is_refused(guest: &mut Guest, token: &Token, internal: &Path) -> Result<String> {
    let before = beginning(internal)?;
    write(guest, &wish(token, ""))?;
    apply(guest)?;
    let said = answer(guest, "NOT installed")?;
    ensure!(said.contains("there is something on vda"), "{said}");
    ensure!(said.contains("confirm = \"erase\""), "{said}");
    ensure!(
        beginning(internal)? == before,
        "something was written to the disk"
    );
    guest.sudo("systemctl reset-failed hearth-install.service")?;
    Ok("the disk has what it had, and the answer names the word".to_owned())
}

/// Where the pictures are, and a partition table would be.
fn beginning(disk: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(disk)?.take(8 << 20).read_to_end(&mut bytes)?;
    ensure!(
        bytes.windows(7).any(|some| some == b"the sea"),
        "the picture is not on the disk"
    );
    Ok(bytes)
}

fn copies_itself(mut guest: Guest, token: &Token, stick: &Path) -> Result<String> {
    let text = wish(token, "confirm = \"erase\"\n");
    write(&mut guest, &text)?;
    let begun = Instant::now();
    // The connection may end before the command does.
    let asked = guest
        .ssh()?
        .attempt("sudo systemctl restart hearth-setup.service")?;
    wait::until("the machine to power itself off", LIMIT, || {
        Ok(guest.machine.has_ended()?.then_some(()))
    })
    .with_context(|| format!("{asked:?}"))?;
    let took = begun.elapsed();
    let said = read_config(stick, outcome::NAME)?.context("there is no answer on the stick")?;
    ensure!(said.contains("The appliance is on vda"), "{said}");
    let copied = read_config(stick, copies::NAME)?.unwrap_or_default();
    ensure!(
        copies::has(&copied, &digest(text.as_bytes())),
        "the stick does not know by what text it was copied: {copied}"
    );
    Ok(format!("off after {}", seconds(took)))
}

fn has_come_along(guest: &mut Guest) -> Result<String> {
    disk::runs_from(guest, "vda")?;
    answer(guest, "is not copied again")?;
    guest.client().get("/api/v1/tokens")?.expect(200)?;
    guest.client().chat(&brief(MODEL, "Say yes.", 2))?;
    let layout = disk::layout(guest)?;
    Ok(format!("the key, the token and the settings; {layout}"))
}
