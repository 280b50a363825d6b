//! Whose certificates it believes.

use crate::{
    certificates::Shown,
    command::{Ended, end, hearth},
    gateway::Gateway,
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    thread,
};

const MODELS: &str = r#"{"object":"list","data":[]}"#;

/// `hearth models` of a gateway, with a home and further arguments.
struct Asking<'a> {
    gateway: &'a Gateway,
    url: String,
    home: &'a Path,
}

impl Asking<'_> {
    /// It connects and asks.
    fn answered(&self, arguments: &[&str]) -> Ended {
        let child = self.command(arguments).spawn().unwrap();
        let call = self.gateway.next();
        assert!(
            call.head.contains("authorization: bearer hearth_t"),
            "{}",
            call.head
        );
        call.answer("200 OK", MODELS);
        let ended = end(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        ended
    }

    /// It does not ask; what it says.
    fn refused(&self, arguments: &[&str]) -> String {
        let ended = Ended::from(self.command(arguments).output().unwrap());
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        ended.stderr
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = hearth(&["--host", &self.url, "models"]);
        command
            .args(arguments)
            .env("HEARTH_TOKEN", "hearth_t")
            .env("HOME", self.home);
        command
    }
}

fn with(shown: &Shown, name: &str, test: impl FnOnce(Asking<'_>)) {
    let (gateway, address) = Gateway::tls(shown);
    let home = tempfile::tempdir().unwrap();
    test(Asking {
        gateway: &gateway,
        url: format!("https://{name}:{}", address.port()),
        home: home.path(),
    });
}

#[test]
fn an_authority_that_is_named_is_believed_and_another_is_not() {
    let shown = Shown::signed("127.0.0.1");
    with(&shown, "127.0.0.1", |asking| {
        let file = asking.home.join("ca.crt");
        let path = file.to_str().unwrap();
        fs::write(&file, &shown.authority_pem).unwrap();
        asking.answered(&["--ca", path]);
        fs::write(&file, Shown::signed("127.0.0.1").authority_pem).unwrap();
        let told = asking.refused(&["--ca", path]);
        assert!(
            told.contains("not signed by the authority") && told.contains("/ca.crt"),
            "{told}"
        );
        fs::write(&file, "nothing").unwrap();
        assert!(asking.refused(&["--ca", path]).contains("no certificate in PEM"));
        assert!(asking.refused(&["--ca", "/nonexistent"]).contains("/nonexistent"));
    });
}

#[test]
fn of_one_that_nobody_vouches_for_it_says_how_to_believe_it() {
    let shown = Shown::signed("127.0.0.1");
    with(&shown, "127.0.0.1", |asking| {
        let told = asking.refused(&[]);
        for wanted in [
            &shown.fingerprint(0),
            &shown.fingerprint(1),
            "--fingerprint",
            "--ca",
            "console",
        ] {
            assert!(told.contains(wanted), "{wanted} is not in {told}");
        }
    });
}

#[test]
fn a_fingerprint_is_remembered_once_it_has_fit() {
    let shown = Shown::signed("127.0.0.1");
    with(&shown, "127.0.0.1", |asking| {
        let (authority, wrong) = (shown.fingerprint(1), Shown::alone("a").fingerprint(0));
        assert!(
            asking
                .refused(&["--fingerprint", &wrong])
                .contains("somebody is in between")
        );
        asking.refused(&[]);
        asking.answered(&["--fingerprint", &authority]);
        asking.answered(&[]);
        let file = asking.home.join(".config/hearth/known-hosts");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.ends_with(&format!(" {authority}\n")), "{text}");
        // What is said goes before what the environment says, be that wrong or gone.
        let mut command = asking.command(&["--fingerprint", &authority]);
        let child = command.env("HEARTH_CA", "/nonexistent").spawn().unwrap();
        asking.gateway.next().answer("200 OK", MODELS);
        assert_eq!(end(child).code, Some(0));
        // Another appliance has taken its place, or somebody is in between.
        fs::write(&file, text.replace(&authority, &wrong)).unwrap();
        let told = asking.refused(&[]);
        assert!(
            told.contains(file.to_str().unwrap()) && told.contains(&authority),
            "{told}"
        );
        // The authority as a file is believed whatever is remembered.
        let ca = asking.home.join("ca.crt");
        fs::write(&ca, &shown.authority_pem).unwrap();
        asking.answered(&["--ca", ca.to_str().unwrap()]);
    });
}

#[test]
fn an_authority_by_its_fingerprint_vouches_for_its_own_names_only() {
    let shown = Shown::signed("other.local");
    with(&shown, "127.0.0.1", |asking| {
        let told = asking.refused(&["--fingerprint", &shown.fingerprint(1)]);
        assert!(told.contains("not valid for name"), "{told}");
        assert!(!asking.home.join(".config/hearth/known-hosts").exists());
        // The very certificate is known, whatever it is called.
        asking.answered(&["--fingerprint", &shown.fingerprint(0)]);
    });
    let alone = Shown::alone("other.local");
    with(&alone, "localhost", |asking| {
        asking.answered(&["--fingerprint", &alone.fingerprint(0)]);
    });
}

#[test]
fn who_has_the_certificate_but_not_its_key_is_found_out() {
    let mut thief = Shown::alone("127.0.0.1");
    let owner = Shown::alone("127.0.0.1");
    // rustls' server does not let itself be told a key that does not fit, so the owner's comes after the thief's own.
    thief.chain.extend(owner.chain.clone());
    with(&thief, "127.0.0.1", |asking| {
        let told = asking.refused(&["--fingerprint", &owner.fingerprint(0)]);
        assert!(told.contains("no trusted connection"), "{told}");
    });
}

#[test]
fn a_door_that_speaks_no_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the other end has gone.
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let ended = Ended::from(
        hearth(&["--host", &format!("https://{address}"), "models"])
            .output()
            .unwrap(),
    );
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("does not speak TLS"), "{}", ended.stderr);
    let ended = hearth(&["--host", "https://a", "--fingerprint", "AB", "models"])
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(2));
}
