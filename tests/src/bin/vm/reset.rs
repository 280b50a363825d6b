//! `vm prove reset`: a factory reset over REST, and what of the machine is left after it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::report::{Report, seconds, step};
use tests::vm::Setup;

use crate::checks::disk::layout;
use crate::checks::settled;
use crate::guest::Guest;
use crate::parts::Parts;

/// A file where added models lie.
const MARK: &str = "/var/lib/hearth/models/mark";

/// Resets a machine that has made itself a token and a certificate authority.
pub(crate) fn run(parts: &Parts, report: &mut Report) -> Result<()> {
    let (mut setup, _) = parts.flashed(String::new(), None)?;
    if let Err(error) = reset(&setup, report) {
        report.record("the run goes to its end", Duration::ZERO, Err(error));
    }
    if !report.failures().is_empty() {
        setup.keep();
    }
    Ok(())
}

fn reset(setup: &Setup, report: &mut Report) -> Result<()> {
    let mut guest = boot(setup)?;
    guest.sudo(&format!("touch {MARK}"))?;
    let before = guest.run("cat /etc/machine-id")?;
    let token = guest.token.clone();
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
    let mut guest = boot(setup)?;
    report.check("token, machine-id and models are gone", || {
        let old = guest.machine.client().with_token(&token);
        old.get("/api/v1/status")?.expect(401)?;
        ensure!(
            guest.run("cat /etc/machine-id")? != before,
            "the machine-id is the same"
        );
        ensure!(
            guest
                .sudo(&format!("ls {MARK} 2>&1 || true"))?
                .contains("No such"),
            "{MARK} is still there"
        );
        Ok(String::new())
    });
    report.check("the disk has its final layout again", || layout(&mut guest));
    report.check("no unit has failed after the reset", || {
        settled::no_failed_units(&mut guest)
    });
    Ok(())
}

fn boot(setup: &Setup) -> Result<Guest> {
    let mut machine = step("boot the disk", || setup.boot(&[]))?;
    let token = machine.wait_for_token()?;
    Ok(Guest { machine, token })
}
