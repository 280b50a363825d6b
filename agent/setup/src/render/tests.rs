use super::*;
use crate::parse;

fn settings(text: &str) -> Settings {
    parse(text.as_bytes(), |_| true).unwrap()
}

/// What is at a path, as `ls` and `cat` would tell.
fn shown(files: &[File]) -> String {
    let mut text = String::new();
    for file in files {
        let path = file.path.display();
        let _written = match &file.content {
            Content::Text(content, mode) => writeln!(text, "{path} {mode:o}\n{content}"),
            Content::Link(to) => writeln!(text, "{path} -> {}\n", to.display()),
            Content::Absent => writeln!(text, "{path} -\n"),
        };
    }
    text
}

/// All files of a network.
fn all(now: &Network, before: Option<&Network>) -> Vec<File> {
    [links(now), network(now, before)].concat()
}

const STATIC: &str = "[network]\nmethod = \"static\"\naddress = \"192.168.1.20/24\"\ngateway = \"192.168.1.1\"\ndns = [\"192.168.1.1\", \"fd00::1\"]\n";
const HOME: &str = "[wifi]\nssid = \"home\"\npassword = \"a b\\\\cdefg\"\n";

#[test]
fn a_fixed_address_is_the_cables() {
    assert_eq!(
        shown(&all(&settings(STATIC).network(), None)),
        "run/systemd/network/80-ethernet.network.d/10-hearth.conf 644\n\
         [Network]\nDHCP=ipv6\nDNS=192.168.1.1\nDNS=fd00::1\n\n\
         [Address]\nAddress=192.168.1.20/24\nDuplicateAddressDetection=ipv4\n\n\
         [Route]\nGateway=192.168.1.1\nMetric=100\n\n\n\
         run/systemd/network/81-wifi.network.d/10-hearth.conf -\n\n\
         var/lib/hearth/config/hostname 644\nhearth\n\n"
    );
}

#[test]
fn with_wifi_it_is_the_radios_and_the_password_is_roots() {
    let text = shown(&all(&settings(&format!("{STATIC}{HOME}")).network(), None));
    assert!(
        text.contains("80-ethernet.network.d/10-hearth.conf -\n"),
        "{text}"
    );
    assert!(
        text.contains("81-wifi.network.d/10-hearth.conf 644\n[Network]") && text.contains("Metric=600"),
        "{text}"
    );
    assert!(
        text.contains("var/lib/iwd/home.psk 600\n[Security]\nPassphrase=a\\sb\\\\cdefg\n"),
        "{text}"
    );
}

#[test]
fn a_network_that_is_left_is_forgotten_and_one_that_stays_is_not() {
    let home = settings(HOME).network();
    let left = network(&Network::default(), Some(&home));
    assert!(shown(&left).starts_with("var/lib/iwd/home.psk -\n\n"), "{left:?}");
    assert_eq!(network(&home, Some(&home)), network(&home, None));
}

#[test]
fn names_that_are_no_file_names_are_written_in_digits() {
    for (ssid, file) in [
        ("My Net_5-G", "My Net_5-G.open"),
        ("a/b", "=612f62.open"),
        ("größe", "=6772c3b6c39f65.open"),
        ("..", "=2e2e.open"),
    ] {
        let wifi = settings(&format!("[wifi]\nssid = \"{ssid}\"\n")).network();
        let text = shown(&network(&wifi, None));
        assert!(text.contains(&format!("var/lib/iwd/{file} 600\n")), "{text}");
    }
}

#[test]
fn who_gets_in_and_the_engine() {
    let key = crate::settings::ssh_key::tests::ED25519;
    let hash = "0".repeat(64);
    let settings = settings(&format!(
        "timezone = \"Europe/Berlin\"\nmodel = \"coder\"\n[access]\nssh_keys = [\"ssh-ed25519 {key} me\"]\n\
         token_hashes = [\"sha256:{hash} chat laptop\"]\n[engine]\nslots = 2\n"
    ));
    assert_eq!(
        shown(&rest(&settings)),
        format!(
            "var/lib/hearth/config/authorized_keys 644\nssh-ed25519 {key} me\n\n\
             var/lib/hearth/config/token-hashes 600\nsha256:{hash} chat laptop\n\n\
             var/lib/hearth/config/engine.env 644\nHEARTH_SLOTS=2\nHEARTH_MODEL=coder\n\n\
             var/lib/hearth/config/localtime -> /usr/share/zoneinfo/Europe/Berlin\n\n"
        )
    );
    let nothing = shown(&rest(&Settings::default()));
    assert!(
        nothing.contains("authorized_keys 644\n\n") && nothing.ends_with("zoneinfo/UTC\n\n"),
        "{nothing}"
    );
}
