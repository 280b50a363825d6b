use std::sync::Arc;

use super::*;
use crate::life::{Life, Limits};
use crate::model_settings::Reader;
use crate::report::Orders;
use api::openai::{ChatChunk, ChatCompletion, Content, ErrorBody, FinishReason};
use api::phase::EngineOrder;
use axum::http::Request;
use engine::engine::Settings;
use serde_json::{Value, json};
use tower::ServiceExt;

const LIMITS: Limits = Limits {
    keep_alive: KeepAlive::Ever,
    exit: KeepAlive::Ever,
};

struct Fixture {
    router: Router,
    engine: Engine,
    life: Life,
    folder: tempfile::TempDir,
}

fn fixture(slots: usize, queue: usize) -> Fixture {
    keeping(slots, queue, engine::parking::Settings::NONE)
}

/// The same, with idle sessions.
fn keeping(slots: usize, queue: usize, parking: engine::parking::Settings) -> Fixture {
    ordered(slots, queue, parking, |_| EngineOrder::default())
}

/// The same, where hearthd orders something, given the model's tag.
fn ordered(
    slots: usize,
    queue: usize,
    parking: engine::parking::Settings,
    order: impl FnOnce(u64) -> EngineOrder,
) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    engine::tiny::write(&folder.path().join("tiny.gguf"), 4096).unwrap();
    std::fs::write(folder.path().join("no-model.gguf"), "text").unwrap();
    let folders = vec![folder.path().to_owned()];
    let settings = Settings {
        folders: folders.clone(),
        slots,
        queue,
        context: 4096,
        path: kernels::path::Path::SCALAR,
        threads: 1,
        fused: kernels::compute::Fusions::ALL,
        kv: kernels::kv::KvKind::F16,
        memory_budget: None,
        available: None,
        limit: engine::capacity::Limit::default(),
        parking,
        renderer: engine::template::renderer::Renderer::Here,
    };
    let (engine, _ended) = Engine::start(settings).unwrap();
    let tag = engine.models()[0].tag().unwrap();
    let (life, orders) = (Life::new(LIMITS), Orders::of(order(tag)));
    let settings = Arc::new(Reader::new(&folders));
    let admission = Admission::new(engine.clone(), life.clone(), orders, settings);
    Fixture {
        router: router(engine.clone(), admission),
        life,
        engine,
        folder,
    }
}

fn question(more: Value) -> Value {
    let mut body = json!({"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 12,
        "temperature": 0});
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

impl Fixture {
    async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> Response {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(body.into())
            .unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, more: Value) -> Response {
        self.send("POST", "/v1/chat/completions", question(more).to_string())
            .await
    }

    async fn refused(&self, method: &str, path: &str, body: impl Into<Body>) -> (u16, api::openai::Error) {
        let response = self.send(method, path, body).await;
        let status = response.status().as_u16();
        let body: ErrorBody = serde_json::from_slice(&bytes(response).await).unwrap();
        (status, body.error)
    }
}

async fn bytes(response: Response) -> Bytes {
    to_bytes(response.into_body(), usize::MAX).await.unwrap()
}

async fn completion(response: Response) -> ChatCompletion {
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&bytes(response).await).unwrap()
}

