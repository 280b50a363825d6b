//! `/api/v1/uploads`: files that come in parts.

use crate::{
    client::{Answer, Client},
    jobs::job_after,
    models::{Call, Service, gateway, model, refused},
    process::Gateway,
};
use api::import::{NewFile, NewModel, RefusedKind, Reply, Request};
use std::thread;

const NEW: &str = r#"{"name":"m","file":"a.gguf","size":8,"identity":"a"}"#;

fn locally(gateway: &Gateway, line: &str, headers: &[&str], body: &str) -> Answer {
    Client::unix(&gateway.local).ask(line, headers, body)
}

/// An upload that was begun: its place, and the service's end.
fn begun(gateway: &Gateway, service: &Service) -> (String, Call) {
    let mut client = Client::unix(&gateway.local);
    client.send("POST /api/v1/uploads", &[], NEW);
    let mut call = service.next();
    let file = NewFile {
        name: "a.gguf".to_owned(),
        bytes: Some(8),
    };
    let new = NewModel {
        name: "m".to_owned(),
        files: vec![file],
    };
    assert_eq!(call.request(), Request::Add(new));
    call.reply(&Reply::Ready);
    let answer = client.answer();
    assert_eq!((answer.status, answer.json()["offset"].as_u64()), (201, Some(0)));
    (answer.header("location").unwrap().to_owned(), call)
}

fn send(gateway: &Gateway, place: &str, offset: u64, part: &str) -> Answer {
    let offset = format!("Upload-Offset: {offset}");
    locally(gateway, &format!("PATCH {place}"), &[&offset], part)
}

fn offset(gateway: &Gateway, place: &str) -> (u16, Option<String>) {
    let mut client = Client::unix(&gateway.local);
    client.send(&format!("HEAD {place}"), &[], "");
    let head = client.head();
    (head.status, head.header("upload-offset").map(str::to_owned))
}

#[test]
fn another_file_of_the_same_name_and_size_and_one_that_is_not_told_apart_do_not_go_on() {
    let (_setup, gateway, service) = gateway();
    let (place, _call) = begun(&gateway, &service);
    assert_eq!(send(&gateway, &place, 0, "GGUF").status, 204);
    for new in [
        r#"{"name":"m","file":"a.gguf","size":8,"identity":"b"}"#,
        r#"{"name":"m","file":"a.gguf","size":8}"#,
    ] {
        let mut client = Client::unix(&gateway.local);
        client.send("POST /api/v1/uploads", &[], new);
        let mut call = service.next();
        call.request();
        call.reply(&refused(RefusedKind::Busy, "busy"));
        let answer = client.answer();
        assert_eq!(answer.status, 409, "{new}: {answer:?}");
    }
    let again = locally(&gateway, "POST /api/v1/uploads", &[], NEW);
    assert_eq!((again.status, again.json()["offset"].as_u64()), (200, Some(4)));
}

#[test]
fn a_file_comes_in_parts_and_a_job_adds_it() {
    let (_setup, gateway, service) = gateway();
    let (place, mut call) = begun(&gateway, &service);
    let first = send(&gateway, &place, 0, "GGUF");
    assert_eq!((first.status, first.header("upload-offset")), (204, Some("4")));
    assert_eq!(offset(&gateway, &place), (204, Some("4".to_owned())));
    let again = locally(&gateway, "POST /api/v1/uploads", &[], NEW);
    assert_eq!(
        (again.status, again.json()["offset"].as_u64()),
        (200, Some(4)),
        "it goes on"
    );
    let wrong = send(&gateway, &place, 0, "GGUF");
    assert_eq!(wrong.status, 409, "{wrong:?}");
    assert_eq!(locally(&gateway, &format!("PATCH {place}"), &[], "x").status, 400);
    let received = thread::spawn(move || {
        let files = call.files().unwrap();
        call.reply(&Reply::Added(Box::new(model())));
        files
    });
    let last = send(&gateway, &place, 4, "1234");
    assert_eq!((last.status, last.header("upload-offset")), (204, Some("8")));
    assert_eq!(received.join().unwrap(), b"GGUF1234");
    let job = job_after(&gateway, last.header("location").unwrap(), "running");
    assert_eq!(
        (job["state"].as_str(), job["result"]["id"].as_str()),
        (Some("done"), Some("m"))
    );
    assert_eq!(offset(&gateway, &place), (204, Some("8".to_owned())));
    let mut client = Client::unix(&gateway.local);
    client.send(&format!("HEAD {place}"), &[], "");
    assert_eq!(
        client.head().header("location"),
        last.header("location"),
        "for whoever has lost the answer"
    );
    assert_eq!(
        send(&gateway, &place, 8, "").status,
        409,
        "and its job is begun once"
    );
    gateway.wait_for_line("model m added by ");
}

#[test]
fn a_part_that_breaks_off_leaves_what_has_come_of_it() {
    let (_setup, gateway, service) = gateway();
    let (place, _call) = begun(&gateway, &service);
    let mut client = Client::unix(&gateway.local);
    client.write(&format!(
        "PATCH {place} HTTP/1.1\r\nHost: h\r\nUpload-Offset: 0\r\nContent-Length: 8\r\n\r\nGGUF"
    ));
    while offset(&gateway, &place).1.as_deref() != Some("4") {
        thread::yield_now();
    }
    drop(client);
    let rest = send(&gateway, &place, 4, "12");
    assert_eq!((rest.status, rest.header("upload-offset")), (204, Some("6")));
}

#[test]
fn an_upload_that_is_given_up_hangs_up() {
    let (_setup, gateway, service) = gateway();
    let (place, call) = begun(&gateway, &service);
    assert_eq!(locally(&gateway, &format!("DELETE {place}"), &[], "").status, 204);
    call.waits_for_hang_up();
    for line in ["DELETE", "HEAD"] {
        let mut client = Client::unix(&gateway.local);
        client.send(&format!("{line} {place}"), &[], "");
        assert_eq!(client.head().status, 404);
    }
    assert_eq!(send(&gateway, &place, 0, "x").status, 404);
}

#[test]
fn more_than_was_announced_ends_it_and_more_than_a_part_may_be_does_not() {
    let (_setup, gateway, service) = gateway();
    let (place, call) = begun(&gateway, &service);
    let large = "x".repeat((8 << 20) + 1);
    assert_eq!(send(&gateway, &place, 0, &large).status, 413);
    assert_eq!(offset(&gateway, &place), (204, Some("0".to_owned())));
    let long = send(&gateway, &place, 0, "123456789");
    assert_eq!(long.status, 400, "{long:?}");
    call.waits_for_hang_up();
    assert_eq!(offset(&gateway, &place).0, 404);
}

#[test]
fn who_comes_second_is_told_what_is_in_the_way() {
    let (_setup, gateway, service) = gateway();
    let (place, _call) = begun(&gateway, &service);
    let mut client = Client::unix(&gateway.local);
    client.send(
        "POST /api/v1/uploads",
        &[],
        r#"{"name":"n","file":"b.gguf","size":8}"#,
    );
    let mut call = service.next();
    call.request();
    call.reply(&refused(RefusedKind::Busy, "another model is being added"));
    let answer = client.answer();
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    let id = place.rsplit('/').next().unwrap();
    assert!(answer.status == 409 && detail.contains(id), "{answer:?}");
    let bad = locally(
        &gateway,
        "POST /api/v1/uploads",
        &[],
        r#"{"name":"n","file":"b","size":0}"#,
    );
    assert_eq!(bad.status, 422);
}
