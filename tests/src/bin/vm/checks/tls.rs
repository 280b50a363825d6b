//! The door's certificate, and which doors there are.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use api::tls::{Source, Tls};

use crate::guest::Guest;

/// Ports on which the appliance is reached by TCP: SSH, pages sent on, TLS.
const TCP: [u16; 3] = [22, 80, 443];
/// And by UDP: multicast DNS, and the ends of DHCP for IPv4 and IPv6.
const UDP: [u16; 3] = [5353, 68, 546];

fn told(guest: &Guest) -> Result<Tls> {
    guest.client().get("/api/v1/tls")?.expect(200)?.json()
}

/// The fingerprint of the certificate that is to be trusted.
pub(crate) fn fingerprint(guest: &Guest) -> Result<String> {
    Ok(told(guest)?.fingerprint)
}

/// What stands on the console is what the command tells over SSH, and REST.
pub(crate) fn fingerprint_on_the_console(guest: &mut Guest) -> Result<String> {
    let tls = told(guest)?;
    ensure!(tls.source == Source::Local, "{tls:?}");
    let (first, second) = tls.fingerprint.split_at(tls.fingerprint.len() / 2);
    let console = guest.machine.console()?;
    for half in [first, second] {
        let half = half.trim_matches(':');
        ensure!(console.contains(half), "{half} is not on the console");
    }
    let over_ssh = guest.run("hearth tls; hearth status")?;
    ensure!(over_ssh.matches(&tls.fingerprint).count() == 2, "{over_ssh}");
    Ok(tls.fingerprint)
}

/// The certificate is for the guest's own address, by which this host has come to it.
pub(crate) fn certificate_has_the_address(guest: &mut Guest) -> Result<String> {
    let link = guest.run("ip -oneline -4 address show scope global | awk '{print $4}' | head -n 1")?;
    let address = link.split('/').next().context("no address")?.to_owned();
    let names = told(guest)?.certificate.names;
    for name in [&address, "hearth.local", "hearth", "127.0.0.1"] {
        ensure!(
            names.iter().any(|found| found == name),
            "{name} is not among {names:?}"
        );
    }
    Ok(names.join(", "))
}

/// Whoever comes by this name is shown a certificate for it that the appliance's authority vouches for.
pub(crate) fn certificate_is_for(guest: &Guest, name: &str) -> Result<()> {
    let url = guest.machine.url();
    let address = url.trim_start_matches("https://");
    let mut openssl = Command::new("openssl");
    openssl.args([
        "s_client",
        "-brief",
        "-connect",
        address,
        "-servername",
        name,
        "-verify_hostname",
        name,
    ]);
    openssl
        .args(["-verify_return_error", "-CAfile"])
        .arg(guest.machine.authority());
    let shown = openssl
        .stdin(Stdio::null())
        .output()
        .context("cannot start openssl")?;
    ensure!(
        shown.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&shown.stderr)
    );
    Ok(())
}

/// Nobody but the gateway's user reads its keys.
pub(crate) fn keys_are_private(guest: &mut Guest) -> Result<String> {
    let files =
        guest.sudo("stat --format '%a %U %n' /var/lib/hearth/gateway /var/lib/hearth/gateway/*.pem")?;
    let lines: Vec<&str> = files.lines().collect();
    let [folder, keys @ ..] = lines.as_slice() else {
        anyhow::bail!("nothing was found: {files}");
    };
    ensure!(folder.starts_with("700 hearth-gateway "), "{folder}");
    ensure!(keys.len() == 2, "not two files of keys: {files}");
    ensure!(
        keys.iter().all(|line| line.starts_with("600 hearth-gateway ")),
        "{files}"
    );
    Ok(files.replace('\n', ", "))
}

/// A token in the clear is refused, and a page is sent on.
pub(crate) fn plain_http_keeps_tokens_out(guest: &mut Guest) -> Result<String> {
    let warnings = |guest: &mut Guest| -> Result<usize> {
        let count =
            "journalctl --unit hearth-gateway --no-pager --grep 'was sent unencrypted' --quiet | wc -l";
        guest.sudo(count)?.parse().context("no number")
    };
    let before = warnings(guest)?;
    let plain = guest.machine.plain_client();
    plain
        .with_token(&guest.token)
        .get("/api/v1/status")?
        .expect(403)?;
    let page = plain.get("/")?.expect(308)?;
    let place = page.header("location").context("sent on to nowhere")?.to_owned();
    let warned = warnings(guest)? - before;
    ensure!(warned == 1, "the journal tells of {warned}");
    Ok(format!("403; / is at {place}"))
}

/// Nothing but what it is for listens on other addresses than the loopback's, the gateway can open nothing else, and the
/// web service is announced.
pub(crate) fn open_ports(guest: &mut Guest) -> Result<String> {
    let tcp = listening(guest, "tcp")?;
    ensure!(tcp == BTreeSet::from(TCP), "TCP: {tcp:?}");
    let udp = listening(guest, "udp")?;
    ensure!(
        udp.is_subset(&BTreeSet::from(UDP)) && udp.contains(&5353),
        "UDP: {udp:?}"
    );
    let families = guest.show("hearth-gateway.service", "RestrictAddressFamilies")?;
    ensure!(
        families == "AF_UNIX",
        "the gateway may make sockets of {families}"
    );
    let services = guest.run("busctl tree --list org.freedesktop.resolve1 | grep /dnssd/ || true")?;
    ensure!(
        services.ends_with("/dnssd/hearth"),
        "resolved announces {services:?}"
    );
    Ok(format!("TCP {tcp:?}, UDP {udp:?}"))
}

fn listening(guest: &mut Guest, protocol: &str) -> Result<BTreeSet<u16>> {
    let sockets = guest.sudo(&format!("ss --{protocol} --listening --numeric --no-header"))?;
    let local = sockets.lines().filter_map(|line| line.split_whitespace().nth(3));
    let reachable = local.filter(|address| !address.starts_with("127.") && !address.starts_with("[::1]"));
    reachable
        .map(|address| {
            let port = address.rsplit(':').next().unwrap_or_default();
            port.parse().with_context(|| format!("no port in {address:?}"))
        })
        .collect()
}
