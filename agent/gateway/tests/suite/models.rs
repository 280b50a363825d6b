//! `/api/v1/models`: what passes between clients and the import service.

use crate::{
    agent::Agent,
    client::{Answer, Client},
    engine::DEADLINE,
    process::{Gateway, Setup},
};
use api::{
    import::{NewFile, NewModel, Refused, RefusedKind, Reply, Request, SetModel},
    models::{ModelChange, ModelSettings, Phase, Place, Progress, RemovedModel, StoredModel, Verification},
    openai::KeepAlive,
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    thread::{self, JoinHandle},
};

/// A fake import service, played by hand.
pub(crate) struct Service {
    listener: UnixListener,
}

/// One of its connections.
pub(crate) struct Call {
    reader: BufReader<UnixStream>,
}

impl Service {
    pub(crate) fn next(&self) -> Call {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Call {
            reader: BufReader::new(stream),
        }
    }
}

impl Call {
    pub(crate) fn request(&mut self) -> Request {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn reply(&mut self, reply: &Reply) {
        let line = serde_json::to_string(reply).unwrap() + "\n";
        self.reader.get_mut().write_all(line.as_bytes()).unwrap();
    }

    /// The files to their orderly end; what came and no end if it broke off.
    pub(crate) fn files(&mut self) -> Result<Vec<u8>, Vec<u8>> {
        let mut files = Vec::new();
        loop {
            let mut length = [0; 4];
            if self.reader.read_exact(&mut length).is_err() {
                return Err(files);
            }
            let length = u32::from_le_bytes(length) as usize;
            if length == 0 {
                return Ok(files);
            }
            let begin = files.len();
            files.resize(begin + length, 0);
            if self.reader.read_exact(&mut files[begin..]).is_err() {
                return Err(files);
            }
        }
    }

    pub(crate) fn waits_for_hang_up(mut self) {
        assert!(self.reader.read_to_end(&mut Vec::new()).is_ok());
    }
}

pub(crate) fn gateway() -> (Setup, Gateway, Service) {
    served(Setup::new())
}

fn served(setup: Setup) -> (Setup, Gateway, Service) {
    let listener = UnixListener::bind(setup.import_socket()).unwrap();
    let gateway = setup.serve();
    (setup, gateway, Service { listener })
}

/// Asks as an administrator while the test plays the service.
pub(crate) fn ask(gateway: &Gateway, line: &str, body: &str) -> JoinHandle<Answer> {
    let (mut client, line, body) = (Client::unix(&gateway.local), line.to_owned(), body.to_owned());
    thread::spawn(move || client.ask(&line, &[], &body))
}

pub(crate) fn model() -> StoredModel {
    StoredModel {
        id: "m".to_owned(),
        place: Place::Added,
        root: Some("ab".to_owned()),
        name: None,
        family: Some("llama".to_owned()),
        parameters: Some(1),
        kind: None,
        context: None,
        bytes: 20,
        stored: 10,
        codecs: vec![],
        problem: None,
        settings: ModelSettings::default(),
    }
}

pub(crate) fn progress(done: u64) -> Reply {
    Reply::Progress(Progress {
        phase: Phase::Packing,
        done,
        total: 2,
    })
}

pub(crate) fn refused(kind: RefusedKind, message: &str) -> Reply {
    Reply::Refused(Refused {
        kind,
        message: message.to_owned(),
    })
}

#[test]
fn a_model_is_added_step_by_step_and_who_added_it_is_logged() {
    let (_setup, gateway, service) = gateway();
    let body = "GGUF".repeat(100_000);
    let answer = ask(&gateway, "PUT /api/v1/models/m?file=a.gguf", &body);
    let mut call = service.next();
    let file = NewFile {
        name: "a.gguf".to_owned(),
        bytes: Some(400_000),
    };
    let new = NewModel {
        name: "m".to_owned(),
        files: vec![file],
    };
    assert_eq!(call.request(), Request::Add(new));
    call.reply(&Reply::Ready);
    assert_eq!(call.files().unwrap(), body.as_bytes());
    call.reply(&progress(1));
    call.reply(&progress(2));
    call.reply(&Reply::Added(Box::new(model())));
    let answer = answer.join().unwrap();
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/x-ndjson"))
    );
    let lines: Vec<serde_json::Value> = answer
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0]["progress"]["phase"], "packing");
    assert_eq!(lines[2]["added"]["id"], "m");
    let line = gateway.wait_for_line("model m added by ");
    assert!(line.contains("10 bytes, ab"), "{line}");
}

