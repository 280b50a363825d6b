//! What the owner sets: by `hearth.toml` on CONFIG, and by a cidata drive.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::network::{NetworkTrial, NetworkView};
use bytes::Bytes;
use serde_json::json;
use tests::client::{Answer, Client};
use tests::vm::{Keys, fat, quote};
use tests::wait;

use crate::checks::settled::is_called;
use crate::guest::Guest;
use crate::parts::SETTINGS;

const RESULT: &str = "/config/hearth-result.txt";
/// The name that the cidata drive gives.
const NAME: &str = "cellar";
/// How long an answer may take to be on CONFIG.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a network may be on trial, with what an emulated machine takes beside.
const TRIAL: Duration = Duration::from_secs(300);
/// Files with a mistake each, and what the answer says of it.
const WRONG: [(&str, &str); 6] = [
    ("hostname = kitchen\n", "line 1: this is not as TOML is written"),
    (
        "timezone = \"UTC\"\nhostnam = \"kitchen\"\n",
        "line 2, hostnam: there is no such key",
    ),
    (
        "timezone = \"Mars/Base\"\n",
        "line 1, timezone: `Mars/Base` is no time zone",
    ),
    (
        "[network]\nmethod = \"static\"\naddress = \"192.168.1.20\"\n",
        "line 3, network.address: `192.168.1.20` has no prefix",
    ),
    (
        "[wifi]\nssid = \"home\"\npassword = \"short\"\n",
        "line 3, wifi.password: a password has 8",
    ),
    (
        "[access]\nssh_keys = [\"ssh-ed25519 AAAA\"]\n",
        "line 2, access.ssh_keys: what follows `ssh-ed25519` is no whole key",
    ),
];

/// The file that the disk was flashed with was applied before the first question, and answered beside itself.
pub(crate) fn is_applied(guest: &mut Guest) -> Result<String> {
    let result = answer(guest, "hearth.toml was applied.")?;
    ensure!(result.contains("Europe/Berlin"), "{result}");
    let zone = guest.run("readlink -f /etc/localtime; date +%Z")?;
    ensure!(
        zone.starts_with("/usr/share/zoneinfo/Europe/Berlin\nCE"),
        "the time zone: {zone}"
    );
    let engine = guest.run("cat /var/lib/hearth/config/engine.env")?;
    ensure!(
        engine == "HEARTH_KV_PARK_QUOTA=1G",
        "the engine's settings: {engine}"
    );
    let mount = guest.run("findmnt --noheadings --output OPTIONS /config")?;
    ensure!(mount.starts_with("ro,"), "CONFIG is left writable: {mount}");
    Ok("time zone and engine set, the answer is on CONFIG, CONFIG is read-only".to_owned())
}

/// Each of six wrong files is answered with its line and the reason, and changes nothing.
pub(crate) fn wrong_files_are_answered(guest: &mut Guest) -> Result<String> {
    for (text, wanted) in WRONG {
        write(guest, text)?;
        apply(guest)?;
        let result = answer(guest, wanted)?;
        ensure!(result.contains("NOT applied"), "{text:?}: {result}");
        ensure!(
            guest.run("hostname")? == "hearth",
            "{text:?} has changed the name"
        );
    }
    write(guest, SETTINGS)?;
    apply(guest)?;
    Ok(format!("{} files, each with its line and reason", WRONG.len()))
}

/// A fixed address that leads nowhere is taken back, and the machine is reached again.
pub(crate) fn bad_address_comes_back(guest: &mut Guest) -> Result<String> {
    write(
        guest,
        "[network]\nmethod = \"static\"\naddress = \"10.99.99.99/24\"\n",
    )?;
    // Detached: the connection that orders it ends with it.
    guest.sudo(
        "systemd-run --quiet --on-active=1 sh -c 'systemctl restart hearth-setup.service && networkctl reload'",
    )?;
    let health = guest.machine.client().with_limit(Duration::from_secs(2));
    wait::until("the machine to be unreachable", ANSWER, || {
        Ok(health.get("/api/v1/health").is_err().then_some(()))
    })?;
    let begun = std::time::Instant::now();
    wait::until("the machine to be reached again", TRIAL, || {
        guest.machine.check()?;
        Ok(health.get("/api/v1/health").ok())
    })?;
    let took = begun.elapsed().as_secs();
    answer(guest, "TAKEN BACK")?;
    let left = guest.sudo("ls /run/systemd/network/80-ethernet.network.d")?;
    ensure!(left.is_empty(), "what was taken back is still there: {left}");
    write(guest, SETTINGS)?;
    apply(guest)?;
    Ok(format!("reached again after {took} s"))
}