/// The events of a stream, without their `data: `.
async fn events(response: Response) -> Vec<String> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = String::from_utf8(bytes(response).await.to_vec()).unwrap();
    let events = text.strip_suffix("\n\n").unwrap().split("\n\n");
    events
        .map(|event| event.strip_prefix("data: ").unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_whole_answer_counts_its_tokens() {
    let answer = completion(fixture(1, 1).ask(json!({})).await).await;
    let choice = &answer.choices[0];
    assert_eq!(choice.finish_reason, FinishReason::Length);
    assert!(matches!(&choice.message.content, Content::Text(text) if !text.is_empty()));
    assert_eq!(answer.usage.completion_tokens, 12);
    assert_eq!(answer.usage.total_tokens, answer.usage.prompt_tokens + 12);
}

#[tokio::test]
async fn what_was_not_read_again_is_told() {
    let parking = engine::parking::Settings {
        memory: 64 << 20,
        ..engine::parking::Settings::NONE
    };
    let fixture = keeping(1, 1, parking);
    let long = json!({"messages": [{"role": "user", "content": "hello ".repeat(30)}]});
    let first = completion(fixture.ask(long.clone()).await).await.usage;
    let second = completion(fixture.ask(long).await).await.usage;
    assert_eq!(first.prompt_tokens_details.cached_tokens, 0);
    let blocks = (first.prompt_tokens - 1) / 64;
    assert!(blocks > 0);
    assert_eq!(second.prompt_tokens_details.cached_tokens, 64 * blocks);
}

#[tokio::test]
async fn an_empty_conversation_loads_the_model_or_lets_it_go() {
    let fixture = fixture(1, 1);
    let ask = |keep_alive: Value| fixture.ask(json!({"messages": [], "keep_alive": keep_alive}));
    let loaded = || fixture.engine.activity().borrow().model.is_some();
    let nothing = completion(ask(json!(0)).await).await;
    assert!(!loaded(), "what is to go is not loaded for that");
    let answer = completion(ask(json!("1h")).await).await;
    assert!(loaded());
    assert_eq!(answer.choices, nothing.choices);
    assert!(matches!(&answer.choices[0].message.content, Content::Text(text) if text.is_empty()));
    assert_eq!(answer.usage.total_tokens, 0);
    let stream = json!({"messages": [], "keep_alive": "1h", "stream": true});
    let events = events(fixture.ask(stream).await).await;
    assert_eq!(events.last().unwrap(), "[DONE]");
    let unknown = json!({"model": "none", "messages": [], "keep_alive": 0});
    assert_eq!(fixture.ask(unknown).await.status(), 404);
}

/// A pipe that nobody writes is as a disk that does not answer.
#[tokio::test]
async fn a_disk_that_is_slow_keeps_those_waiting_who_need_it_and_nobody_else() {
    let fixture = Arc::new(fixture(1, 1));
    let slow = fixture.folder.path().join("settings.toml");
    let made = std::process::Command::new("mkfifo").arg(&slow).status().unwrap();
    assert!(made.success());
    let asking = Arc::clone(&fixture);
    let asked = tokio::spawn(async move { asking.ask(json!({})).await });
    tokio::task::yield_now().await;
    assert_eq!(fixture.send("GET", "/health", Body::empty()).await.status(), 200);
    assert!(!asked.is_finished());
    let answers = tokio::task::spawn_blocking(|| std::fs::write(slow, ""));
    assert_eq!(asked.await.unwrap().status(), 200);
    answers.await.unwrap().unwrap();
}

#[tokio::test]
async fn memory_that_is_short_refuses_and_is_no_idleness() {
    let fixture = fixture(1, 1);
    let ask = || fixture.ask(json!({"max_tokens": 1}));
    fixture.life.press(machine::PressureLevel::Park);
    assert_eq!(ask().await.status(), 200);
    fixture.life.press(machine::PressureLevel::Refuse);
    let response = ask().await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(response.status(), 503);
    let body: ErrorBody = serde_json::from_slice(&bytes(response).await).unwrap();
    assert_eq!(body.error.code.as_deref(), Some("overloaded"));
    fixture.life.press(machine::PressureLevel::None);
    assert_eq!(ask().await.status(), 200);
}

#[tokio::test]
async fn a_quarantined_model_is_refused_by_name_and_another_is_told() {
    let quarantine = |tag| EngineOrder {
        quarantined: [0, tag, 0, 0, 0, 0, 0, 0],
        fallback: tag,
        ..EngineOrder::default()
    };
    let fixture = ordered(1, 1, engine::parking::Settings::NONE, quarantine);
    let refused = async || {
        let response = fixture.ask(json!({})).await;
        assert!(
            !response.headers().contains_key("retry-after"),
            "time alone does not help"
        );
        let status = response.status().as_u16();
        let error = serde_json::from_slice::<ErrorBody>(&bytes(response).await)
            .unwrap()
            .error;
        assert_eq!((status, error.code.as_deref()), (503, Some("model_quarantined")));
        error.message
    };
    let alone = refused().await;
    assert!(
        alone.contains("hearth status") && !alone.contains("` answers"),
        "{alone}"
    );
    engine::tiny::write(&fixture.folder.path().join("other.gguf"), 64).unwrap();
    let message = refused().await;
    assert!(message.contains("`other` answers"), "{message}");
}

#[tokio::test]
async fn a_stream_says_the_same_as_a_whole_answer() {
    let fixture = fixture(1, 1);
    let whole = completion(fixture.ask(json!({})).await).await;
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let mut events = events(fixture.ask(options).await).await;
    assert_eq!(events.pop().unwrap(), "[DONE]");
    let chunks: Vec<ChatChunk> = events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let (usage, chunks) = chunks.split_last().unwrap();
    assert_eq!((usage.usage, usage.choices.len()), (Some(whole.usage), 0));
    assert_eq!(chunks[0].choices[0].delta.role.as_deref(), Some("assistant"));
    assert_eq!(
        chunks.last().unwrap().choices[0].finish_reason,
        Some(FinishReason::Length)
    );
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk.choices[0].delta.content.clone())
        .collect();
    assert_eq!(whole.choices[0].message.content, Content::Text(text));
    assert!(chunks.iter().all(|chunk| chunk.id == usage.id));
}

