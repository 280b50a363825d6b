//! The certificate, the handshake, and what is answered without one.

use crate::{
    client::{Client, trusting},
    process::{Gateway, Setup, gateway_with_engine},
};
use nix::unistd::gethostname;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, ClientConnection, Connection, SupportedProtocolVersion, crypto::ring, version};
use serde_json::json;
use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::Arc,
};

/// The error of a handshake for a name, if there is one.
fn shake_hands(gateway: &Gateway, trust: &Arc<ClientConfig>, name: &str) -> Option<String> {
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    let name = name.to_owned().try_into().unwrap();
    let mut connection = Connection::from(ClientConnection::new(trust.clone(), name).unwrap());
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut stream) {
            return Some(error.to_string());
        }
    }
    None
}

fn with_version(gateway_trust: &Setup, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(gateway_trust.state("tls-authority.pem")).unwrap();
    roots
        .add(rustls::pki_types::pem::PemObject::from_pem_slice(&pem).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_protocol_versions(&[version]).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth().into()
}

/// A whole ClientHello (RFC 5246, section 7.4.1.2) that offers nothing newer than this version, and with that everything
/// that is needed: ECDHE with ECDSA, with AES in both forms, P-256.
fn hello(version: [u8; 2]) -> Vec<u8> {
    let suites = [0, 6, 0xc0, 0x2b, 0xc0, 0x09, 0xc0, 0x0a];
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let points = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 6, 0, 4, 4, 3, 2, 3];
    let extensions = [&groups[..], &points, &signatures].concat();
    let length = [0, extensions.len() as u8];
    let body = [
        &version[..],
        &[7; 32],
        &[0],
        &suites,
        &[1, 0],
        &length,
        &extensions,
    ]
    .concat();
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, handshake.len() as u8][..], &handshake].concat()
}