/// The interfaces are told of, the network is set to what it is, and the clock goes by itself until it does not.
pub(crate) fn over_rest(guest: &mut Guest) -> Result<String> {
    let admin = guest.client();
    let shown = admin.get("/api/v1/network")?.expect(200)?;
    let view: NetworkView = shown.json()?;
    let cable = view
        .interfaces
        .iter()
        .find(|interface| interface.carrier == Some(true));
    let cable = cable.with_context(|| format!("no interface has a carrier: {view:?}"))?;
    ensure!(!cable.addresses.is_empty() && cable.mac.is_some(), "{cable:?}");
    let same = json!({"hostname": view.network.hostname, "ipv4": view.network.ipv4, "wifi": null});
    let set: NetworkTrial = put(&admin, "/api/v1/network", &same)?.expect(200)?.json()?;
    ensure!(set.confirm_by.is_none(), "what is kept is on trial");
    for (ntp, state) in [(false, "inactive"), (true, "active")] {
        let change = json!({"timezone": "Europe/Berlin", "ntp": ntp});
        put(&admin, "/api/v1/time", &change)?.expect(200)?;
        wait::until(&format!("timesyncd to be {state}"), ANSWER, || {
            let found = guest.show("systemd-timesyncd.service", "ActiveState")?;
            Ok((found == state).then_some(()))
        })?;
    }
    Ok(format!("{} has {}", cable.name, cable.addresses.join(", ")))
}

fn put(client: &Client, path: &str, body: &serde_json::Value) -> Result<Answer> {
    client.exchange("PUT", path, Bytes::from(body.to_string()))
}

/// A cidata drive with a host name, this SSH key, and something that has no place here.
pub(crate) fn cidata(key: &Keys) -> Result<Vec<u8>> {
    let user_data = format!(
        "#cloud-config\nhostname: {NAME}\npackage_update: true\nssh_authorized_keys:\n  - {}",
        key.public()
    );
    fat(
        *b"CIDATA     ",
        &[("user-data", &user_data), ("meta-data", "instance-id: vm-7\n")],
    )
}

/// The cidata drive was read: the machine has its name, the key lets admin in, and what was passed over is told.
pub(crate) fn cidata_is_applied(guest: &mut Guest, key: &Keys) -> Result<String> {
    let result = answer(guest, "cidata was applied.")?;
    ensure!(
        result.contains("`package_update` of user-data was passed over"),
        "{result}"
    );
    wait::until("the name of the cidata drive", ANSWER, || {
        Ok((guest.run("hostname")? == NAME).then_some(()))
    })?;
    let attempt = guest.machine.try_login_with(key, "admin", &[])?;
    let words = String::from_utf8_lossy(&attempt.stderr);
    ensure!(attempt.status.success(), "its key does not let admin in: {words}");
    Ok(format!("its key lets admin in; {}", is_called(guest, NAME)?))
}

/// Has a file that was put there read, as the next boot would.
pub(crate) fn apply(guest: &mut Guest) -> Result<()> {
    guest.sudo("systemctl restart hearth-setup.service").map(drop)
}

/// Replaces the file, as another computer would.
pub(crate) fn write(guest: &mut Guest, text: &str) -> Result<()> {
    let script = format!(
        "mount -o remount,rw /config && printf %s {} >/config/hearth.toml && sync -f /config; mount -o remount,ro /config",
        quote(text)
    );
    guest.sudo(&script).map(drop)
}

/// The answer on CONFIG, once it says this.
pub(crate) fn answer(guest: &mut Guest, wanted: &str) -> Result<String> {
    wait::until(&format!("{wanted:?} on CONFIG"), ANSWER, || {
        let text = guest.sudo(&format!("cat {RESULT} 2>/dev/null || true"))?;
        Ok(text.contains(wanted).then_some(text))
    })
}