#[tokio::test]
async fn models_are_listed_by_what_the_files_are() {
    let fixture = fixture(1, 1);
    let list: ModelList =
        serde_json::from_slice(&bytes(fixture.send("GET", "/v1/models", "").await).await).unwrap();
    assert_eq!(
        list.data
            .iter()
            .map(|model| model.id.as_str())
            .collect::<Vec<_>>(),
        ["tiny"]
    );
}

#[tokio::test]
async fn health_names_the_loaded_model() {
    let fixture = fixture(1, 1);
    fixture.engine.load("tiny", None).await.unwrap();
    let status: EngineStatus =
        serde_json::from_slice(&bytes(fixture.send("GET", "/health", "").await).await).unwrap();
    assert_eq!(status.model.as_deref(), Some("tiny"));
}

#[tokio::test]
async fn refusals_have_openais_shape_and_their_own_status() {
    let fixture = fixture(1, 1);
    let chat = "/v1/chat/completions";
    let (status, error) = fixture
        .refused("POST", chat, question(json!({"model": "x"})).to_string())
        .await;
    assert_eq!((status, error.code.as_deref()), (404, Some("model_not_found")));
    let long =
        question(json!({"messages": [{"role": "user", "content": "x ".repeat(5000)}], "stream": true}));
    let (status, error) = fixture.refused("POST", chat, long.to_string()).await;
    assert_eq!(
        (status, error.code.as_deref()),
        (400, Some("context_length_exceeded"))
    );
    let (status, error) = fixture
        .refused("POST", chat, vec![b'x'; MAX_BODY_BYTES + 1])
        .await;
    assert_eq!((status, error.code.as_deref()), (413, Some("body_too_large")));
    let (status, error) = fixture
        .refused("POST", chat, question(json!({"temperature": -1})).to_string())
        .await;
    assert_eq!((status, error.param.as_deref()), (400, Some("temperature")));
    assert_eq!(fixture.refused("GET", chat, "").await.0, 405);
    assert_eq!(fixture.refused("GET", "/v1/nothing", "").await.0, 404);
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let fixture = fixture(1, 0);
    let running = fixture.ask(json!({"max_tokens": 4000, "stream": true})).await;
    assert_eq!(running.status(), 200);
    let refused = fixture.ask(json!({})).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    drop(running);
}

#[tokio::test]
async fn a_dropped_stream_frees_its_slot() {
    let fixture = fixture(1, 1);
    drop(fixture.ask(json!({"max_tokens": 4000, "stream": true})).await);
    assert_eq!(
        completion(fixture.ask(json!({})).await)
            .await
            .usage
            .completion_tokens,
        12
    );
}
