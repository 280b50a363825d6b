//! What the daemons cannot do, tried.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};

use anyhow::{Context, Result, ensure};

use crate::guest::Guest;

/// The daemons.
pub(crate) const DAEMONS: [&str; 3] = [
    "hearth-inferd.service",
    "hearth-gateway.service",
    "hearthd.service",
];

/// All that runs of Hearth's, and the highest exposure that `systemd-analyze security` may give it, from 0 to 10.
const HARDENED: [(&str, f64); 14] = [
    ("hearth-inferd.service", 0.8),
    ("hearth-gateway.service", 1.5),
    ("hearthd.service", 2.0),
    ("hearth-import@check.service", 0.8),
    ("hearth-setup.service", 0.8),
    ("hearth-setup@check.service", 0.8),
    ("hearth-cidata.service", 0.8),
    ("hearth-first-token.service", 0.8),
    ("hearth-trial.service", 2.0),
    ("hearth-apply.service", 2.5),
    // These two mount.
    ("hearth-result.service", 2.5),
    ("hearth-install.service", 2.5),
    ("sshd-keygen.service", 1.5),
    ("console-address.service", 2.0),
];

/// A unit's exposure, and what it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposure {
    pub(crate) unit: &'static str,
    pub(crate) seen: f64,
    pub(crate) limit: f64,
}

