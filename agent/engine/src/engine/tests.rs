use super::*;
use crate::request::{FinishReason, Summary};
use crate::sampler::Sampling;
use crate::template::{Message, Role};
use crate::tiny;
use std::path::Path;

use store::Store;
use store::metadata::Value;

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
    }
}

fn start(folder: &Path, slots: usize, queue: usize, context: usize) -> Engine {
    Engine::start(settings(folder, slots, queue, context)).unwrap().0
}

fn worker(folder: &Path, slots: usize, activity: watch::Sender<Activity>) -> Worker {
    let settings = settings(folder, slots, 1, 256);
    let catalog = Catalog::new(settings.folders.clone());
    Worker::new(settings, catalog, mpsc::channel().1, activity).unwrap()
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

#[test]
fn an_answer_has_the_tokens_that_were_asked_for() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 2, 1, 256);
    let (text, end) = text_and_end(engine.submit(request("hello", 20)));
    assert!(!text.is_empty());
    let summary = summary(&end);
    assert_eq!(
        (summary.reason, summary.completion_tokens),
        (FinishReason::Length, 20)
    );
    assert_eq!(engine.activity().borrow().model.as_deref(), Some("tiny"));
}

#[test]
fn the_context_ends_an_answer() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 1, 1, 96);
    let unlimited = Request {
        max_tokens: None,
        ..request("hello", 0)
    };
    let summary = summary(&text_and_end(engine.submit(unlimited)).1);
    assert_eq!(summary.prompt_tokens + summary.completion_tokens, 96);
    assert_eq!(summary.reason, FinishReason::Length);
}

#[test]
fn a_prompt_that_does_not_fit_is_refused() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 1, 1, 96);
    let (_, end) = text_and_end(engine.submit(request(&"long ".repeat(40), 1)));
    assert!(
        matches!(
            end,
            Event::Failed(RequestError::ContextLength { context: 96, .. })
        ),
        "{end:?}"
    );
}

#[test]
fn answers_do_not_depend_on_who_else_is_answered() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 3, 9, 512);
    let alone: Vec<_> = ["a", "hello world", "3"]
        .map(|text| text_and_end(engine.submit(request(text, 40))).0)
        .into();
    let answers = ["a", "hello world", "3"].map(|text| engine.submit(request(text, 40)));
    let together: Vec<_> = answers.into_iter().map(|answer| text_and_end(answer).0).collect();
    assert_eq!(alone, together);
}

#[test]
fn a_seed_repeats_an_answer() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 1, 1, 256);
    let ask = |seed| {
        let sampling = Sampling {
            temperature: 1.0,
            top_p: 0.9,
            seed,
        };
        text_and_end(engine.submit(Request {
            sampling,
            ..request("hello", 30)
        }))
        .0
    };
    assert_eq!(ask(5), ask(5));
    assert_ne!(ask(5), ask(6));
}

#[test]
fn a_stop_string_ends_an_answer_before_it() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 1, 1, 256);
    let (whole, _) = text_and_end(engine.submit(request("hello", 30)));
    let stop: String = whole.chars().skip(5).take(4).collect();
    let stopping = Request {
        stops: vec![stop.clone()],
        ..request("hello", 30)
    };
    let (text, end) = text_and_end(engine.submit(stopping));
    assert_eq!(Some(text.as_str()), whole.split(&stop).next());
    assert_eq!(summary(&end).reason, FinishReason::Stop);
}

#[test]
fn a_full_queue_refuses() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 1, 1, 4096);
    let mut first = engine.submit(request("a", 4000));
    begun(&mut first);
    let _second = engine.submit(request("b", 1));
    let (_, end) = text_and_end(engine.submit(request("c", 1)));
    assert_eq!(end, Event::Failed(RequestError::QueueFull { waiting: 1 }));
}

#[test]
fn a_reader_that_goes_frees_its_slot() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 1, 2, 4096);
    let mut first = engine.submit(request("a", 4000));
    begun(&mut first);
    let waiting = engine.submit(request("b", 4000));
    drop((first, waiting));
    let (_, end) = text_and_end(engine.submit(request("c", 3)));
    assert_eq!(summary(&end).completion_tokens, 3);
}

#[test]
fn a_reader_that_stalls_does_not_stop_others_and_loses_nothing() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 2, 2, 4096);
    let (expected, _) = text_and_end(engine.submit(request("a", 300)));
    let stalled = engine.submit(request("a", 300));
    for _ in 0..3 {
        let (_, end) = text_and_end(engine.submit(request("b", 100)));
        assert_eq!(summary(&end).completion_tokens, 100);
    }
    let (text, end) = text_and_end(stalled);
    assert_eq!(text, expected);
    assert_eq!(summary(&end).completion_tokens, 300);
}

#[test]
fn models_take_turns() {
    let folder = folder(&["tiny", "other"]);
    let engine = start(folder.path(), 2, 4, 4096);
    let mut first = engine.submit(request("a", 200));
    begun(&mut first);
    let other = engine.submit(Request {
        model: "other".to_owned(),
        ..request("b", 3)
    });
    assert_eq!(summary(&text_and_end(first).1).completion_tokens, 200);
    assert_eq!(summary(&text_and_end(other).1).completion_tokens, 3);
    assert_eq!(engine.activity().borrow().model.as_deref(), Some("other"));
}

