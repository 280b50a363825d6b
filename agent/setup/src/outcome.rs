//! `hearth-result.txt`: what came of `hearth.toml`, for who put it on CONFIG.

use std::fmt::Write;

use crate::file::Problem;
use crate::settings::{Ipv4, Settings, Wifi};

/// The file's name on CONFIG.
pub const NAME: &str = "hearth-result.txt";

/// What became of a network that a file has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It is in force.
    InForce,
    /// It is tried: for two minutes somebody must be reached by it.
    OnTrial,
    /// Nobody was reached by it, and what was before is in force again.
    TakenBack,
    /// Something else was set while it was tried.
    GivenUp,
}

/// The text for a file that was applied. `name` is where it came from, `network` what became of its network, `notes` are
/// sentences of what else was done or left.
pub fn applied(name: &str, settings: &Settings, network: Network, notes: &[String]) -> String {
    let wish =
        "the appliance is being copied; how it went is said at the end, and then the machine powers off";
    let mut text = format!("{name} was applied.\n\n{}\n", listed(settings, network, wish));
    for note in notes {
        // Writing to a text cannot fail.
        let _written = writeln!(text, "{note}");
    }
    text.push_str(
        "It is read again when it says something else. What it has set stays if it is removed, and a password for\n\
         Wi-Fi need not stay on this drive.\n",
    );
    text
}

/// The text for a file that is only looked at.
pub fn would_apply(name: &str, settings: &Settings) -> String {
    let wish = "the appliance would be copied to the internal disk, and the machine power off";
    format!(
        "{name} would be applied.\n\n{}",
        listed(settings, Network::InForce, wish)
    )
}

fn listed(settings: &Settings, network: Network, wish: &str) -> String {
    let mut text = String::new();
    for (label, value) in lines(settings, network, wish) {
        // Writing to a text cannot fail.
        let _written = writeln!(text, "  {label:<12}{value}");
    }
    if text.is_empty() {
        text.push_str("  It sets nothing.\n");
    }
    text
}

/// The text for a file with mistakes.
pub fn refused(name: &str, problems: &[Problem]) -> String {
    let mut text = format!("{name} was NOT applied. Nothing was changed, because of\n\n");
    for problem in problems {
        let _written = writeln!(text, "  {problem}");
    }
    text.push_str("\nCorrect it, save it, and start the machine again.\n");
    text
}

fn lines(settings: &Settings, network: Network, wish: &str) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut line = |label, value: Option<String>| lines.extend(value.map(|value| (label, value)));
    line(
        "host name",
        settings
            .hostname
            .as_ref()
            .map(|name| format!("{name}, found as {name}.local")),
    );
    line("time zone", settings.timezone.as_ref().map(ToString::to_string));
    line("model", settings.model.as_ref().map(ToString::to_string));
    line("network", settings.ipv4.as_ref().map(address));
    line("Wi-Fi", settings.wifi.as_ref().map(wifi));
    line("", fate(network).map(str::to_owned));
    for key in &settings.ssh_keys {
        line(
            "SSH key",
            Some(format!("{} {}", key.kind(), key.comment()).trim_end().to_owned()),
        );
    }
    for token in &settings.tokens {
        line(
            "token",
            Some(format!("{} {}", token.role(), token.name()).trim_end().to_owned()),
        );
    }
    line("install", settings.install.as_ref().map(|_| wish.to_owned()));
    for setting in settings.engine.environment().lines() {
        line("engine", Some(setting.to_owned()));
    }
    lines
}

fn address(ipv4: &Ipv4) -> String {
    match ipv4 {
        Ipv4::Dhcp => "address by DHCP".to_owned(),
        Ipv4::Static(fixed) => format!("{} of {}", fixed.net(), fixed.link()),
    }
}

fn fate(network: Network) -> Option<&'static str> {
    match network {
        Network::InForce => None,
        Network::OnTrial => Some("on trial: it stays if somebody is reached by it within two minutes"),
        Network::TakenBack => Some(
            "TAKEN BACK: nobody was reached by it within two minutes. What was before is in force again.\n              \
             To have it tried again, change the file; a comment is enough",
        ),
        Network::GivenUp => Some("given up: something else was set while it was tried"),
    }
}

fn wifi(wifi: &Wifi) -> String {
    let open = if wifi.password.is_none() {
        ", without a password in the file"
    } else {
        ""
    };
    format!("{}{open}", wifi.ssid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn what_was_applied_is_listed_without_secrets() {
        let text = "hostname = \"kitchen\"\n[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n[wifi]\nssid = \"home\"\npassword = \"correct horse\"\n[engine]\nslots = 2\n";
        let settings = parse(text.as_bytes(), |_| true).unwrap();
        let said = applied(
            "hearth.toml",
            &settings,
            Network::OnTrial,
            &["A note.".to_owned()],
        );
        for wanted in [
            "kitchen.local",
            "10.0.0.2/8 of Wi-Fi\n",
            "on trial",
            "home\n",
            "HEARTH_SLOTS=2",
            "A note.",
        ] {
            assert!(said.contains(wanted), "{said}");
        }
        assert!(!said.contains("horse"), "{said}");
        assert!(applied("hearth.toml", &settings, Network::TakenBack, &[]).contains("TAKEN BACK"));
        assert!(applied("hearth.toml", &Settings::default(), Network::InForce, &[]).contains("sets nothing"));
        let wish = parse(b"[install]\nto = \"internal\"\ndisk = \"sda\"\n", |_| true).unwrap();
        let said = would_apply("was applied.toml", &wish);
        assert!(said.starts_with("was applied.toml would be applied.") && said.contains("would be copied"));
    }

    #[test]
    fn what_is_wrong_is_listed_with_its_line() {
        let problems = parse(b"\nhostname = 1\nx = 2\n", |_| true).unwrap_err();
        let said = refused("hearth.toml", &problems);
        assert!(
            said.contains("NOT applied") && said.contains("  line 2, hostname: "),
            "{said}"
        );
        assert!(said.contains("  line 3, x: "), "{said}");
    }
}