/// What `systemd-analyze security` says of each unit.
pub(crate) fn exposures(guest: &mut Guest) -> Result<Vec<Exposure>> {
    let units = HARDENED.map(|(unit, _)| unit).join(" ");
    let text = guest.sudo(&format!(
        "systemd-analyze security --no-pager {units} | grep Overall"
    ))?;
    let figure = |(line, (unit, limit)): (&str, (&'static str, f64))| {
        let seen = line
            .split_once(".service: ")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .with_context(|| format!("no exposure of {unit} in {line:?}"))?;
        let seen = seen.parse().with_context(|| format!("not a figure: {line:?}"))?;
        Ok(Exposure { unit, seen, limit })
    };
    ensure!(
        text.lines().count() == HARDENED.len(),
        "not all are told of: {text}"
    );
    text.lines().zip(HARDENED).map(figure).collect()
}

/// No unit is more exposed than it may be.
pub(crate) fn units_are_hardened(guest: &mut Guest) -> Result<String> {
    let seen = exposures(guest)?;
    for Exposure { unit, seen, limit } in &seen {
        ensure!(seen <= limit, "{unit}: {seen}, the limit is {limit}");
    }
    let figures = seen.iter().map(|one| format!("{} {}", one.unit, one.seen));
    Ok(figures.collect::<Vec<_>>().join(", "))
}

/// Ears on this host: what the guest reaches at 10.0.2.2.
struct Ears {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Ears {
    fn open() -> Result<Self> {
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let udp = UdpSocket::bind(tcp.local_addr()?).context("the same port is not free for UDP")?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        Ok(Self { tcp, udp })
    }

    fn port(&self) -> Result<u16> {
        Ok(self.tcp.local_addr()?.port())
    }

    /// How many connections and datagrams have come since the last call.
    fn heard(&self) -> Result<usize> {
        let connections = drain(|| self.tcp.accept().map(|_| ()))?;
        let datagrams = drain(|| self.udp.recv(&mut [0; 64]).map(|_| ()))?;
        Ok(connections + datagrams)
    }
}

fn drain(mut take: impl FnMut() -> std::io::Result<()>) -> Result<usize> {
    let mut count = 0;
    loop {
        match take() {
            Ok(()) => count += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(count),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tries to look up a name, to connect, and to send a datagram; a word for each. The name needs no outside server: it is
/// the router's, which every part of the resolver knows while there is a network.
fn probe(port: u16) -> String {
    format!(
        "echo ran; timeout 60 getent ahosts _gateway >/dev/null && echo resolved; \
         (exec 3<>/dev/tcp/10.0.2.2/{port}) 2>/dev/null && echo connected; \
         (echo x >/dev/udp/10.0.2.2/{port}) 2>/dev/null && echo sent; true"
    )
}

/// As [`has_no_network`] for inferd.
pub(crate) fn inferd_has_no_network(guest: &mut Guest) -> Result<String> {
    has_no_network(guest, "hearth-inferd.service")
}

/// As [`has_no_network`] for the import service.
pub(crate) fn import_has_no_network(guest: &mut Guest) -> Result<String> {
    has_no_network(guest, "hearth-import@.service")
}

/// From a copy of a unit, of which only the program differs, no name resolves and no packet leaves; outside of it the
/// same probe does all three.
fn has_no_network(guest: &mut Guest, unit: &str) -> Result<String> {
    let ears = Ears::open()?;
    let script = probe(ears.port()?);
    let outside = guest.run(&format!("bash -c {}", word(&script)))?;
    let heard_outside = ears.heard()?;
    ensure!(
        outside == "ran\nresolved\nconnected\nsent",
        "outside the sandbox the probe itself fails: {outside}"
    );
    ensure!(
        heard_outside == 2,
        "outside the sandbox {heard_outside} of 2 packets arrived"
    );
    let inside = run_in_unit(guest, unit, &script)?;
    let heard_inside = ears.heard()?;
    ensure!(inside == "ran", "inside the sandbox the probe could: {inside}");
    ensure!(heard_inside == 0, "{heard_inside} packets left the sandbox");
    Ok("outside: resolved, connected, sent; inside: none, and nothing arrived".to_owned())
}

/// Runs a script as a oneshot unit that has every line of another but those that say what runs, when, and on which
/// connection.
fn run_in_unit(guest: &mut Guest, unit: &str, script: &str) -> Result<String> {
    let unit = guest.run(&format!("systemctl cat {unit}"))?;
    let kept = unit
        .lines()
        .filter(|line| !line.starts_with(['#', ';']))
        .filter(|line| {
            let dropped = [
                "ExecStart=",
                "Type=",
                "Restart",
                "Requires=",
                "After=",
                "NotifyAccess=",
                "StandardInput=",
                "StandardOutput=",
                "StandardError=",
                "RuntimeMaxSec=",
                "WatchdogSec=",
            ];
            !dropped.iter().any(|start| line.starts_with(start))
        });
    let escaped = script
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('$', "$$")
        .replace('%', "%%");
    let what_runs = format!(
        "[Service]\nType=oneshot\nExecStart=/bin/bash -c \"{escaped}\"\nStandardOutput=truncate:/run/hearth-probe.out\n"
    );
    let text = kept.collect::<Vec<_>>().join("\n") + "\n" + &what_runs;
    let path = "/run/systemd/system/hearth-probe.service";
    guest.sudo(&format!(
        "printf %s {} >{path} && systemctl daemon-reload",
        word(&text)
    ))?;
    guest.sudo("systemctl start hearth-probe.service || { journalctl -u hearth-probe.service -n 20 --no-pager >&2; false; }")?;
    let said = guest.sudo(&format!(
        "cat /run/hearth-probe.out; rm {path}; systemctl daemon-reload"
    ))?;
    Ok(said)
}

/// The network namespace of the running inferd holds nothing but a loopback.
pub(crate) fn inferds_namespace_is_empty(guest: &mut Guest) -> Result<String> {
    let pid = guest.main_pid("hearth-inferd.service")?;
    let links = guest.sudo(&format!(
        "nsenter --target {pid} --net ip -brief link | cut -d ' ' -f 1"
    ))?;
    ensure!(links == "lo", "inferd sees {links}");
    let sockets = guest.sudo(&format!(
        "nsenter --target {pid} --net ss --tcp --udp --raw --all --no-header | wc -l"
    ))?;
    ensure!(sockets == "0", "inferd's namespace has {sockets} sockets");
    Ok("lo alone, no socket in it".to_owned())
}

/// hearthd holds no network socket. The same question finds the gateway's, so the answer means something.
pub(crate) fn hearthd_has_no_network_socket(guest: &mut Guest) -> Result<String> {
    let sockets = guest.sudo("ss --tcp --udp --raw --packet --all --numeric --processes --no-header")?;
    let of = |pid: u32| {
        sockets
            .lines()
            .filter(|line| line.contains(&format!("pid={pid},")))
            .count()
    };
    let gateway = of(guest.main_pid("hearth-gateway.service")?);
    ensure!(gateway > 0, "not even the gateway has a socket: {sockets}");
    let hearthd = of(guest.main_pid("hearthd.service")?);
    ensure!(hearthd == 0, "hearthd holds {hearthd}: {sockets}");
    Ok(format!("hearthd 0, gateway {gateway}"))
}

/// No daemon has a capability, hearthd as root included, and none can gain one.
pub(crate) fn capabilities(guest: &mut Guest) -> Result<String> {
    for unit in DAEMONS {
        let pid = guest.main_pid(unit)?;
        let status = guest.sudo(&format!("cat /proc/{pid}/status"))?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
            let bits = u64::from_str_radix(field(set).context("no capabilities told")?, 16)?;
            ensure!(bits == 0, "{unit} has {set} {bits:#x}");
        }
        ensure!(
            field("NoNewPrivs:") == Some("1"),
            "{unit} may gain privileges: {status}"
        );
    }
    let own = guest.sudo("sed -n 's/^CapEff:\\s*//p' /proc/self/status")?;
    ensure!(
        u64::from_str_radix(&own, 16)? != 0,
        "not even root's shell has one: {own}"
    );
    Ok(format!("none in any of three; root's shell has {own}"))
}

/// A text as one word of the guest's shell.
fn word(text: &str) -> String {
    tests::vm::quote(text)
}
