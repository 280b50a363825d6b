//! `/api/v1/network`, `/api/v1/time` and the factory reset: what passes between clients and hearth-setup.

use crate::{
    client::{Answer, Client},
    power::{ADMIN, READ, gateway_with_agent},
    process::{Gateway, Setup},
};
use api::{
    network::{Ipv4, Network, StaticAddress},
    setup::{ClockState, NetworkState, Reason, Refused, Reply, Request},
    system::ClockChange,
};
use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::{UnixListener, UnixStream},
    thread::{self, JoinHandle},
};

/// A fake hearth-setup that gives these answers, one a connection, and then tells what it was asked.
fn answering(setup: &Setup, answers: Vec<Reply>) -> JoinHandle<Vec<Request>> {
    // There may be one that has ended.
    drop(std::fs::remove_file(setup.setup_socket()));
    let listener = UnixListener::bind(setup.setup_socket()).unwrap();
    thread::spawn(move || {
        let answer = |reply: Reply| {
            let (stream, _) = listener.accept().unwrap();
            let (mut reader, mut line) = (BufReader::new(stream), String::new());
            reader.read_line(&mut line).unwrap();
            let reply = serde_json::to_string(&reply).unwrap() + "\n";
            reader.get_mut().write_all(reply.as_bytes()).unwrap();
            serde_json::from_str(&line).unwrap()
        };
        answers.into_iter().map(answer).collect()
    })
}

fn state(on_trial: Option<u64>) -> Reply {
    Reply::Network(NetworkState {
        network: Network {
            hostname: "kitchen".to_owned(),
            ipv4: Ipv4::Static(StaticAddress {
                address: "192.168.1.20/24".to_owned(),
                gateway: None,
                dns: vec!["fd00::1".parse().unwrap()],
            }),
            wifi: None,
        },
        revision: "abc".to_owned(),
        on_trial,
    })
}

fn refused(reason: Reason) -> Reply {
    Reply::Refused(Refused {
        reason,
        message: "because".to_owned(),
    })
}

const CHANGE: &str =
    r#"{"hostname":"kitchen","ipv4":{"method":"dhcp"},"wifi":{"ssid":"home","password":"correct horse"}}"#;

fn with_tag(gateway: &Gateway, line: &str, tag: &str, body: &str) -> Answer {
    gateway.ask(line, &[ADMIN[0], &format!("If-Match: {tag}")], body)
}

#[test]
fn the_network_is_shown_with_its_tag_and_the_interfaces_that_networkd_tells_of() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let asked = answering(&setup, vec![state(Some(90)), state(None)]);
    let shown = gateway.ask("GET /api/v1/network", ADMIN, "");
    assert_eq!((shown.status, shown.header("etag")), (200, Some("\"abc\"")));
    let json = shown.json();
    assert_eq!(json["ipv4"]["address"], "192.168.1.20/24");
    assert_eq!(json["interfaces"][0]["addresses"][0], "192.168.1.20/24");
    assert_eq!(json["interfaces_problem"], serde_json::Value::Null);
    assert!(json["confirm_by"].is_string());
    let kept = gateway.ask("GET /api/v1/network", ADMIN, "").json();
    assert_eq!(kept["confirm_by"], serde_json::Value::Null);
    assert_eq!(asked.join().unwrap(), [Request::Network, Request::Network]);
    assert_eq!(gateway.ask("GET /api/v1/network", READ, "").status, 403);
}

