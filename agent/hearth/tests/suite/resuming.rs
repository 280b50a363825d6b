//! `hearth model add` over the network: in parts, and on from where the line broke.

use crate::{
    command::{end, hearth},
    gateway::{Call, Gateway},
};
use std::{fs, process::Child};
use tempfile::TempDir;

const STORED: &str = r#"{"id":"m","place":"added","root":"ab","name":null,"family":"llama","parameters":1,"kind":"Q4_0","context":128,"bytes":4,"stored":4,"codecs":[],"problem":null}"#;
const FILE: &str = "GGUF and more";

fn begin() -> (TempDir, Gateway, Child) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.gguf");
    fs::write(&file, FILE).unwrap();
    let (gateway, address) = Gateway::tcp();
    let file = file.display().to_string();
    let child = hearth(&["model", "add", &file, "--host", &format!("http://{address}")])
        .spawn()
        .unwrap();
    (folder, gateway, child)
}

fn asked_to_begin(gateway: &Gateway, offset: u64) {
    let call = gateway.next();
    assert!(call.head.starts_with("post /api/v1/uploads "), "{}", call.head);
    let mut body = call.json();
    let identity = body["identity"].take();
    let expected = serde_json::json!({"name": "m", "file": "m.gguf", "size": FILE.len(), "identity": null});
    assert_eq!(body, expected);
    let identity = identity.as_str().unwrap();
    assert!(identity.len() > 64 && identity.contains('-'), "{identity}");
    call.answer("201 Created", &format!(r#"{{"id":"9f","offset":{offset}}}"#));
}

fn part(gateway: &Gateway, offset: u64) -> Call {
    let call = gateway.next();
    assert!(
        call.head.starts_with("patch /api/v1/uploads/9f "),
        "{}",
        call.head
    );
    assert!(
        call.head.contains(&format!("\r\nupload-offset: {offset}\r\n")),
        "{}",
        call.head
    );
    assert_eq!(call.body, FILE[offset as usize..]);
    call
}

/// The last part is taken, and the job ends.
fn take(gateway: &Gateway, mut call: Call) {
    call.write("HTTP/1.1 204 No Content\r\nupload-offset: 13\r\nlocation: /api/v1/jobs/4c1d\r\n\r\n");
    job(gateway);
}

fn job(gateway: &Gateway) {
    let call = gateway.next();
    assert!(call.head.starts_with("get /api/v1/jobs/4c1d "), "{}", call.head);
    call.answer("200 OK", &ended_job());
}

fn ended_job() -> String {
    format!(
        r#"{{"id":"4c1d","kind":"model.add","subject":"m","state":"done","progress":null,"result":{STORED},"problem":null,"started":"x","ended":"y"}}"#
    )
}

#[test]
fn a_file_is_sent_and_its_job_waited_for() {
    let (_folder, gateway, child) = begin();
    asked_to_begin(&gateway, 0);
    let call = part(&gateway, 0);
    take(&gateway, call);
    let ended = end(child);
    assert!(
        ended.stdout.starts_with("m is there"),
        "{} {}",
        ended.stdout,
        ended.stderr
    );
}

#[test]
fn what_has_arrived_before_is_not_sent_again() {
    let (_folder, gateway, child) = begin();
    asked_to_begin(&gateway, 5);
    let call = part(&gateway, 5);
    take(&gateway, call);
    let ended = end(child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("5 of 13 bytes"), "{}", ended.stderr);
}

#[test]
fn a_line_that_breaks_is_gone_on_with_where_it_broke() {
    let (_folder, gateway, child) = begin();
    asked_to_begin(&gateway, 0);
    drop(part(&gateway, 0));
    let mut call = gateway.next();
    assert!(call.head.starts_with("head /api/v1/uploads/9f "), "{}", call.head);
    call.write("HTTP/1.1 204 No Content\r\nupload-offset: 7\r\n\r\n");
    let call = part(&gateway, 7);
    take(&gateway, call);
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn an_upload_that_has_come_whole_tells_its_job() {
    let (_folder, gateway, child) = begin();
    asked_to_begin(&gateway, 0);
    drop(part(&gateway, 0));
    let mut call = gateway.next();
    assert!(call.head.starts_with("head /api/v1/uploads/9f "), "{}", call.head);
    call.write("HTTP/1.1 204 No Content\r\nupload-offset: 13\r\nlocation: /api/v1/jobs/4c1d\r\n\r\n");
    job(&gateway);
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn an_upload_that_was_given_up_is_not_taken_for_a_model_that_was_added_before() {
    let (_folder, gateway, child) = begin();
    asked_to_begin(&gateway, 0);
    drop(part(&gateway, 0));
    gateway.next().answer("404 Not Found", "");
    let ended = end(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("begin anew"), "{}", ended.stderr);
}

#[test]
fn a_lost_answer_about_the_job_does_not_end_the_waiting() {
    let (_folder, gateway, child) = begin();
    asked_to_begin(&gateway, 0);
    let mut call = part(&gateway, 0);
    call.write("HTTP/1.1 204 No Content\r\nupload-offset: 13\r\nlocation: /api/v1/jobs/4c1d\r\n\r\n");
    drop(call);
    drop(gateway.next());
    job(&gateway);
    let ended = end(child);
    assert!(
        ended.stdout.starts_with("m is there"),
        "{} {}",
        ended.stdout,
        ended.stderr
    );
}

#[test]
fn a_refusal_is_not_tried_again() {
    let (_folder, gateway, child) = begin();
    asked_to_begin(&gateway, 0);
    let problem = r#"{"type":"/problems/x","title":"X","status":507,"detail":"the disk is full"}"#;
    part(&gateway, 0).answer("507 Insufficient Storage", problem);
    let ended = end(child);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("the disk is full"), "{}", ended.stderr);
}
