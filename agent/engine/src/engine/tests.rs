//! The engine with made-up models, and what its tests ask it by.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::request::{FinishReason, Summary};
use crate::sampler::Sampling;
use crate::template::{Message, Role};
use crate::tiny;
use store::Store;
use store::metadata::Value;

mod answers;
mod models;
mod slots;
mod thread;

fn settings(folder: &Path, slots: usize, queue: usize, context: usize) -> Settings {
    Settings {
        folders: vec![folder.to_owned()],
        slots,
        queue,
        context,
        path: *kernels::path::Path::offered().last().unwrap(),
        threads: 2,
        fused: Fusions::ALL,
        kv: KvKind::F16,
        memory_budget: None,
        memory: Memory::default(),
    }
}

fn start(folder: &Path, slots: usize, queue: usize, context: usize) -> Engine {
    Engine::start(settings(folder, slots, queue, context)).unwrap().0
}

fn folder(models: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for model in models {
        tiny::write(&folder.path().join(format!("{model}.gguf")), 4096).unwrap();
    }
    folder
}

fn request(text: &str, max_tokens: usize) -> Request {
    Request {
        model: "tiny".to_owned(),
        messages: vec![Message {
            role: Role::User,
            content: text.to_owned(),
        }],
        sampling: Sampling {
            temperature: 0.0,
            top_p: 1.0,
            seed: 1,
        },
        max_tokens: Some(max_tokens),
        stops: Vec::new(),
    }
}

fn text_and_end(mut answer: Answer) -> (String, Event) {
    let mut text = String::new();
    loop {
        match answer.blocking_next().unwrap() {
            Event::Started { .. } => {}
            Event::Text(more) => text += &more,
            end => return (text, end),
        }
    }
}

fn summary(end: &Event) -> Summary {
    match end {
        Event::Finished(summary) => *summary,
        other => panic!("{other:?}"),
    }
}

/// Reads until the answer has begun.
fn begun(answer: &mut Answer) {
    while !matches!(answer.blocking_next().unwrap(), Event::Text(_)) {}
}

/// Waits for a state that lasts; only a failing test waits to the end.
fn until(engine: &Engine, reached: impl Fn(&Activity) -> bool) {
    let (activity, begin) = (engine.activity(), Instant::now());
    while !reached(&activity.borrow()) {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{:?}",
            activity.borrow()
        );
        std::thread::yield_now();
    }
}
