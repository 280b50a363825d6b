//! `hearth status --brief`: what matters, in four lines at most, for a login.

use crate::{
    client::Client,
    screen::{self, BAD, NAME, WARN, known},
    span,
    status::engine_seen,
};
use api::{power::Thermal, rest::Status};
use nix::ifaddrs::getifaddrs;
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;

/// How long a login waits at most, for all of it.
const PATIENCE: Duration = Duration::from_millis(900);

/// Shows it, or in one line why not. It never fails: a login goes on.
pub(crate) async fn brief(client: &Client) -> anyhow::Result<()> {
    let text = match timeout(PATIENCE, ask(client)).await {
        Ok(Ok((status, thermal))) => render(&status, thermal.as_ref(), &addresses(client)),
        Ok(Err(error)) => format!(
            "{BAD}Hearth:{BAD:#} {}\n",
            screen::one_line(&format!("{error:#}"))
        ),
        Err(_) => format!("{WARN}Hearth:{WARN:#} no answer yet; \"hearth status\" asks again\n"),
    };
    Ok(screen::print(&text)?)
}

async fn ask(client: &Client) -> anyhow::Result<(Status, Option<Thermal>)> {
    let status: Status = client.get("/api/v1/status").await?;
    // Without the agent there is none of it, and the status says so.
    let thermal = client.get("/api/v1/thermal").await.ok();
    Ok((status, thermal))
}

/// The machine's own addresses by which others reach it, if this is the machine.
fn addresses(client: &Client) -> Vec<IpAddr> {
    if client.is_afar() {
        return Vec::new();
    }
    let interfaces = getifaddrs().into_iter().flatten();
    let found = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        v4.or_else(|| {
            address
                .as_sockaddr_in6()
                .map(|address| IpAddr::from(address.ip()))
        })
    });
    found.filter(is_reached).collect()
}

fn is_reached(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

fn render(status: &Status, thermal: Option<&Thermal>, addresses: &[IpAddr]) -> String {
    let host = screen::one_line(&status.hostname);
    // A browser takes the name; of the addresses the first says enough.
    let address = addresses.first().map(|address| format!("  {address}"));
    let up = span::show(status.uptime_seconds);
    let mut text = format!(
        "{NAME}{host}{NAME:#}  https://{host}.local{}  up {up}\n",
        address.unwrap_or_default()
    );
    let temperature =
        thermal.map(|thermal| format!("{} of {}", known(thermal.state.assumed), thermal.state.target));
    let memory = status.sample.as_ref().map(|sample| &sample.memory);
    let memory = memory.map(|memory| format!("{} of {}", known(memory.used()), known(memory.mem_total)));
    text.push_str(&format!(
        "Heat {}  memory {}\n",
        known(temperature),
        known(memory)
    ));
    let engine = engine_seen(status).unwrap_or_else(|| "unknown".to_owned());
    text.push_str(&format!("Engine {engine}\n"));
    let wrong = wrong(status, thermal);
    if let Some(first) = wrong.first() {
        let more = match wrong.len() {
            1 => String::new(),
            count => format!(", and {} more: \"hearth status\"", count - 1),
        };
        text.push_str(&format!("{BAD}{first}{BAD:#}{more}\n"));
    }
    text
}

/// What is wrong, the gravest first.
fn wrong(status: &Status, thermal: Option<&Thermal>) -> Vec<String> {
    let agent = status
        .agent_problem
        .iter()
        .map(|problem| screen::one_line(problem));
    let supervision = status.supervision.iter();
    let quarantined = supervision.clone().flat_map(|engine| &engine.quarantined);
    let quarantined = quarantined.map(|held| format!("{} is quarantined", screen::one_line(&held.model)));
    let failures = supervision
        .map(|engine| engine.failures.len())
        .filter(|count| *count > 0);
    let failures = failures.map(|count| format!("the engine has failed {count} times in ten minutes"));
    let found = status.capabilities.iter().flat_map(|found| &found.warnings);
    let seen = status.sample.iter().flat_map(|seen| &seen.warnings);
    let heat = thermal.into_iter().flat_map(|thermal| &thermal.warnings);
    let mut warnings: Vec<String> = Vec::new();
    for warning in found.chain(seen).chain(heat) {
        let said = screen::one_line(&format!("{}: {}", warning.path, warning.problem));
        if !warnings.contains(&said) {
            warnings.push(said);
        }
    }
    agent.chain(quarantined).chain(failures).chain(warnings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{Bytes, Capabilities, Memory, Sample, Warning};

    fn status() -> Status {
        Status {
            hostname: "kitchen".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_seconds: 93_784.0,
            fingerprint: "AB".to_owned(),
            capabilities: None,
            sample: Some(Sample {
                memory: Memory {
                    mem_total: Some(Bytes(8 << 30)),
                    mem_available: Some(Bytes(7 << 30)),
                    ..Memory::default()
                },
                ..Sample::default()
            }),
            supervision: None,
            agent_problem: None,
            engine: None,
        }
    }

    fn plain(status: &Status, addresses: &[IpAddr]) -> String {
        anstream::adapter::strip_str(&render(status, None, addresses)).to_string()
    }

    #[test]
    fn three_lines_say_how_it_is() {
        let shown = plain(&status(), &["192.168.1.5".parse().unwrap()]);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(
            lines[0],
            "kitchen  https://kitchen.local  192.168.1.5  up 1 d 2 h"
        );
        assert_eq!(
            lines[1..],
            ["Heat ?  memory 1.0 GiB of 8.0 GiB", "Engine unknown"]
        );
    }

    #[test]
    fn whatever_is_wrong_takes_one_line() {
        let warning = |path: &str| Warning {
            path: path.to_owned(),
            problem: "is\ngone\u{1b}[2J".to_owned(),
        };
        let mut status = status();
        status.agent_problem = Some("hearthd does not answer".to_owned());
        status.capabilities = Some(Capabilities {
            warnings: vec![warning("/a"), warning("/b"), warning("/a")],
            ..Capabilities::default()
        });
        let shown = plain(&status, &[]);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[3], "hearthd does not answer, and 2 more: \"hearth status\"");
        status.agent_problem = None;
        let shown = plain(&status, &[]);
        assert!(shown.contains("/a: is gone\u{fffd}[2J, and 1 more"), "{shown}");
    }

    #[test]
    fn only_what_others_reach_is_an_address() {
        for (address, reached) in [
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("::1", false),
        ]
        .into_iter()
        .chain([("192.168.1.5", true), ("2001:db8::1", true)])
        {
            assert_eq!(is_reached(&address.parse().unwrap()), reached, "{address}");
        }
    }
}
