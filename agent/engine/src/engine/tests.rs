//! The engine with made-up models, and what its tests ask it by.

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::activity::Phase;
use crate::request::{FinishReason, Summary};
use crate::sampler::Sampling;
use crate::template::renderer::Renderer;
use crate::template::{Message, Role};
use crate::tiny;
use store::Store;
use store::metadata::Value;

mod answers;
mod models;
mod parked;
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
        available: None,
        limit: Limit::default(),
        parking: parking::Settings {
            memory: 64 << 20,
            ..parking::Settings::NONE
        },
        renderer: Renderer::Here,
    }
}

fn start(folder: &Path, slots: usize, queue: usize, context: usize) -> Engine {
    Engine::start(settings(folder, slots, queue, context)).unwrap().0
}

/// A worker without a thread of its own, and the way to it.
fn worker(settings: Settings, activity: watch::Sender<Activity>) -> (Worker, Arc<Commands>) {
    let catalog = Catalog::new(settings.folders.clone());
    let (commands, inbox) = inbox();
    (Worker::new(settings, catalog, inbox, activity).unwrap(), commands)
}

fn folder(models: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for model in models {
        tiny::write(&folder.path().join(format!("{model}.gguf")), 4096).unwrap();
    }
    folder
}

/// Imports a made-up model of that shape under the name `tiny`.
fn import(folder: &Path, shape: &tiny::Shape, context: u32) -> Store {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tiny.gguf");
    std::fs::write(&file, tiny::Model::of(shape, context).bytes()).unwrap();
    let store = Store::new(folder);
    let source = store::source::Source::open(&file).unwrap();
    store.import(&source, &"tiny".parse().unwrap(), &|_| {}).unwrap();
    store
}

fn request(text: &str, max_tokens: usize) -> Request {
    Request {
        model: "tiny".to_owned(),
        context: None,
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

/// The name of the model that is held.
fn held(engine: &Engine) -> Option<Arc<str>> {
    let activity = engine.activity();
    let model = activity.borrow().model.clone();
    model.map(|model| model.name)
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