/// What is answered to it.
fn answer_to_hello(gateway: &Gateway, version: [u8; 2]) -> Vec<u8> {
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.write_all(&hello(version)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn old_tls_is_refused_and_new_is_not() {
    let setup = Setup::new();
    let gateway = setup.serve();
    for version in [[3, 0], [3, 1], [3, 2]] {
        let answer = answer_to_hello(&gateway, version);
        // A fatal alert: protocol_version (RFC 5246, section 7.2).
        assert_eq!(
            (answer[0], &answer[5..]),
            (21, &[2, 70][..]),
            "{version:?}: {answer:?}"
        );
    }
    // TLS 1.2 and a ServerHello.
    let answer = answer_to_hello(&gateway, [3, 3]);
    assert_eq!((answer[0], answer[5]), (22, 2), "{answer:?}");
    for version in [&version::TLS12, &version::TLS13] {
        let trust = with_version(&setup, version);
        assert_eq!(shake_hands(&gateway, &trust, "localhost"), None, "{version:?}");
    }
}

#[test]
fn it_is_known_by_its_names_and_addresses_and_by_nobody_elses() {
    let setup = Setup::new();
    let gateway = setup.serve();
    let host = gethostname().unwrap().into_string().unwrap();
    let host = host.split('.').next().unwrap().to_lowercase();
    for name in [&format!("{host}.local"), &host, "localhost", "127.0.0.1", "::1"] {
        assert_eq!(shake_hands(&gateway, &gateway.trust, name), None, "{name}");
    }
    for name in ["other.local", "example.com", "192.168.1.1"] {
        let error = shake_hands(&gateway, &gateway.trust, name).unwrap();
        assert!(
            error.contains("NotValidForName") || error.contains("not valid for name"),
            "{error}"
        );
    }
    let stranger = Setup::new();
    let stranger = stranger.serve();
    let error = shake_hands(&gateway, &stranger.trust, "localhost").unwrap();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[test]
fn nobody_else_reads_its_keys_and_no_log_has_them() {
    let (setup, gateway, _engine, token) = gateway_with_engine();
    assert_eq!(
        gateway
            .ask("PUT /api/v1/tls/certificate", &[&token], &own("box.example"))
            .status,
        200
    );
    assert_eq!(
        gateway
            .ask("PUT /api/v1/tls/plain-http", &[&token], r#"{"enabled":true}"#)
            .status,
        200
    );
    let files = fs::read_dir(setup.state("")).unwrap().map(|entry| entry.unwrap());
    let modes: Vec<_> = files
        .map(|file| {
            (
                file.file_name().into_string().unwrap(),
                file.metadata().unwrap().permissions().mode() & 0o777,
            )
        })
        .collect();
    for file in ["tls-authority.pem", "tls-server.pem", "tls-own.pem", "tls.json"] {
        assert!(modes.contains(&(file.to_owned(), 0o600)), "{file}: {modes:?}");
    }
    assert!(modes.iter().all(|(_, mode)| mode & 0o077 == 0), "{modes:?}");
    let key = fs::read_to_string(setup.state("tls-own.pem")).unwrap();
    let line = key.lines().rev().nth(1).unwrap().to_owned();
    let told = [gateway.log(), gateway.ask("GET /api/v1/tls", &[&token], "").body];
    assert!(
        told.iter()
            .all(|text| !text.contains("PRIVATE") && !text.contains(&line))
    );
}

#[test]
fn whoever_comes_by_another_address_finds_it_in_the_certificate() {
    let setup = Setup::new();
    let token = format!("Authorization: Bearer {}", setup.first_token());
    let mut command = setup.serve_command();
    command.args(["--listen", "127.0.0.2:0"]);
    let gateway = setup.start(command);
    let certificate = || gateway.ask("GET /api/v1/tls", &[&token], "").json()["certificate"].clone();
    let first = certificate();
    assert!(!first["names"].as_array().unwrap().contains(&json!("127.0.0.2")));
    let line = gateway.wait_for_line("listening on 127.0.0.2");
    let second = line.rsplit(' ').next().unwrap().parse().unwrap();
    // The client would not go on if the certificate were not for the address.
    assert_eq!(
        Client::tls(second, &gateway.trust).ask("GET /", &[], "").status,
        200
    );
    let renewed = certificate();
    assert!(renewed["names"].as_array().unwrap().contains(&json!("127.0.0.2")));
    assert_ne!(first["sha256"], renewed["sha256"]);
    gateway.wait_for_line("somebody came by the address 127.0.0.2");
    gateway.terminate();
    gateway.wait();
    let again = setup.serve();
    let kept = again.ask("GET /api/v1/tls", &[&token], "").json()["certificate"].clone();
    assert_eq!(kept, renewed, "it is kept over a restart");
}

#[test]
fn the_fingerprint_is_told_alike_everywhere() {
    let setup = Setup::new();
    let shown = || String::from_utf8(setup.command("fingerprint").output().unwrap().stdout).unwrap();
    let before = shown();
    let gateway = setup.serve();
    let told = gateway.ask_locally("GET /api/v1/tls", "").json()["fingerprint"].clone();
    let told = told.as_str().unwrap();
    assert_eq!(before.trim().replace('\n', ":"), told);
    assert_eq!((told.len(), before.lines().map(str::len).max()), (95, Some(47)));
    assert_eq!(
        gateway.ask_locally("GET /api/v1/status", "").json()["fingerprint"],
        told
    );
    gateway.wait_for_line(told);
    gateway.ask_locally("PUT /api/v1/tls/certificate", &own("box.example"));
    let own = gateway.ask_locally("GET /api/v1/tls", "").json()["fingerprint"].clone();
    assert_ne!(own, told);
    assert_eq!(shown().trim().replace('\n', ":"), own);
}

#[test]
fn the_authority_is_handed_out_with_and_without_tls() {
    let setup = Setup::new();
    let gateway = setup.serve();
    let answers = [
        gateway.ask_plainly("GET /ca.crt", &[], ""),
        gateway.ask("GET /ca.crt", &[], ""),
    ];
    for answer in &answers {
        assert_eq!(answer.header("content-type"), Some("application/x-x509-ca-cert"));
        assert!(!answer.body.contains("PRIVATE"));
        let trust = trusting(answer.body.as_bytes());
        assert_eq!(shake_hands(&gateway, &trust, "localhost"), None);
    }
    let fingerprint = gateway.ask_locally("GET /api/v1/tls", "").json()["fingerprint"].clone();
    let half = &fingerprint.as_str().unwrap()[..47];
    for guide in [
        gateway.ask_plainly("GET /certificate", &[], ""),
        gateway.ask("GET /certificate", &[], ""),
    ] {
        for wanted in [
            "http://hearth/ca.crt",
            half,
            "SSL_CERT_FILE",
            "NODE_EXTRA_CA_CERTS",
            "Firefox",
            "VS Code",
        ] {
            assert!(guide.body.contains(wanted), "{wanted} is not in {}", guide.body);
        }
    }
}

#[test]
fn pages_are_sent_on_to_tls() {
    let setup = Setup::new();
    let gateway = setup.serve();
    let port = gateway.address.port();
    for line in ["GET /chat?x=1", "HEAD /chat?x=1"] {
        let mut client = Client::tcp(gateway.plain);
        client.send(line, &[], "");
        let answer = client.head();
        assert_eq!(answer.status, 308);
        assert_eq!(
            answer.header("location"),
            Some(&*format!("https://hearth:{port}/chat?x=1"))
        );
    }
    let answer = gateway.ask_plainly("POST /v1/chat/completions", &[], "{}");
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (403, Some("unencrypted"))
    );
}

#[test]
fn a_token_in_the_clear_is_refused_and_named_to_the_owner() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let answer = gateway.ask_plainly("GET /api/v1/status", &[&token], "");
    assert_eq!(
        (answer.status, answer.json()["type"].as_str()),
        (403, Some("/problems/unencrypted"))
    );
    assert!(answer.json()["detail"].as_str().unwrap().contains("exposed"));
    assert_eq!(
        answer.header("location"),
        None,
        "no client is to repeat it elsewhere by itself"
    );
    let answer = gateway.ask_plainly("POST /v1/chat/completions", &[&token], "{}");
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (403, Some("unencrypted"))
    );
    let id = gateway.ask_locally("GET /api/v1/tokens", "").json()["tokens"][0]["id"].clone();
    gateway.wait_for_line(&format!(
        "token {} was sent unencrypted by 127.0.0.1",
        id.as_str().unwrap()
    ));
    assert!(!gateway.log().contains("hearth_") && engine.is_idle());
    // Once told it need not be told on and on.
    for _ in 0..30 {
        gateway.ask_plainly("GET /api/v1/status", &[&token], "");
    }
    let warnings = gateway.log().matches("was sent unencrypted").count();
    assert!((2..=12).contains(&warnings), "{warnings} warnings");
    // Whether a token is valid is not told to who tries.
    let unknown = gateway.ask_plainly("GET /api/v1/status", &["Authorization: Bearer hearth_x"], "");
    assert_eq!(
        unknown.json(),
        gateway.ask_plainly("GET /api/v1/status", &[&token], "").json()
    );
}

#[test]
fn plain_http_is_answered_where_it_is_switched_on() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let switch = |body| gateway.ask("PUT /api/v1/tls/plain-http", &[&token], body);
    assert_eq!(switch(r#"{"enabled":true}"#).json()["plain_http"], true);
    gateway.wait_for_line("plain HTTP switched on by first");
    let mut client = Client::tcp(gateway.plain);
    client.send("GET /v1/models", &[&token], "");
    let mut call = engine.next();
    call.head();
    call.answer("{}");
    assert_eq!(client.answer().status, 200);
    assert_eq!(gateway.ask_plainly("GET /api/v1/status", &[], "").status, 401);
    assert_eq!(
        gateway.ask_plainly("GET /chat", &[], "").status,
        308,
        "a page can do better"
    );
    let install = gateway.ask_plainly("PUT /api/v1/tls/certificate", &[&token], &own("box.example"));
    assert_eq!(
        (install.status, install.json()["type"].as_str()),
        (403, Some("/problems/unencrypted"))
    );
    let scraped = gateway.ask_plainly("GET /metrics", &[&token], "");
    assert_eq!(scraped.status, 200, "{scraped:?}");
    let page = gateway.ask_plainly("GET /", &[&token], "");
    assert_eq!(page.status, 403);
    assert!(!page.body.contains("plain-http on"), "it is on: {page:?}");
    assert_eq!(switch(r#"{"enabled":false}"#).json()["plain_http"], false);
    assert_eq!(gateway.ask_plainly("GET /v1/models", &[&token], "").status, 403);
    assert_eq!(switch(r#"{"enabled":"on"}"#).status, 422);
}

/// A request to install a certificate for a name.
fn own(name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    json!({"certificate": certificate, "key": key.serialize_pem()}).to_string()
}

#[test]
fn an_own_certificate_is_served_strictly_until_it_is_removed() {
    let (setup, gateway, _engine, token) = gateway_with_engine();
    let front = || gateway.ask_locally("GET /", "");
    assert_eq!(
        gateway.ask("GET /", &[], "").header("strict-transport-security"),
        None
    );
    let installed = gateway.ask("PUT /api/v1/tls/certificate", &[&token], &own("box.example"));
    assert_eq!(
        (installed.status, installed.json()["source"].as_str()),
        (200, Some("own"))
    );
    gateway.wait_for_line("own certificate for box.example installed by first");
    let error = shake_hands(&gateway, &gateway.trust, "localhost").unwrap();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let trust = trusting(&fs::read(setup.state("tls-own.pem")).unwrap());
    assert_eq!(shake_hands(&gateway, &trust, "box.example"), None);
    let mut client = Client::tls_as(gateway.address, &trust, "box.example");
    let strict = client.ask("GET /", &[], "");
    assert!(
        strict
            .header("strict-transport-security")
            .unwrap()
            .starts_with("max-age=")
    );
    assert_eq!(
        front().header("strict-transport-security"),
        None,
        "the local socket is no website"
    );
    assert_eq!(
        client.ask("DELETE /api/v1/tls/certificate", &[&token], "").json()["source"],
        "local"
    );
    assert_eq!(
        client.ask("GET /", &[], "").header("strict-transport-security"),
        None
    );
    assert_eq!(shake_hands(&gateway, &gateway.trust, "localhost"), None);
    assert_eq!(
        gateway
            .ask("DELETE /api/v1/tls/certificate", &[&token], "")
            .status,
        404
    );
    assert!(!setup.state("tls-own.pem").exists());
}

#[test]
fn a_certificate_that_cannot_be_is_refused_by_its_field() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let key = KeyPair::generate().unwrap().serialize_pem();
    let mut mixed: serde_json::Value = serde_json::from_str(&own("box.example")).unwrap();
    mixed["key"] = key.into();
    let refused = gateway.ask("PUT /api/v1/tls/certificate", &[&token], &mixed.to_string());
    assert_eq!(refused.status, 422);
    assert!(
        refused.json()["detail"].as_str().unwrap().starts_with("key: "),
        "{refused:?}"
    );
    let large = json!({"certificate": "x".repeat(70_000), "key": ""}).to_string();
    assert_eq!(
        gateway
            .ask("PUT /api/v1/tls/certificate", &[&token], &large)
            .status,
        413
    );
    assert_eq!(
        gateway.ask("GET /api/v1/tls", &[&token], "").json()["source"],
        "local"
    );
}

#[test]
fn tls_is_shown_to_readers_and_changed_by_administrators() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let new = r#"{"name":"reader","role":"read"}"#;
    let made = gateway.ask("POST /api/v1/tokens", &[&token], new).json();
    let reader = format!("Authorization: Bearer {}", made["secret"].as_str().unwrap());
    assert_eq!(gateway.ask("GET /api/v1/tls", &[&reader], "").status, 200);
    for (line, body) in [
        ("PUT /api/v1/tls/plain-http", r#"{"enabled":true}"#),
        ("PUT /api/v1/tls/certificate", "{}"),
        ("DELETE /api/v1/tls/certificate", ""),
    ] {
        assert_eq!(gateway.ask(line, &[&reader], body).status, 403, "{line}");
    }
    assert_eq!(gateway.ask("GET /api/v1/tls", &[], "").status, 401);
}
