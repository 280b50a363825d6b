//! The memory there is, and how many are answered at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use engine::capacity::Limit;
use engine::engine::{Engine, Settings};
use engine::parking;
use engine::request::{Event, Request};
use engine::sampler::Sampling;
use engine::template::renderer::Renderer;
use engine::template::{Message, Role};
use engine::tiny;
use kernels::compute::Fusions;
use kernels::kv::KvKind;
use kernels::path::Path;

const CONTEXT: usize = 1024;
const MIB: u64 = 1 << 20;
/// A busy machine needs a moment; nothing takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// An engine that may not go above that.
fn start(folder: &std::path::Path, limit: Limit) -> Result<Engine> {
    tiny::write(&folder.join("tiny.gguf"), CONTEXT as u32)?;
    let settings = Settings {
        folders: vec![folder.to_owned()],
        slots: 2,
        queue: 1,
        context: CONTEXT,
        path: Path::SCALAR,
        threads: 1,
        fused: Fusions::ALL,
        kv: KvKind::F16,
        memory_budget: None,
        available: None,
        limit,
        parking: parking::Settings::NONE,
        renderer: Renderer::Here,
    };
    Ok(Engine::start(settings)?.0)
}

fn request() -> Request {
    Request {
        model: "tiny".to_owned(),
        context: None,
        messages: vec![Message {
            role: Role::User,
            content: "hello".to_owned(),
        }],
        sampling: Sampling {
            temperature: 0.0,
            top_p: 1.0,
            seed: 1,
        },
        max_tokens: Some(900),
        stops: Vec::new(),
    }
}

/// How many of two answers that nobody reads are made at once where so many bytes are there.
fn at_once(limit: u64) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    let engine = start(folder.path(), Limit::new(move || Some(limit)))?;
    let answers = [engine.submit(request()), engine.submit(request())];
    let activity = engine.activity();
    // A state that lasts, for both wait for their readers.
    let began = Instant::now();
    let active = loop {
        let now = activity.borrow().clone();
        if now.model.is_some() && now.active + now.queued == 2 {
            break now.active;
        }
        ensure!(began.elapsed() < LIMIT, "two requests, and {now:?}");
        std::thread::yield_now();
    };
    drop(answers);
    Ok(active)
}

#[test]
fn no_more_are_answered_at_once_than_there_is_memory_for() -> Result<()> {
    assert_eq!(at_once(1024 * MIB)?, 2);
    assert!(!loads(1)?, "a model in a byte");
    let mut least = MIB / 16;
    while !loads(least)? {
        least += MIB / 16;
        ensure!(least < 1024 * MIB, "the model fits nowhere");
    }
    assert_eq!(at_once(least)?, 1);
    Ok(())
}

#[test]
fn a_limit_that_was_set_since_counts_for_the_next_load() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bytes = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&bytes);
    let engine = start(
        folder.path(),
        Limit::new(move || Some(now.load(Ordering::Relaxed))),
    )?;
    assert!(!is_loaded(&engine)?, "a model in a byte");
    bytes.store(1024 * MIB, Ordering::Relaxed);
    assert!(is_loaded(&engine)?);
    Ok(())
}

/// Whether a model is loaded where so many bytes are there.
fn loads(limit: u64) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    is_loaded(&start(folder.path(), Limit::new(move || Some(limit)))?)
}

/// Whether the engine has a model for a request, or says that there is no memory for it.
fn is_loaded(engine: &Engine) -> Result<bool> {
    let mut answer = engine.submit(Request {
        max_tokens: Some(1),
        ..request()
    });
    match answer.blocking_next().context("the engine ended")? {
        Event::Started { .. } => Ok(true),
        Event::Failed(error) => {
            let error = error.to_string();
            assert!(
                error.contains("keys and values") && error.contains("512 tokens"),
                "{error}"
            );
            Ok(false)
        }
        other => panic!("{other:?}"),
    }
}
