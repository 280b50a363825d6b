//! The life of an engine with a made-up model.

use std::path::Path;
use std::time::Duration;

use api::phase::EngineOrder;
use engine::engine::Settings;
use tokio::time::timeout;

use super::*;

/// Only a failing test waits so long.
const LONG: Duration = Duration::from_secs(60);

fn engine(folder: &Path) -> Engine {
    let settings = Settings {
        folders: vec![folder.to_owned()],
        slots: 1,
        queue: 1,
        context: 256,
        path: kernels::path::Path::SCALAR,
        threads: 1,
        fused: kernels::compute::Fusions::ALL,
        kv: kernels::kv::KvKind::F16,
        memory_budget: None,
        available: None,
        limit: engine::capacity::Limit::default(),
        parking: engine::parking::Settings::NONE,
        renderer: engine::template::renderer::Renderer::Here,
    };
    Engine::start(settings).unwrap().0
}

fn pinned() -> Wish {
    Wish {
        model: "tiny".into(),
        keep_alive: None,
        usual: None,
        pinned: true,
    }
}

/// An engine that keeps nothing for long, and has answered by a pinned model.
async fn answered(folder: &Path) -> (Engine, Life) {
    engine::tiny::write(&folder.join("tiny.gguf"), 256).unwrap();
    let (engine, at_once) = (engine(folder), KeepAlive::For(Duration::ZERO));
    let life = Life::new(Limits {
        keep_alive: at_once,
        exit: at_once,
    });
    drop(life.connection());
    let mut asking = life.ask().unwrap().wishing(pinned());
    engine.load("tiny", None).await.unwrap();
    asking.answered();
    (engine, life)
}

#[tokio::test]
async fn a_pinned_model_that_was_removed_keeps_the_process_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, life) = answered(folder.path()).await;
    let mut orders = Orders::of(EngineOrder::default());
    let departure = life.run(&engine, &mut orders);
    let remove = async {
        std::fs::remove_file(folder.path().join("tiny.gguf")).unwrap();
        // Who looks which models there are has the engine look, too.
        assert!(engine.models().is_empty());
        std::future::pending::<()>().await
    };
    let departure = timeout(LONG, async {
        tokio::select! {
            departure = departure => departure,
            () = remove => unreachable!(),
        }
    });
    assert_eq!(departure.await.unwrap(), Departure::Idle);
}

#[tokio::test]
async fn the_first_answer_of_a_process_is_no_reason_to_keep_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, life) = answered(folder.path()).await;
    let pressure = PressureLevel::Shrink;
    let mut orders = Orders::of(EngineOrder {
        pressure,
        ..EngineOrder::default()
    });
    life.press(pressure);
    let departure = timeout(LONG, life.run(&engine, &mut orders)).await;
    assert_eq!(departure.unwrap(), Departure::Shrink);
}
