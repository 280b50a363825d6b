//! Who gets in.

use anyhow::{Context, Result, ensure};
use api::rest::TokenList;

use crate::guest::Guest;

/// The token of the console is an administrator's; a changed one is refused, and so is none.
pub(crate) fn tokens_open_the_door(guest: &mut Guest) -> Result<String> {
    guest.client().get("/api/v1/status")?.expect(200)?;
    let list: TokenList = guest.client().get("/api/v1/tokens")?.expect(200)?.json()?;
    let mut wrong = guest.token.clone();
    let last = wrong.pop().context("an empty token")?;
    wrong.push(if last == 'A' { 'B' } else { 'A' });
    guest
        .machine
        .client()
        .with_token(&wrong)
        .get("/v1/models")?
        .expect(401)?;
    guest.machine.client().get("/api/v1/status")?.expect(401)?;
    Ok(format!(
        "{} token known; a wrong one and none: 401",
        list.tokens.len()
    ))
}

/// root does not get in, with the very key that lets admin in.
pub(crate) fn root_is_refused(guest: &mut Guest) -> Result<String> {
    let attempt = guest.machine.try_login("root", &[])?;
    let words = String::from_utf8_lossy(&attempt.stderr).trim().to_owned();
    ensure!(
        !attempt.status.success() && words.contains("Permission denied"),
        "root: {words}"
    );
    let setting = guest.sudo("/usr/sbin/sshd -T | grep -i '^permitrootlogin'")?;
    ensure!(
        setting.eq_ignore_ascii_case("permitrootlogin no"),
        "sshd says {setting}"
    );
    Ok(setting)
}

/// Keys are all that sshd takes: it offers neither passwords nor questions.
pub(crate) fn passwords_are_refused(guest: &mut Guest) -> Result<String> {
    let attempt = guest
        .machine
        .try_login("admin", &["-o", "PubkeyAuthentication=no"])?;
    let words = String::from_utf8_lossy(&attempt.stderr).trim().to_owned();
    ensure!(!attempt.status.success(), "admin got in without a key");
    ensure!(
        words.ends_with("Permission denied (publickey)."),
        "sshd offers more than keys: {words}"
    );
    Ok("sshd offers publickey alone".to_owned())
}

/// What ssh-audit (3.9) warns of or fails is not offered: key exchanges without protection from quantum computers, curves of
/// NIST's, SHA-1, short tags, encryption that is not authenticated as it is on the line.
pub(crate) fn ssh_is_modern(guest: &mut Guest) -> Result<String> {
    let settings = guest.sudo("/usr/sbin/sshd -T")?;
    let offered = |name: &str| -> Result<Vec<String>> {
        let line = settings.lines().find_map(|line| line.strip_prefix(name));
        let list = line.with_context(|| format!("sshd -T tells no {name}"))?;
        Ok(list.trim().split(',').map(str::to_owned).collect())
    };
    let all_are = |name: &str, sound: fn(&str) -> bool| -> Result<usize> {
        let list = offered(name)?;
        let odd = list.iter().find(|algorithm| !sound(algorithm));
        ensure!(odd.is_none(), "{name}{odd:?} is offered");
        Ok(list.len())
    };
    let kex = all_are("kexalgorithms ", |name| {
        name.starts_with("mlkem768x25519") || name.starts_with("sntrup761x25519")
    })?;
    let ciphers = all_are("ciphers ", |name| !name.contains("cbc") && !name.contains("3des"))?;
    let macs = all_are("macs ", |name| {
        name.ends_with("-etm@openssh.com") && !name.contains("sha1") && !name.contains("umac-64")
    })?;
    all_are("hostkeyalgorithms ", |name| name == "ssh-ed25519")?;
    Ok(format!(
        "{kex} key exchanges, {ciphers} ciphers, {macs} MACs, one host key"
    ))
}

/// Who connects for the first time finds on the console what to compare the host's key with.
pub(crate) fn host_key_on_the_console(guest: &mut Guest) -> Result<String> {
    let key = guest.sudo("ssh-keygen -l -f /var/lib/sshd/ssh_host_ed25519_key")?;
    let fingerprint = key
        .split_whitespace()
        .find(|word| word.starts_with("SHA256:"))
        .with_context(|| format!("no fingerprint in {key}"))?;
    ensure!(
        guest.machine.console()?.contains(fingerprint),
        "{fingerprint} is not on the console"
    );
    Ok(fingerprint.to_owned())
}

/// Nothing of root's is open to admin but through sudo: systemd asks polkit, which is not here, and that is a no.
pub(crate) fn admin_needs_sudo(guest: &mut Guest) -> Result<String> {
    const ROOTS: [&str; 4] = [
        "systemctl restart hearthd.service",
        "timedatectl set-timezone UTC",
        "hostnamectl set-hostname other",
        "run0 true",
    ];
    for command in ROOTS {
        let attempt = guest.ssh()?.attempt(&format!("{command} < /dev/null"))?;
        let words = String::from_utf8_lossy(&attempt.stderr).to_lowercase();
        let denied = [
            "authentication required",
            "access denied",
            "permission denied",
            "not authorized",
        ];
        ensure!(
            !attempt.status.success() && denied.iter().any(|word| words.contains(word)),
            "admin's {command}: {words}"
        );
    }
    let groups = guest.run("id -nG")?;
    let odd = groups
        .split_whitespace()
        .find(|group| !["admin", "hearth-admin", "systemd-journal"].contains(group));
    ensure!(odd.is_none(), "admin is a member of {groups}");
    let who = guest.run("hearth whoami --json")?;
    ensure!(
        who.contains(r#""role": "admin""#),
        "to the gateway admin is {who}"
    );
    guest.sudo("true")?;
    // With this weight, of which sshd tells nothing, so that strangers' connections cannot have it left out.
    guest.sudo("journalctl --boot --quiet --no-pager --identifier sudo --priority warning..warning --grep 'COMMAND=.*true'")?;
    Ok(format!("{} orders refused, groups {groups}", ROOTS.len()))
}

/// A login at a terminal has the completions and shows how the appliance is, in four lines at most; the login of a script
/// shows nothing. An emulated processor may be too slow for the second that a login waits, so the words are looked at apart.
pub(crate) fn login_shows_health(guest: &mut Guest) -> Result<String> {
    let brief = guest.run("hearth status --brief")?;
    ensure!(
        (1..=4).contains(&brief.lines().count()),
        "in brief it is {brief:?}"
    );
    let login = "script -qec \"bash -lic 'complete -p hearth'\" /dev/null < /dev/null";
    let shown = guest.run(login)?;
    let (words, completions): (Vec<&str>, Vec<&str>) =
        shown.lines().partition(|line| !line.starts_with("complete "));
    ensure!(
        completions.len() == 1 && words.len() <= 4,
        "a login shows {shown:?}"
    );
    let plain = guest.run("bash -lc true")?;
    ensure!(plain.trim().is_empty(), "a script's login shows {plain:?}");
    Ok(format!("{} lines: {}", words.len(), brief.replace('\n', " | ")))
}
