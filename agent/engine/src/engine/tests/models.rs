//! Models: broken ones, ones larger than the memory they may take, and ones that go while they answer.

use super::*;

#[test]
fn a_model_is_loaded_for_nothing_and_with_the_context_that_is_wanted() {
    let folder = folder(&["tiny"]);
    let empty = |context| Request {
        context,
        messages: Vec::new(),
        ..request("", 1)
    };
    for (wanted, limit, room) in [
        (None, None, 256),
        (Some(512), None, 512),
        (Some(512), Some(128), 128),
        (None, Some(512), 256),
    ] {
        let engine = start(folder.path(), 1, 1, 256);
        engine.limit_context(limit);
        let (text, end) = text_and_end(engine.submit(empty(wanted)));
        assert_eq!((text, summary(&end)), (String::new(), Summary::NOTHING));
        let unlimited = Request {
            max_tokens: None,
            ..request("a", 1)
        };
        let (_, end) = text_and_end(engine.submit(unlimited));
        let summary = summary(&end);
        assert_eq!(summary.prompt_tokens + summary.completion_tokens, room);
        assert_eq!(engine.activity().borrow().context, room, "it is told, too");
    }
}

#[test]
fn the_context_of_the_next_model_is_told_where_none_is_loaded() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 1, 1, 256);
    until(&engine, |now| now.context == 256);
    engine.limit_context(Some(128));
    until(&engine, |now| now.context == 128);
    engine.limit_context(None);
    until(&engine, |now| now.context == 256);
}

#[test]
fn unknown_and_broken_models_are_told_apart() {
    let folder = folder(&["tiny"]);
    let bytes = std::fs::read(folder.path().join("tiny.gguf")).unwrap();
    std::fs::write(folder.path().join("short.gguf"), &bytes[..bytes.len() / 2]).unwrap();
    let engine = start(folder.path(), 1, 1, 64);
    let ask = |model: &str| {
        text_and_end(engine.submit(Request {
            model: model.to_owned(),
            ..request("a", 1)
        }))
        .1
    };
    assert_eq!(
        ask("none"),
        Event::Failed(RequestError::NoSuchModel("none".to_owned()))
    );
    let broken = ask("short");
    let Event::Failed(RequestError::Load { reason, .. }) = &broken else {
        panic!("{broken:?}")
    };
    assert!(reason.contains("short.gguf"), "{reason}");
    assert_eq!(summary(&ask("tiny")).completion_tokens, 1);
}

#[test]
fn a_model_whose_weights_are_no_numbers_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = tiny::Model::new(256);
    // Scales of blocks are not looked at when a model is loaded, as there may be gigabytes of them.
    let embedding = model.tensors.get_mut("token_embd.weight").unwrap();
    embedding.bytes.fill(0xFF);
    std::fs::write(folder.path().join("tiny.gguf"), model.bytes()).unwrap();
    let engine = start(folder.path(), 1, 1, 256);
    let (text, end) = text_and_end(engine.submit(request("hello", 3)));
    assert_eq!(text, "");
    let Event::Failed(RequestError::Internal(reason)) = end else {
        panic!("{end:?}")
    };
    assert!(reason.starts_with("the model `tiny`: its weights"), "{reason}");
}

/// A made-up model of which a memory budget can be too small for all, and how much is the least for it.
fn large(folder: &Path) -> (Store, usize) {
    let shape = tiny::Shape {
        embedding: kernels::kind::Kind::F32,
        tied: false,
        ..tiny::Shape::default()
    };
    let store = import(folder, &shape, 256);
    let id = "tiny".parse().unwrap();
    let Err(store::Error::Budget { least, .. }) = store.load_within(&id, 0) else {
        panic!("no model fits into no memory");
    };
    let all = store.manifest(&id).unwrap().model.bytes();
    assert!(
        (least as u64) < all,
        "{least} of {all} bytes: nothing is streamed"
    );
    (store, least)
}

