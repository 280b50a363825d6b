use super::*;
use crate::settings::Target;
use crate::settings::ssh_key::tests::ED25519;

fn zones(name: &str) -> bool {
    ["UTC", "Europe/Berlin"].contains(&name)
}

fn read(text: &str) -> Settings {
    parse(text.as_bytes(), zones).unwrap()
}

fn said(text: &str) -> Vec<String> {
    let problems = parse(text.as_bytes(), zones).unwrap_err();
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn all_that_can_be_set_is_read() {
    let hash = "0".repeat(64);
    let text = format!(
        "\u{feff}# mine\r
hostname = \"kitchen\"\r
timezone = \"Europe/Berlin\"
model = \"coder\"
[access]
ssh_keys = [\"ssh-ed25519 {ED25519} me\"]
token_hashes = [
  \"sha256:{hash} chat laptop\",
]
[network]
method = \"static\"
address = \"192.168.1.20/24\"
gateway = \"192.168.1.1\"
dns = [\"192.168.1.1\", \"fd00::1\"]
[wifi]
ssid = \"home\"
password = \"correct horse\"
[engine]
slots = 2
kv = \"q8\"
[install]
to = \"internal\"
disk = \"the only one\"
confirm = \"erase\"
"
    );
    let settings = read(&text);
    assert_eq!(settings.hostname.unwrap().to_string(), "kitchen");
    assert_eq!(settings.timezone.unwrap().to_string(), "Europe/Berlin");
    assert_eq!(settings.model.unwrap().to_string(), "coder");
    assert_eq!((settings.ssh_keys.len(), settings.tokens.len()), (1, 1));
    let Some(Ipv4::Static(fixed)) = settings.ipv4 else {
        panic!("{:?}", settings.ipv4);
    };
    assert_eq!(
        (fixed.net().to_string(), fixed.dns().len()),
        ("192.168.1.20/24".to_owned(), 2)
    );
    let wifi = settings.wifi.unwrap();
    assert_eq!(
        (wifi.ssid.to_string(), wifi.password.unwrap().reveal()),
        ("home".to_owned(), "correct horse")
    );
    assert_eq!(settings.engine.environment(), "HEARTH_KV=q8\nHEARTH_SLOTS=2\n");
    let install = settings.install.unwrap();
    assert_eq!((install.target, install.erase), (Target::Only, true));
}

#[test]
fn an_empty_file_sets_nothing() {
    for text in ["", "\n# nothing\n", "[network]\nmethod = \"dhcp\"\n"] {
        let settings = read(text);
        assert_eq!(settings.network(), Settings::default().network(), "{text}");
    }
}

#[test]
fn each_mistake_is_told_with_its_line_in_their_order() {
    let said = said(
        "hostname = \"My Box\"
timezone = \"Mars/Base\"
colour = \"red\"
[access]
ssh_keys = [
  \"nonsense\",
  7,
]
[network]
method = \"static\"
address = \"192.168.1.20\"
[engine]
slots = 0
solts = 1
",
    );
    let places: Vec<&str> = said.iter().map(|said| said.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "line 1, hostname",
            "line 2, timezone",
            "line 3, colour",
            "line 6, access.ssh_keys",
            "line 7, access.ssh_keys",
            "line 11, network.address",
            "line 13, engine.slots",
            "line 14, engine.solts",
        ],
        "{said:#?}"
    );
}

#[test]
fn the_reason_says_what_would_be_right() {
    for (text, wanted) in [
        ("hostname = hearth", "line 1"),
        ("hostname = \"a\"\nhostname = \"b\"", "line 2"),
        ("hostname = 7", "in quotes"),
        ("network = 1", "write [network]"),
        (
            "[network]\naddress = \"10.0.0.2/8\"",
            "line 1, network.method: it is missing",
        ),
        (
            "[network]\nmethod = \"static\"",
            "line 1, network.address: it is missing",
        ),
        (
            "\n[network]\nmethod = \"auto\"",
            "neither \"dhcp\" nor \"static\"",
        ),
        (
            "[network]\nmethod = \"dhcp\"\naddress = \"10.0.0.2/8\"",
            "line 3, network.address: goes with",
        ),
        (
            "[network]\nmethod = \"static\"\naddress = \"192.168.1.20/24\"\ngateway = \"192.168.2.1\"",
            "line 4, network.gateway: `192.168.2.1` is not within",
        ),
        (
            "[wifi]\npassword = \"12345678\"",
            "line 1, wifi.ssid: it is missing",
        ),
        (
            "[wifi]\nssid = \"a\"\npassword = \"short\"",
            "line 3, wifi.password: a password has 8",
        ),
        ("[install]\ndisk = \"sda\"", "install.to: it is missing"),
        (
            "[install]\nto = \"internal\"\ndisk = \"sda\"\nconfirm = \"yes\"",
            "the word is \"erase\"",
        ),
        ("[access]\nssh_keys = \"ssh-ed25519 x\"", "write it as ["),
    ] {
        let said = said(text);
        assert!(said.iter().any(|said| said.contains(wanted)), "{text}: {said:?}");
        assert_eq!(said.len(), 1, "{text}: {said:?}");
    }
}

#[test]
fn a_password_is_never_in_what_is_said() {
    for password in ["hunter", "hunter\u{e9}hunter", "hunter\thunter"] {
        let said = said(&format!("[wifi]\nssid = \"a\"\npassword = \"{password}\"")).concat();
        assert!(!said.contains("hunter"), "{said}");
    }
}

#[test]
fn other_encodings_are_named() {
    let utf16: Vec<u8> = "\u{feff}a".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, wanted) in [
        (utf16, "UTF-16"),
        (
            b"# a\nhostname = \"b\xf6x\"".to_vec(),
            "line 2: there is a character",
        ),
        (vec![b'#'; LONGEST + 1], "longer than 64 KiB"),
    ] {
        let problems = parse(&bytes, zones).unwrap_err();
        assert!(problems[0].to_string().contains(wanted), "{problems:?}");
    }
}

#[test]
fn lists_have_an_end() {
    let many = "\"1.1.1.1\",".repeat(65);
    let said = said(&format!(
        "[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\ndns = [{many}]"
    ));
    assert!(said[0].contains("65 entries"), "{said:?}");
}
