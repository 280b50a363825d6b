//! What the owner sets: by `hearth.toml` on CONFIG, over REST, and by a cidata drive.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::network::{Ipv4, NetworkTrial, NetworkView, StaticAddress};
use api::system::System;
use bytes::Bytes;
use serde_json::json;
use tests::client::{Answer, Client};
use tests::vm::{Keys, fat, quote};
use tests::wait;

use crate::checks::settled::is_called;
use crate::checks::tls;
use crate::guest::Guest;
use crate::parts::SETTINGS;

const RESULT: &str = "/config/hearth-result.txt";
/// The name that the cidata drive gives.
const NAME: &str = "cellar";
/// The name that is given over REST.
const RENAMED: &str = "kitchen";
/// The address at which QEMU's network reaches the guest, and that of its router.
const ADDRESS: &str = "10.0.2.15/24";
const ROUTER: &str = "10.0.2.2";
/// An address of no network that is there.
const NOWHERE: &str = "10.99.99.99/24";
/// How long an answer may take to be on CONFIG.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a network is on trial that nobody confirms.
const LIMIT: Duration = Duration::from_secs(120);
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
    guest.run("test -r /config/hearth.toml")?;
    for unit in ["hearth-gateway.service", "hearthd.service"] {
        let pid = guest.main_pid(unit)?;
        let seen = guest.sudo(&format!("nsenter --target {pid} --mount ls -A /config"))?;
        ensure!(seen.is_empty(), "{unit} finds on CONFIG {seen}");
    }
    Ok(
        "time zone and engine set, the answer is on CONFIG, which is read-only and hidden from the daemons"
            .to_owned(),
    )
}

/// Each of six wrong files is answered with its line and the reason, and changes nothing.
pub(crate) fn wrong_files_are_answered(guest: &mut Guest) -> Result<String> {
    let before = set(guest)?;
    for (text, wanted) in WRONG {
        write(guest, text)?;
        apply(guest)?;
        let result = answer(guest, wanted)?;
        ensure!(result.contains("NOT applied"), "{text:?}: {result}");
        let after = set(guest)?;
        ensure!(after == before, "{text:?} has changed {before}\nto {after}");
    }
    write(guest, SETTINGS)?;
    apply(guest)?;
    Ok(format!("{} files, each with its line and reason", WRONG.len()))
}

/// All that is set, but for the record in which the answers are.
fn set(guest: &mut Guest) -> Result<String> {
    let files = guest.sudo(
        "hostname; readlink -f /etc/localtime; \
         find /var/lib/hearth/config /run/systemd/network /var/lib/iwd -type f ! -name settings.json -exec sha256sum {} + | sort",
    )?;
    let view: NetworkView = guest.client().get("/api/v1/network")?.expect(200)?.json()?;
    Ok(format!("{files}\n{:?}", view.network))
}

/// A fixed address by which the router answers is kept without anybody's word.
pub(crate) fn good_address_is_kept(guest: &mut Guest) -> Result<String> {
    write(
        guest,
        &format!(
            "{SETTINGS}[network]\nmethod = \"static\"\naddress = \"{ADDRESS}\"\ngateway = \"{ROUTER}\"\n"
        ),
    )?;
    guest.sudo("systemctl restart hearth-setup.service && networkctl reload")?;
    let begun = Instant::now();
    wait::until("the address to be kept", TRIAL, || {
        let text = guest.sudo(&format!("cat {RESULT}"))?;
        ensure!(!text.contains("TAKEN BACK"), "{text}");
        Ok((text.contains(ADDRESS) && !text.contains("on trial")).then_some(()))
    })?;
    let took = begun.elapsed().as_secs();
    let shown: NetworkView = guest.client().get("/api/v1/network")?.expect(200)?.json()?;
    ensure!(is_fixed(&shown), "{shown:?}");
    write(guest, SETTINGS)?;
    apply(guest)?;
    Ok(format!("kept after {took} s"))
}

fn is_fixed(shown: &NetworkView) -> bool {
    let is_there = matches!(&shown.network.ipv4, Ipv4::Static(fixed) if fixed.address == ADDRESS);
    is_there && shown.confirm_by.is_none()
}

/// A fixed address that leads nowhere is taken back, and the machine is reached again.
pub(crate) fn bad_address_comes_back(guest: &mut Guest) -> Result<String> {
    let nowhere = Ipv4::Static(StaticAddress {
        address: NOWHERE.to_owned(),
        gateway: None,
        dns: Vec::new(),
    });
    let admin = guest.client();
    let begun = Instant::now();
    try_network(&admin, "hearth", &nowhere)?;
    let brief = admin.with_limit(Duration::from_secs(2));
    wait::until("the machine to be unreachable", ANSWER, || {
        Ok(brief.get("/api/v1/health").is_err().then_some(()))
    })?;
    wait::until("the machine to be reached again", TRIAL, || {
        guest.machine.check()?;
        Ok(brief.get("/api/v1/health").ok())
    })?;
    let took = begun.elapsed();
    ensure!(
        took >= LIMIT,
        "it had {LIMIT:?}, and was taken back after {took:?}"
    );
    let shown: NetworkView = admin.get("/api/v1/network")?.expect(200)?.json()?;
    ensure!(is_fixed(&shown), "{shown:?}");
    confirm(&admin)?.expect(409)?;
    let left = guest.sudo(&format!("grep -r {NOWHERE} /run/systemd/network || true"))?;
    ensure!(left.is_empty(), "what was taken back is still there: {left}");
    Ok(format!("reached again after {} s", took.as_secs()))
}