#[test]
fn a_model_larger_than_the_memory_budget_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (_, least) = large(folder.path());
    let answers = [None, Some(least)].map(|memory_budget| {
        let settings = Settings {
            memory_budget,
            ..settings(folder.path(), 2, 1, 256)
        };
        let engine = Engine::start(settings).unwrap().0;
        text_and_end(engine.submit(request("hello", 60)))
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!(summary(&answers[0].1).completion_tokens, 60);
}

#[test]
fn a_budget_that_is_too_small_is_told_with_the_least_that_would_do() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &tiny::Shape::default(), 256);
    let settings = Settings {
        memory_budget: Some(1),
        ..settings(folder.path(), 1, 1, 256)
    };
    let engine = Engine::start(settings).unwrap().0;
    match text_and_end(engine.submit(request("hello", 1))).1 {
        Event::Failed(RequestError::Load { reason, .. }) => assert!(reason.contains("the least"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_that_is_removed_answers_to_its_end_and_is_let_go_of() {
    for streamed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (store, least) = large(folder.path());
        let settings = Settings {
            memory_budget: streamed.then_some(least),
            ..settings(folder.path(), 1, 1, 256)
        };
        removed_while_answering(&store, &Engine::start(settings).unwrap().0);
    }
}

fn removed_while_answering(store: &Store, engine: &Engine) {
    let (whole, end) = text_and_end(engine.submit(request("hello", 100)));
    let mut answer = engine.submit(request("hello", 100));
    begun(&mut answer);
    store.remove(&"tiny".parse().unwrap()).unwrap();
    assert!(store.collect().unwrap().blocks > 0);
    let rest = text_and_end(answer);
    let made = |end| summary(end).completion_tokens;
    assert!(
        whole.ends_with(&rest.0) && made(&rest.1) == made(&end),
        "{rest:?}"
    );
    until(engine, |activity| activity.model.is_none());
    assert_eq!(
        text_and_end(engine.submit(request("hello", 1))).1,
        Event::Failed(RequestError::NoSuchModel("tiny".to_owned()))
    );
}

#[test]
fn a_model_that_is_removed_while_nobody_asks_is_let_go_of_at_the_next_look() {
    let folder = tempfile::tempdir().unwrap();
    let store = import(folder.path(), &tiny::Shape::default(), 256);
    let engine = start(folder.path(), 1, 1, 256);
    text_and_end(engine.submit(request("hello", 1)));
    store.remove(&"tiny".parse().unwrap()).unwrap();
    assert_eq!(engine.models().len(), 0);
    until(&engine, |activity| activity.model.is_none());
}

#[test]
fn a_model_that_is_replaced_answers_from_the_next_request_on() {
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &tiny::Shape::default(), 256);
    let engine = start(folder.path(), 1, 1, 256);
    let ask = || {
        let unlimited = Request {
            max_tokens: None,
            ..request("hello", 0)
        };
        let summary = summary(&text_and_end(engine.submit(unlimited)).1);
        summary.prompt_tokens + summary.completion_tokens
    };
    assert_eq!(ask(), 256);
    import(folder.path(), &tiny::Shape::default(), 128);
    assert_eq!(ask(), 128);
}

/// The names that were loaded, in their order, by a worker that answers these requests one after the other.
fn loaded(settings: Settings, asked: &[&str]) -> Vec<(String, bool)> {
    let (mut worker, _commands) = worker(settings, watch::Sender::default());
    let mut loads = Vec::new();
    for id in asked {
        let before = worker.loads;
        let wanted = Wanted {
            model: (*id).to_owned(),
            context: None,
        };
        let is_there = worker.model(&wanted).is_ok();
        let held = worker.resident.as_ref().map(|held| held.named.name.to_string());
        loads.push((
            format!("{} after {}", held.unwrap_or_default(), worker.loads - before),
            is_there,
        ));
    }
    loads
}

#[test]
fn a_broken_model_does_not_cost_the_good_one_its_place() {
    let folder = folder(&["good"]);
    let path = |name: &str| folder.path().join(name);
    let bytes = std::fs::read(path("good.gguf")).unwrap();
    std::fs::write(path("short.gguf"), &bytes[..bytes.len() / 2]).unwrap();
    let mut mute = tiny::Model::new(256);
    mute.metadata.remove("tokenizer.chat_template");
    std::fs::write(path("mute.gguf"), mute.bytes()).unwrap();
    let settings = settings(folder.path(), 1, 1, 64);
    let expected = [
        ("good after 1", true),
        // Its head tells: nothing else was touched.
        ("good after 1", false),
        // It is found out when it is loaded: the other came back.
        ("good after 2", false),
        ("good after 0", true),
    ];
    assert_eq!(
        loaded(settings, &["good", "short", "mute", "good"]),
        expected.map(|(held, is_there)| (held.to_owned(), is_there))
    );
}

#[test]
fn a_stored_model_with_a_damaged_block_does_not_either() {
    let folder = folder(&["good"]);
    import(folder.path(), &tiny::Shape::default(), 256);
    let home = std::fs::read_dir(folder.path().join("blocks"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let block = std::fs::read_dir(home.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&block).unwrap();
    bytes[9] ^= 1;
    std::fs::remove_file(&block).unwrap();
    std::fs::write(&block, bytes).unwrap();
    let held = loaded(settings(folder.path(), 1, 1, 64), &["good", "tiny"]);
    assert!(held[1].0.starts_with("good after") && !held[1].1, "{held:?}");
}
