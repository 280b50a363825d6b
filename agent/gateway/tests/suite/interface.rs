//! The document of the management interface.

use crate::{
    agent::Agent,
    process::{Gateway, Setup},
};
use serde_json::Value;

fn document(gateway: &Gateway) -> Value {
    let answer = gateway.ask("GET /api/openapi.json", &[], "");
    assert_eq!(answer.status, 200);
    answer.json()
}

/// Method, path and responses of all operations.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().clone();
        let path = path.clone();
        operations
            .into_iter()
            .map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_operation_answers_as_the_document_has_it() {
    let agent = Agent::start();
    let setup = Setup::new().on_bus(&agent.address);
    let header = format!("Authorization: Bearer {}", setup.first_token());
    let gateway = setup.serve();
    let document = document(&gateway);
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    assert!(operations.len() > 30, "{}", operations.len());
    for (method, path, operation) in operations {
        let line = format!("{method} {}", path.replace('{', "no-such-").replace('}', ""));
        let documented = |status: u16| operation["responses"].get(status.to_string()).is_some();
        let is_open = operation.get("security").is_none();
        if method == "HEAD" {
            // Its answer has no body to read.
            continue;
        }
        let stranger = gateway.ask(&line, &[], "");
        assert_eq!(stranger.status != 401, is_open, "{line}: {stranger:?}");
        let body = if operation.get("requestBody").is_some() {
            "{\"no such\": \"field\"}"
        } else {
            ""
        };
        if path == "/api/v1/events" {
            // It has no end.
            continue;
        }
        let answer = gateway.ask(&line, &[&header], body);
        assert!(documented(answer.status), "{line}: {answer:?}");
        if answer.status == 204 {
            continue;
        }
        let kind = answer.header("content-type").unwrap_or_default();
        let declared = &operation["responses"][answer.status.to_string()]["content"];
        assert!(
            declared.get(kind).is_some(),
            "{line}: {kind} is not in {declared}"
        );
    }
}

#[test]
fn each_shape_is_there_that_is_spoken_of() {
    let gateway = Setup::new().serve();
    let document = document(&gateway);
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref") {
                    found.push(reference.as_str().unwrap().to_owned());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => (),
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn people_read_it_without_a_script_and_without_anything_from_elsewhere() {
    let gateway = Setup::new().serve();
    let page = gateway.ask("GET /api/docs", &[], "");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.body.contains("<code>GET /api/v1/status</code>"));
    let brings = ["<script", "src=", "href=\"http", "url("];
    assert!(brings.iter().all(|part| !page.body.contains(part)));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
}
