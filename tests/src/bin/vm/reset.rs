//! `vm prove reset`: a factory reset over REST, and what of the machine is left after it.

use std::time::Duration;

use anyhow::{Result, ensure};
use image::flash::Token;
use serde_json::json;
use tests::report::{Report, seconds, step};
use tests::vm::Setup;

use crate::checks::disk::layout;
use crate::checks::{settled, tls};
use crate::guest::Guest;
use crate::parts::Parts;

/// A file where added models lie.
const MARK: &str = "/var/lib/hearth/models/mark";
/// A file of the owner's own on CONFIG.
const OWN: &str = "/config/holiday.txt";

/// Resets a machine whose owner has put a key, a token and settings on CONFIG.
pub(crate) fn run(parts: &Parts, report: &mut Report) -> Result<()> {
    let token = Token::new()?;
    let (mut setup, _) = parts.flashed(token.hash_line(), None)?;
    if let Err(error) = reset(&setup, &token, report) {
        report.record("the run goes to its end", Duration::ZERO, Err(error));
    }
    if !report.failures().is_empty() {
        setup.keep();
    }
    Ok(())
}

fn reset(setup: &Setup, token: &Token, report: &mut Report) -> Result<()> {
    let machine = step("boot the disk", || setup.boot(&[]))?;
    let token = token.text.clone();
    let mut guest = Guest { machine, token };
    mark(&mut guest)?;
    let before = guest.run("cat /etc/machine-id")?;
    let (token, authority) = (guest.token.clone(), tls::fingerprint(&guest)?);
    let client = guest.client();
    report.check("another name confirms nothing", || {
        let other = json!({"confirm": "another"});
        client.post("/api/v1/system/factory-reset", &other)?.expect(422)?;
        Ok(String::new())
    });
    let name = json!({"confirm": guest.run("hostname")?});
    report.check("the machine restarts to be reset", || {
        client.post("/api/v1/system/factory-reset", &name)?.expect(202)?;
        Ok(seconds(guest.machine.ended()?))
    });
    report.check("the partitions are made anew, and it restarts", || {
        Ok(seconds(setup.boot_to_its_end()?))
    });
    let mut guest = boot_anew(setup)?;
    report.check(
        "token, machine-id, certificates, models and journal are gone",
        || {
            let old = guest.machine.client().with_token(&token);
            old.get("/api/v1/status")?.expect(401)?;
            ensure!(
                guest.run("cat /etc/machine-id")? != before,
                "the machine-id is the same"
            );
            ensure!(
                tls::fingerprint(&guest)? != authority,
                "the certificate is the same"
            );
            let left = guest.sudo(&format!("ls {MARK} 2>/dev/null || true"))?;
            ensure!(left.is_empty(), "{left} is still there");
            let boots = guest.sudo("journalctl --list-boots --quiet --no-pager | wc -l")?;
            ensure!(boots == "1", "the journal knows of {boots} boots");
            Ok(String::new())
        },
    );
    report.check("on CONFIG is what is the owner's own, and no way in", || {
        let left = guest.sudo("ls /config")?;
        ensure!(left == OWN.trim_start_matches("/config/"), "on CONFIG is {left}");
        let zone = guest.run("date +%Z")?;
        ensure!(zone == "UTC", "hearth.toml still counts: the time zone is {zone}");
        Ok(left)
    });
    report.check("the disk has its final layout again", || layout(&mut guest));
    report.check("no unit has failed after the reset", || {
        settled::no_failed_units(&mut guest)
    });
    Ok(())
}

/// Leaves something on each partition that is kept, or made anew. FAT finds the tokens by any case of their file's name, and
/// keeps the one that it was given last: by another name between, for to `mv` both would be the same file.
fn mark(guest: &mut Guest) -> Result<()> {
    guest.sudo(&format!("touch {MARK}"))?;
    let marked = format!(
        "mount -o remount,rw /config && touch {OWN} && mv /config/token-hashes /config/renamed && \
         mv /config/renamed /config/Token-Hashes && sync -f /config; mount -o remount,ro /config"
    );
    guest.sudo(&marked)?;
    let there = guest.sudo("ls /config")?;
    for file in ["authorized_keys", "hearth.toml", "Token-Hashes"] {
        ensure!(there.contains(file), "{file} is not among {there}");
    }
    // As the gateway would at its next start.
    guest.sudo("grep --quiet sha256: /config/token-hashes").map(drop)
}

/// The first boot of a machine that nobody has a way into: the console shows a token, and the run's key is given by a
/// credential.
fn boot_anew(setup: &Setup) -> Result<Guest> {
    setup.expect_another_host()?;
    let keys = [setup.keys().credential()];
    let mut machine = step("boot the disk anew", || setup.boot(&keys))?;
    let token = machine.wait_for_token()?;
    Ok(Guest { machine, token })
}