#[test]
fn a_refusal_before_the_files_is_the_answer_and_no_file_is_read() {
    let (_setup, gateway, service) = gateway();
    for (kind, status, slug) in [
        (RefusedKind::Invalid, 400, "invalid-request"),
        (RefusedKind::Taken, 409, "conflict"),
        (RefusedKind::Busy, 409, "conflict"),
        (RefusedKind::NoSpace, 507, "no-space"),
        (RefusedKind::Failed, 500, "internal"),
    ] {
        let mut client = Client::unix(&gateway.local);
        client.write(
            "PUT /api/v1/models/m HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
        );
        let mut call = service.next();
        call.request();
        call.reply(&refused(kind, "because"));
        let answer = client.answer();
        assert_eq!(answer.status, status, "no interim 100 either: {answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{answer:?}"
        );
        let problem = answer.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"));
        assert_eq!(problem["detail"], "because");
    }
}

#[test]
fn a_refusal_while_the_files_come_or_after_is_the_answer() {
    let (_setup, gateway, service) = gateway();
    let body = "x".repeat(4 << 20);
    let answer = ask(&gateway, "PUT /api/v1/models/m", &body);
    let mut call = service.next();
    call.request();
    call.reply(&Reply::Ready);
    call.reader.read_exact(&mut [0; 1000]).unwrap();
    call.reply(&refused(RefusedKind::NoSpace, "full"));
    drop(call);
    let answer = answer.join().unwrap();
    assert_eq!(
        (answer.status, answer.json()["detail"].as_str()),
        (507, Some("full"))
    );

    let answer = ask(&gateway, "PUT /api/v1/models/m", "PK zip");
    let mut call = service.next();
    call.request();
    call.reply(&Reply::Ready);
    call.files().unwrap();
    call.reply(&refused(RefusedKind::Unusable, "m.gguf: byte 0: not a GGUF file"));
    let answer = answer.join().unwrap();
    assert_eq!(
        (answer.status, answer.json()["type"].as_str()),
        (422, Some("/problems/unacceptable-value"))
    );
}

#[test]
fn a_failure_amid_the_steps_is_the_last_of_them() {
    let (_setup, gateway, service) = gateway();
    let endings: [(Option<Reply>, &str); 2] = [
        (Some(refused(RefusedKind::NoSpace, "full")), "/problems/no-space"),
        (None, "/problems/import-lost"),
    ];
    for (last, kind) in endings {
        let answer = ask(&gateway, "PUT /api/v1/models/m", "GGUF");
        let mut call = service.next();
        call.request();
        call.reply(&Reply::Ready);
        call.files().unwrap();
        call.reply(&progress(1));
        if let Some(last) = last {
            call.reply(&last);
        }
        drop(call);
        let answer = answer.join().unwrap();
        assert_eq!(answer.status, 200);
        let last: serde_json::Value = serde_json::from_str(answer.body.lines().last().unwrap()).unwrap();
        assert_eq!(last["problem"]["type"], kind);
    }
    assert!(!gateway.log().contains("added by"), "{}", gateway.log());
}

#[test]
fn the_service_hears_at_once_of_a_client_that_goes_away() {
    let (_setup, gateway, service) = gateway();
    // Amid the upload, whose end is then not told.
    let mut client = UnixStream::connect(&gateway.local).unwrap();
    let head = "PUT /api/v1/models/m HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nGGUF";
    client.write_all(head.as_bytes()).unwrap();
    let mut call = service.next();
    call.request();
    call.reply(&Reply::Ready);
    client.shutdown(Shutdown::Both).unwrap();
    call.files().expect_err("the files seem whole");
    // Amid the packing.
    let mut client = UnixStream::connect(&gateway.local).unwrap();
    let head = "PUT /api/v1/models/m HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nGGUF";
    client.write_all(head.as_bytes()).unwrap();
    let mut call = service.next();
    call.request();
    call.reply(&Reply::Ready);
    call.files().unwrap();
    call.reply(&progress(1));
    let mut head = [0; 12];
    client.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    drop(client);
    call.waits_for_hang_up();
}

#[test]
fn a_chunked_body_is_passed_on_without_a_size() {
    let (_setup, gateway, service) = gateway();
    let mut client = Client::unix(&gateway.local);
    client.write("PUT /api/v1/models/m HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGGUF\r\n0\r\n\r\n");
    let mut call = service.next();
    let Request::Add(new) = call.request() else {
        panic!("no addition");
    };
    assert_eq!((new.files[0].name.as_str(), new.files[0].bytes), ("m.gguf", None));
    call.reply(&Reply::Ready);
    assert_eq!(call.files().unwrap(), b"GGUF");
    call.reply(&Reply::Added(Box::new(model())));
    assert_eq!(client.answer().status, 200);
}