/// What is told before each turn, and in the end, while a worker without a thread answers.
fn told(worker: &mut Worker, request: Request) -> Vec<Activity> {
    let (outbox, _answer) = answer(|| {});
    let activity = worker.activity.subscribe();
    worker.obey(Command::Submit(Waiting { request, outbox }));
    let mut told = Vec::new();
    while let Some(work) = worker.next_turn() {
        told.push(activity.borrow().clone());
        worker.compute(&work);
    }
    told.push(activity.borrow().clone());
    told
}

#[test]
fn every_turn_is_counted_under_its_phase() {
    let folder = folder(&["tiny"]);
    let mut worker = worker(folder.path(), 1, watch::Sender::default());
    let told = told(&mut worker, request(&"word ".repeat(20), 3));
    let [first, .., end] = told.as_slice() else {
        panic!()
    };
    let prompt = told
        .iter()
        .find(|now| now.phase == Phase::Decode)
        .unwrap()
        .progress;
    assert!(prompt > 100, "a prompt of several parts: {prompt} tokens");
    let parts = told.iter().filter(|now| now.phase == Phase::Prefill).count();
    assert!(parts > 1, "{parts} parts");
    let decoding: Vec<_> = told[parts..told.len() - 1]
        .iter()
        .map(|now| (now.phase, now.generated, now.progress, now.kv_tokens as u64))
        .collect();
    let decode = |turn| (Phase::Decode, turn, prompt + turn - 1, prompt + turn - 1);
    assert_eq!(decoding, [decode(1), decode(2)]);
    assert_eq!(
        (first.active, first.model.as_deref(), first.progress),
        (1, Some("tiny"), 0)
    );
    assert_eq!(
        (end.phase, end.active, end.generated, end.kv_tokens),
        (Phase::Idle, 0, 3, 0)
    );
    assert!(first.generated_at.is_none() && end.generated_at > told[parts].generated_at);
}

#[test]
fn a_token_more_wakes_nobody() {
    let (publisher, mut activity) = watch::channel(Activity::default());
    let folder = folder(&["tiny"]);
    let mut worker = worker(folder.path(), 2, publisher);
    let (outbox, _answer) = answer(|| {});
    let request = request("a", 9);
    worker.obey(Command::Submit(Waiting { request, outbox }));
    while activity.borrow_and_update().phase != Phase::Decode {
        let work = worker.next_turn().unwrap();
        worker.compute(&work);
    }
    let before = activity.borrow().generated;
    let work = worker.next_turn().unwrap();
    worker.compute(&work);
    worker.next_turn();
    assert!(!activity.has_changed().unwrap());
    assert_eq!(activity.borrow().generated, before + 2);
}

#[test]
fn a_limit_holds_others_back_until_it_is_lifted() {
    let folder = folder(&["tiny"]);
    let engine = start(folder.path(), 2, 2, 4096);
    let mut first = engine.submit(request("a", 4000));
    begun(&mut first);
    engine.limit_slots(Some(1));
    let second = engine.submit(request("b", 3));
    until(&engine, |now| (now.active, now.queued) == (1, 1));
    engine.limit_slots(None);
    assert_eq!(summary(&text_and_end(second).1).completion_tokens, 3);
    engine.limit_slots(Some(1));
    let third = engine.submit(request("b", 3));
    drop(first);
    assert_eq!(summary(&text_and_end(third).1).completion_tokens, 3);
}

/// Waits for a state that lasts.
fn until(engine: &Engine, reached: impl Fn(&Activity) -> bool) {
    let activity = engine.activity();
    while !reached(&activity.borrow()) {
        std::thread::yield_now();
    }
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

#[test]
fn no_template_takes_more_stack_than_the_thread_has() {
    let nest = "{% set ns = namespace(x=[]) %}{% for a in range(99999) %}{% for b in range(99999) %}\
        {% set ns.x = [ns.x] %}{% endfor %}{% endfor %}";
    let show = "{% set ns = namespace(x=[]) %}{% for a in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}";
    let branches = format!("{{% if m %}}{}{{% endif %}}", "{% elif m %}".repeat(5_400));
    let sum = format!("{{{{ m{} }}}}", "+m".repeat(10_000));
    let nots = format!("{{{{ {}m }}}}", "not ".repeat(16_000));
    let filters = format!("{{{{ m{} }}}}", "|e".repeat(32_000));
    let templates = [nest.to_owned(), show.to_owned(), branches, sum, nots, filters];
    let folder = folder(&["good"]);
    for (index, template) in templates.into_iter().enumerate() {
        let mut model = tiny::Model::new(256);
        let key = "tokenizer.chat_template".to_owned();
        model.metadata.insert(key, Value::Text(template));
        std::fs::write(folder.path().join(format!("{index}.gguf")), model.bytes()).unwrap();
        let engine = start(folder.path(), 1, 1, 256);
        for model in [index.to_string().as_str(), "good"] {
            let request = Request {
                model: model.to_owned(),
                ..request("a", 1)
            };
            let (_, end) = text_and_end(engine.submit(request));
            assert!(model != "good" || summary(&end).completion_tokens == 1);
        }
    }
}

#[test]
fn a_panic_of_the_thread_is_noticed_and_ends_its_answers() {
    let (outbox, mut answer) = answer(|| {});
    let ended = spawn(move || {
        let _outbox = outbox;
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(ended.unwrap().0.blocking_recv().is_err());
    assert_eq!(answer.blocking_next(), None);
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
    assert!(whole.ends_with(&rest.0) && rest.1 == end, "{rest:?}");
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