/// The interfaces are told of, the clock goes by itself until it does not, and a name and an address are kept by who confirms
/// them, though whoever watches the trial is killed. Certificate, page and the word that confirms a restart follow the name.
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
    for (ntp, state) in [(false, "inactive"), (true, "active")] {
        let change = json!({"timezone": "Europe/Berlin", "ntp": ntp});
        put(&admin, "/api/v1/time", &change)?.expect(200)?;
        wait::until(&format!("timesyncd to be {state}"), ANSWER, || {
            let found = guest.show("systemd-timesyncd.service", "ActiveState")?;
            Ok((found == state).then_some(()))
        })?;
    }
    try_network(&admin, RENAMED, &Ipv4::Dhcp)?;
    another_watches(guest)?;
    keep(guest, RENAMED)?;
    tls::certificate_is_for(guest, &format!("{RENAMED}.local"))?;
    let system: System = admin.get("/api/v1/system")?.expect(200)?.json()?;
    ensure!(system.hostname == RENAMED, "{system:?}");
    let refused = admin
        .post("/api/v1/system/reboot", &json!({"confirm": "hearth"}))?
        .expect(422)?;
    ensure!(refused.text().contains(RENAMED), "{}", refused.text());
    try_network(&admin, "hearth", &Ipv4::Dhcp)?;
    keep(guest, "hearth")?;
    Ok(format!("{} has {}", cable.name, cable.addresses.join(", ")))
}

/// A reset that was ordered by a gateway which was ended then is taken back by the next one.
pub(crate) fn reset_of_another_gateway_is_taken_back(guest: &mut Guest) -> Result<String> {
    const FLAG: &str = "/var/lib/hearth/config/factory-reset";
    let ordered = format!("install --mode 600 /dev/null {FLAG} && systemctl restart hearth-gateway.service");
    guest.sudo(&ordered)?;
    let taken_back = wait::until("the reset to be taken back", ANSWER, || {
        let found = guest.sudo(&format!("find {FLAG} 2>/dev/null || true"))?;
        Ok(found.is_empty().then_some(()))
    });
    if taken_back.is_err() {
        // The next boot of this disk is not to be its first.
        guest.sudo(&format!("rm -f {FLAG}"))?;
    }
    taken_back?;
    guest.client().get("/api/v1/status")?.expect(200)?;
    Ok(String::new())
}

/// Who only looks at what is set, by a process each time, leaves no line of it in the journal.
pub(crate) fn looks_leave_no_line(guest: &mut Guest) -> Result<String> {
    let lines = |guest: &mut Guest| {
        guest.sudo("journalctl --sync && journalctl --unit 'hearth-setup@*' --no-pager --quiet | wc -l")
    };
    let (admin, before) = (guest.client(), lines(guest)?);
    for path in ["/api/v1/network", "/api/v1/time"] {
        admin.get(path)?.expect(200)?;
    }
    wait::until("the end of all instances", ANSWER, || {
        let instances = guest.run("systemctl list-units --all --plain --no-legend 'hearth-setup@*'")?;
        Ok(instances.is_empty().then_some(()))
    })?;
    let after = lines(guest)?;
    ensure!(after == before, "{before} lines before, {after} after");
    Ok(format!("{after} lines, before and after"))
}

/// Tries a network; it is on trial.
fn try_network(admin: &Client, hostname: &str, ipv4: &Ipv4) -> Result<()> {
    let wanted = json!({"hostname": hostname, "ipv4": ipv4, "wifi": null});
    let tried: NetworkTrial = put(admin, "/api/v1/network", &wanted)?.expect(202)?.json()?;
    ensure!(tried.confirm_by.is_some(), "{wanted} is not on trial");
    Ok(())
}

/// Kills whoever watches a trial; another goes on.
fn another_watches(guest: &mut Guest) -> Result<()> {
    const WATCHER: &str = "hearth-trial.service";
    let watcher = |guest: &mut Guest| {
        wait::until("somebody to watch the trial", ANSWER, || {
            let pid = guest.show(WATCHER, "MainPID")?;
            Ok((pid != "0").then_some(pid))
        })
    };
    let first = watcher(guest)?;
    guest.sudo(&format!("kill -KILL {first}"))?;
    wait::until("another to watch the trial", ANSWER, || {
        Ok((watcher(guest)? != first).then_some(()))
    })
}

/// Confirms what is on trial once it is reached by it, and sees that the machine has its name.
fn keep(guest: &mut Guest, hostname: &str) -> Result<()> {
    let admin = guest.client();
    let brief = admin.with_limit(Duration::from_secs(5));
    let reached = wait::until("the network on trial", ANSWER, || {
        let Ok(answer) = brief.get("/api/v1/network") else {
            return Ok(None);
        };
        let view: NetworkView = answer.expect(200)?.json()?;
        Ok(Some(view))
    })?;
    ensure!(
        reached.confirm_by.is_some() && reached.network.hostname == hostname,
        "{reached:?}"
    );
    confirm(&admin)?.expect(204)?;
    let kept: NetworkView = admin.get("/api/v1/network")?.expect(200)?.json()?;
    ensure!(
        kept.confirm_by.is_none() && kept.network.hostname == hostname,
        "{kept:?}"
    );
    wait::until(&format!("the name {hostname}"), ANSWER, || {
        Ok((guest.run("hostname")? == hostname).then_some(()))
    })
}

fn confirm(admin: &Client) -> Result<Answer> {
    admin.exchange("POST", "/api/v1/network/confirm", Bytes::new())
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
