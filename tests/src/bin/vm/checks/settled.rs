//! A boot that ended well.

use anyhow::{Context, Result, bail, ensure};

use crate::guest::Guest;

/// systemd has finished starting and no unit has failed.
pub(crate) fn no_failed_units(guest: &mut Guest) -> Result<String> {
    let state = guest.run("systemctl is-system-running --wait || true")?;
    if state != "running" {
        let failed = guest.run("systemctl --failed --plain --no-legend")?;
        bail!("the system is {state}: {failed}");
    }
    let time = guest.run("systemd-analyze time | head -n 1")?;
    Ok(time.trim_start_matches("Startup finished in ").to_owned())
}

/// Found as `hearth.local`.
pub(crate) fn name_on_the_network(guest: &mut Guest) -> Result<String> {
    is_called(guest, "hearth")
}

/// Found by a name: it is set, resolved knows it, multicast DNS answers on the cable, LLMNR does not.
pub(crate) fn is_called(guest: &mut Guest, wanted: &str) -> Result<String> {
    let name = guest.run("hostname")?;
    ensure!(name == wanted, "the host name is {name:?}");
    let resolved = "org.freedesktop.resolve1 /org/freedesktop/resolve1 org.freedesktop.resolve1.Manager";
    let announced = guest.run(&format!("busctl get-property {resolved} LLMNRHostname"))?;
    ensure!(
        announced == format!("s \"{wanted}\""),
        "resolved takes the name for {announced}"
    );
    let link = guest.run("ip -oneline route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/' | head -n 1")?;
    let mdns = guest.run(&format!("resolvectl mdns {link}; resolvectl mdns | head -n 1"))?;
    ensure!(
        mdns.lines().all(|line| line.ends_with(": yes")),
        "multicast DNS: {mdns}"
    );
    let llmnr = guest.run(&format!("resolvectl llmnr {link}; resolvectl llmnr | head -n 1"))?;
    ensure!(llmnr.lines().all(|line| line.ends_with(": no")), "LLMNR: {llmnr}");
    Ok(format!("{name}.local on {link}"))
}

/// The console shows the guest's own address, and showed no other before there was one.
pub(crate) fn address_on_the_console(guest: &mut Guest) -> Result<String> {
    let link = guest.run("ip -oneline -4 address show scope global | awk '{print $4}' | head -n 1")?;
    let address = link.split('/').next().context("no address")?;
    let shown = format!("https://{address}   by address");
    let console = guest.machine.console()?;
    ensure!(console.contains(&shown), "{shown:?} is not on the console");
    let first = console.lines().find(|line| line.contains("by address"));
    ensure!(
        first.is_some_and(|line| !line.contains("https://127.")),
        "before there was one: {first:?}"
    );
    Ok(address.to_owned())
}

/// The boot before this one is in the journal, and its file systems were left in order.
pub(crate) fn last_boot_ended_in_order(guest: &mut Guest) -> Result<String> {
    let boots = guest.sudo("journalctl --list-boots --quiet --no-pager | wc -l")?;
    ensure!(boots == "2", "the journal knows of {boots} boots");
    let recovered = guest.sudo(
        "journalctl --boot --dmesg --no-pager --grep 'recovery|orphan cleanup|Starting recovery' || true",
    )?;
    let recovered: Vec<&str> = recovered
        .lines()
        .filter(|line| line.contains("EXT4") || line.contains("XFS"))
        .collect();
    ensure!(recovered.is_empty(), "{}", recovered.join("\n"));
    Ok("the journal knows both boots, no file system was recovered".to_owned())
}