#[test]
fn a_change_is_tried_and_confirmed_and_no_password_is_logged() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let asked = answering(
        &setup,
        vec![
            state(None),
            Reply::OnTrial(120),
            state(Some(120)),
            state(Some(120)),
            Reply::Done,
            Reply::Done,
        ],
    );
    let tried = with_tag(&gateway, "PUT /api/v1/network", "\"abc\"", CHANGE);
    assert_eq!(tried.status, 202, "{tried:?}");
    assert!(tried.json()["confirm_by"].is_string());
    let line = gateway.wait_for_line("network to be changed by desk");
    assert!(line.contains("kitchen") && !gateway.log().contains("horse"));
    gateway.wait_for_line("network changed by desk");
    let confirm = |tag| with_tag(&gateway, "POST /api/v1/network/confirm", tag, "").status;
    assert_eq!((confirm("\"other\""), confirm("\"abc\"")), (412, 204));
    gateway.wait_for_line("the network that was on trial is kept by desk");
    let same = gateway.ask("PUT /api/v1/network", ADMIN, CHANGE);
    assert_eq!(
        (same.status, &same.json()["confirm_by"]),
        (200, &serde_json::Value::Null)
    );
    match &asked.join().unwrap()[..] {
        [
            Request::Network,
            Request::SetNetwork(first),
            Request::Network,
            Request::Network,
            Request::Confirm { of },
            Request::SetNetwork(second),
        ] => {
            assert_eq!(of.as_deref(), Some("abc"));
            assert_eq!((first.of.as_deref(), second.of.as_deref()), (Some("abc"), None));
            let wifi = first.change.wifi.as_ref().unwrap();
            assert_eq!(wifi.password.as_deref(), Some("correct horse"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_hearth_setup_refuses_has_its_status() {
    let (setup, gateway, _agent) = gateway_with_agent();
    for (reason, status) in [
        (Reason::Invalid, 422),
        (Reason::Changed, 412),
        (Reason::NoTrial, 409),
        (Reason::Failed, 500),
    ] {
        let asked = answering(&setup, vec![refused(reason)]);
        let answer = gateway.ask("PUT /api/v1/network", ADMIN, CHANGE);
        assert_eq!(
            (answer.status, answer.json()["detail"].as_str()),
            (status, Some("because"))
        );
        asked.join().unwrap();
    }
    let asked = answering(&setup, vec![state(None)]);
    let other = with_tag(&gateway, "PUT /api/v1/network", "\"other\"", CHANGE);
    assert_eq!(other.status, 412, "{other:?}");
    assert_eq!(asked.join().unwrap(), [Request::Network], "nothing was changed");
    assert_eq!(
        with_tag(&gateway, "PUT /api/v1/network", "abc", CHANGE).status,
        400
    );
    let unknown = CHANGE.replace("ssid", "name");
    assert_eq!(gateway.ask("PUT /api/v1/network", ADMIN, &unknown).status, 422);
}

#[test]
fn an_order_that_is_told_before_it_is_refused_counts_as_a_change_and_is_told_briefly() {
    let (setup, gateway, _agent) = gateway_with_agent();
    // More than are asked for: it ends with the program.
    drop(answering(&setup, vec![refused(Reason::Invalid); 520]));
    let long = CHANGE.replace("home", &"x".repeat(10_000));
    let answer = gateway.ask("PUT /api/v1/network", ADMIN, &long);
    assert_eq!(answer.status, 422, "{answer:?}");
    let line = gateway.wait_for_line("network to be changed by desk");
    assert!(line.len() < 600, "{line}");
    let orders = [
        ("PUT /api/v1/network", CHANGE),
        ("POST /api/v1/network/confirm", ""),
        ("PUT /api/v1/time", r#"{"timezone":"Mars"}"#),
    ];
    let (mut client, mut told) = (gateway.client(), 1);
    for (line, body) in orders.into_iter().cycle() {
        let answer = client.ask(line, ADMIN, body);
        match answer.status {
            422 => told += 1,
            // Before that it asks too often, and waits for its turn.
            429 if !answer.body.contains("too many changes") => {}
            429 => break,
            _ => panic!("{told}: {answer:?}"),
        }
    }
    assert!((500..520).contains(&told), "{told}");
}

#[test]
fn where_nobody_changes_the_network_it_is_said_so() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let none = gateway.ask("GET /api/v1/network", ADMIN, "");
    let detail = none.json()["detail"].as_str().unwrap().to_owned();
    assert!(none.status == 503 && detail.contains("setup.sock"), "{none:?}");
    let listener = UnixListener::bind(setup.setup_socket()).unwrap();
    let hangs_up = thread::spawn(move || drop(listener.accept().unwrap()));
    assert_eq!(gateway.ask("GET /api/v1/time", ADMIN, "").status, 502);
    hangs_up.join().unwrap();
}

fn clock(timezone: &str, ntp: bool) -> Reply {
    let timezone = timezone.to_owned();
    Reply::Clock(ClockState { timezone, ntp })
}

#[test]
fn the_clock_is_shown_and_set_by_who_knows_how_it_was() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let (utc, set) = (|| clock("UTC", true), clock("Europe/Berlin", false));
    let asked = answering(&setup, vec![utc(), utc(), Reply::Done, set, utc()]);
    let shown = gateway.ask("GET /api/v1/time", ADMIN, "");
    let tag = shown.header("etag").unwrap().to_owned();
    let json = shown.json();
    assert_eq!((&json["timezone"], &json["ntp"]), (&"UTC".into(), &true.into()));
    // Nobody on this bus keeps the clock.
    assert_eq!(json["synchronised"], serde_json::Value::Null);
    let berlin = r#"{"timezone":"Europe/Berlin","ntp":false}"#;
    let set = with_tag(&gateway, "PUT /api/v1/time", &tag, berlin);
    assert_eq!(
        (set.status, set.json()["timezone"].as_str()),
        (200, Some("Europe/Berlin"))
    );
    assert!(set.header("etag").is_some_and(|new| new != tag));
    gateway.wait_for_line("time zone set to Europe/Berlin, NTP to false by desk");
    let late = with_tag(&gateway, "PUT /api/v1/time", "\"other\"", berlin);
    assert_eq!(late.status, 412, "{late:?}");
    let asked = asked.join().unwrap();
    let change = ClockChange {
        timezone: "Europe/Berlin".to_owned(),
        ntp: Some(false),
    };
    assert_eq!(asked[2], Request::SetClock(change));
}

#[test]
fn a_factory_reset_that_comes_to_no_restart_is_taken_back() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let hostname = nix::unistd::gethostname().unwrap();
    let confirmed = format!(r#"{{"confirm":{hostname:?}}}"#);
    let asked = answering(&setup, vec![Reply::Done, Reply::Done]);
    let reset = gateway.ask("POST /api/v1/system/factory-reset", ADMIN, &confirmed);
    // This hearthd restarts nothing.
    let detail = reset.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        reset.status == 502 && detail.starts_with("nothing was reset"),
        "{reset:?}"
    );
    assert_eq!(
        asked.join().unwrap(),
        [Request::FactoryReset(true), Request::FactoryReset(false)]
    );
    let other = gateway.ask(
        "POST /api/v1/system/factory-reset",
        ADMIN,
        r#"{"confirm":"another"}"#,
    );
    assert_eq!(other.status, 422, "{other:?}");
}

/// One connection of a fake hearth-setup: what was asked, and where the answer goes.
fn asked_next(listener: &UnixListener) -> (Request, UnixStream) {
    let (stream, _) = listener.accept().unwrap();
    let (mut reader, mut line) = (BufReader::new(stream), String::new());
    reader.read_line(&mut line).unwrap();
    (serde_json::from_str(&line).unwrap(), reader.into_inner())
}

fn tell(stream: &mut UnixStream, reply: &Reply) {
    let line = serde_json::to_string(reply).unwrap() + "\n";
    stream.write_all(line.as_bytes()).unwrap();
}

#[test]
fn a_factory_reset_whose_client_hangs_up_does_not_stay_armed() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let listener = UnixListener::bind(setup.setup_socket()).unwrap();
    let hostname = nix::unistd::gethostname().unwrap();
    let mut client = gateway.client();
    let confirmed = format!(r#"{{"confirm":{hostname:?}}}"#);
    client.send("POST /api/v1/system/factory-reset", ADMIN, &confirmed);
    let (wanted, mut stream) = asked_next(&listener);
    assert_eq!(wanted, Request::FactoryReset(true));
    drop(client);
    gateway.wait_for_line("POST /api/v1/system/factory-reset");
    tell(&mut stream, &Reply::Done);
    drop(stream);
    // This hearthd restarts nothing.
    let (wanted, mut stream) = asked_next(&listener);
    assert_eq!(wanted, Request::FactoryReset(false));
    tell(&mut stream, &Reply::Done);
}

#[test]
fn a_gateway_takes_back_the_reset_of_an_earlier_one_before_another_is_ordered() {
    let setup = Setup::new();
    let listener = UnixListener::bind(setup.setup_socket()).unwrap();
    let gateway = setup.serve();
    let (wanted, mut stream) = asked_next(&listener);
    assert_eq!(wanted, Request::FactoryReset(false));
    let hostname = nix::unistd::gethostname().unwrap();
    let mut client = Client::unix(&gateway.local);
    client.send(
        "POST /api/v1/system/factory-reset",
        &[],
        &format!(r#"{{"confirm":{hostname:?}}}"#),
    );
    gateway.wait_for_line("the machine is reset by");
    assert!(
        has_no_other(&listener, &gateway),
        "it would take back what is ordered now"
    );
    tell(&mut stream, &Reply::Done);
    drop(stream);
    // There is nobody here who restarts anything.
    for wanted in [true, false] {
        let (asked, mut stream) = asked_next(&listener);
        assert_eq!(asked, Request::FactoryReset(wanted));
        tell(&mut stream, &Reply::Done);
    }
    assert_eq!(client.answer().status, 503);
    assert!(!gateway.log().contains("cannot be taken back"));
}

#[test]
fn a_reset_of_an_earlier_gateway_that_cannot_be_taken_back_is_in_the_journal() {
    let setup = Setup::new();
    let listener = UnixListener::bind(setup.setup_socket()).unwrap();
    let gateway = setup.serve();
    tell(&mut asked_next(&listener).1, &refused(Reason::Failed));
    let line = gateway.wait_for_line("a factory reset that was ordered before");
    assert!(
        line.contains("(because): remove /var/lib/hearth/config/factory-reset before"),
        "{line}"
    );
}

#[test]
fn a_factory_reset_that_cannot_be_taken_back_is_told() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let hostname = nix::unistd::gethostname().unwrap();
    let confirmed = format!(r#"{{"confirm":{hostname:?}}}"#);
    let asked = answering(&setup, vec![Reply::Done, refused(Reason::Failed)]);
    let reset = gateway.ask("POST /api/v1/system/factory-reset", ADMIN, &confirmed);
    let detail = reset.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        reset.status == 502 && detail.contains("MAY STILL BE RESET"),
        "{reset:?}"
    );
    asked.join().unwrap();
}

/// That nobody else has come to hearth-setup. What came to the gateway before has had its turn by then: it has one thread,
/// which has shaken hands since, and answered.
fn has_no_other(listener: &UnixListener, gateway: &Gateway) -> bool {
    assert_eq!(gateway.ask("GET /api/v1/network/x", &[], "").status, 404);
    listener.set_nonblocking(true).unwrap();
    let come = listener.accept();
    listener.set_nonblocking(false).unwrap();
    come.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn more_askers_than_hearth_setup_takes_wait_for_each_other() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let listener = UnixListener::bind(setup.setup_socket()).unwrap();
    let asking = |_| {
        let mut client = gateway.client();
        client.send("GET /api/v1/time", ADMIN, "");
        client
    };
    let mut clients: Vec<_> = (0..5).map(asking).collect();
    let next = || {
        let (_, mut stream) = asked_next(&listener);
        tell(&mut stream, &clock("UTC", true));
        stream
    };
    let held = [(); 3].map(|()| next());
    // Answered, but to systemd they are connections still.
    for client in &mut clients[..3] {
        assert_eq!(client.answer().status, 200);
    }
    assert!(
        has_no_other(&listener, &gateway),
        "a fourth has come beside three"
    );
    drop(held);
    drop([(); 2].map(|()| next()));
    for client in &mut clients[3..] {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn who_hangs_up_counts_until_hearth_setup_has_ended() {
    let (setup, gateway, _agent) = gateway_with_agent();
    let listener = UnixListener::bind(setup.setup_socket()).unwrap();
    let held = [(); 3].map(|()| {
        let mut client = gateway.client();
        client.send("GET /api/v1/time", ADMIN, "");
        asked_next(&listener).1
    });
    gateway.wait_for_lines("GET /api/v1/time 0 ", 3);
    let mut waiting = gateway.client();
    waiting.send("GET /api/v1/time", ADMIN, "");
    assert!(
        has_no_other(&listener, &gateway),
        "a fourth has come beside three that go on"
    );
    drop(held);
    let (_, mut stream) = asked_next(&listener);
    tell(&mut stream, &clock("UTC", true));
    assert_eq!(waiting.answer().status, 200);
}

#[test]
fn a_restart_that_comes_without_an_answer_is_a_factory_reset() {
    let (setup, gateway, agent) = gateway_with_agent();
    drop(agent);
    let asked = answering(&setup, vec![Reply::Done]);
    let hostname = nix::unistd::gethostname().unwrap();
    let mut client = gateway.client();
    let confirmed = format!(r#"{{"confirm":{hostname:?}}}"#);
    client.send("POST /api/v1/system/factory-reset", ADMIN, &confirmed);
    assert_eq!(asked.join().unwrap(), [Request::FactoryReset(true)]);
    // As the machine's restart does.
    gateway.terminate();
    assert_eq!(client.answer().status, 202);
}