#[test]
fn models_are_listed_verified_and_removed() {
    let (_setup, gateway, service) = gateway();
    let answer = ask(&gateway, "GET /api/v1/models", "");
    let mut call = service.next();
    assert_eq!(call.request(), Request::List);
    call.reply(&Reply::Models(vec![model()]));
    let answer = answer.join().unwrap();
    assert_eq!(
        (answer.status, &answer.json()["models"][0]["id"]),
        (200, &"m".into())
    );

    let answer = ask(&gateway, "POST /api/v1/models/m/verify", "");
    let mut call = service.next();
    assert_eq!(call.request(), Request::Verify("m".to_owned()));
    call.reply(&Reply::Verified(Verification {
        id: "m".to_owned(),
        root: "ab".to_owned(),
        blocks: 3,
        stored: 10,
        damaged: vec![],
    }));
    let answer = answer.join().unwrap();
    assert_eq!(
        (answer.status, &answer.json()["verified"]["blocks"]),
        (200, &3.into())
    );

    let answer = ask(&gateway, "DELETE /api/v1/models/m", "");
    let mut call = service.next();
    assert_eq!(call.request(), Request::Remove("m".to_owned()));
    call.reply(&Reply::Removed(RemovedModel {
        id: "m".to_owned(),
        freed: 10,
        note: None,
    }));
    assert_eq!(answer.join().unwrap().status, 200);
    gateway.wait_for_line("model m removed by ");
    gateway.wait_for_line("hearthd does not know that model m was removed");

    let answer = ask(&gateway, "DELETE /api/v1/models/image", "");
    let mut call = service.next();
    call.request();
    call.reply(&refused(RefusedKind::Fixed, "part of the image"));
    assert_eq!(answer.join().unwrap().status, 409);
}

#[test]
fn a_model_that_was_removed_is_not_quarantined_any_more() {
    let agent = Agent::start();
    let (_setup, gateway, service) = served(Setup::new().on_bus(&agent.address));
    let quarantined = || {
        let status = ask(&gateway, "GET /api/v1/status", "").join().unwrap().json();
        status["supervision"]["quarantined"].as_array().map(Vec::len)
    };
    assert_eq!(quarantined(), Some(1));
    let answer = ask(&gateway, "DELETE /api/v1/models/bad", "");
    let mut call = service.next();
    call.request();
    call.reply(&Reply::Removed(RemovedModel {
        id: "bad".to_owned(),
        freed: 10,
        note: None,
    }));
    assert_eq!(answer.join().unwrap().status, 200);
    assert_eq!(quarantined(), Some(0));
}

#[test]
fn what_is_set_of_a_model_is_passed_on_and_what_is_no_setting_is_not() {
    let (_setup, gateway, service) = gateway();
    let body = r#"{"keep_alive":"30m","pin":true,"context":null}"#;
    let answer = ask(&gateway, "PATCH /api/v1/models/m", body);
    let mut call = service.next();
    let change = ModelChange {
        keep_alive: Some(Some(KeepAlive::Text("30m".to_owned()))),
        pin: Some(true),
        context: Some(None),
        default: None,
    };
    let name = "m".to_owned();
    assert_eq!(call.request(), Request::Set(SetModel { name, change }));
    call.reply(&Reply::Set(Box::new(model())));
    let answer = answer.join().unwrap();
    assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some("m")));
    for body in ["", "[", r#"{"pin":"yes"}"#, r#"{"colour":1}"#] {
        let answer = gateway.ask_locally("PATCH /api/v1/models/m", body);
        assert!((400..500).contains(&answer.status), "{body}");
    }
}

#[test]
fn without_a_service_the_problem_names_its_socket() {
    let setup = Setup::new();
    let gateway = setup.serve();
    let answer = gateway.ask_locally("GET /api/v1/models", "");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    assert!(answer.body.contains("import.sock"), "{}", answer.body);
}

#[test]
fn readers_see_models_and_only_administrators_change_them() {
    // Whoever may read is let through to the service, which is not there.
    let setup = Setup::new();
    let gateway = setup.serve();
    let header = |role: &str| {
        let new = format!(r#"{{"name":"wall","role":"{role}"}}"#);
        let made = gateway.ask_locally("POST /api/v1/tokens", &new);
        format!(
            "Authorization: Bearer {}",
            made.json()["secret"].as_str().unwrap()
        )
    };
    let (read, chat) = (header("read"), header("chat"));
    let list = "GET /api/v1/models";
    for role in [&read, &chat] {
        assert_eq!(gateway.ask(list, &[role], "").status, 503);
    }
    assert_eq!(gateway.ask(list, &[], "").status, 401);
    for line in [
        "PUT /api/v1/models/m",
        "DELETE /api/v1/models/m",
        "PATCH /api/v1/models/m",
        "POST /api/v1/models/m/verify",
    ] {
        assert_eq!(gateway.ask(line, &[&chat], "").status, 403, "{line}");
        assert_eq!(gateway.ask(line, &[], "").status, 401, "{line}");
    }
}
