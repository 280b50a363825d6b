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
