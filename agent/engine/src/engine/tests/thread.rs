//! The model's thread: what it tells of its turns, its stack, and its end.

use super::*;
use crate::activity::State;

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
    let (mut worker, _commands) = worker(settings(folder.path(), 1, 1, 256), watch::Sender::default());
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
        (
            first.active,
            first.model.as_ref().map(|model| &*model.name),
            first.progress
        ),
        (1, Some("tiny"), 0)
    );
    assert_eq!(
        (end.phase, end.active, end.generated, end.kv_tokens),
        (Phase::Idle, 0, 3, 0)
    );
    assert!(first.generated_at.is_none() && end.generated_at > told[parts].generated_at);
}

#[test]
fn the_pulse_beats_for_weights_that_are_read_for_who_is_let_in_and_for_each_layer_of_each_turn() {
    let folder = folder(&["tiny"]);
    let (mut worker, _commands) = worker(settings(folder.path(), 1, 1, 256), watch::Sender::default());
    let pulse = worker.pulse.clone();
    let wanted = Wanted {
        model: "tiny".to_owned(),
        context: None,
    };
    worker.model(&wanted).unwrap();
    let loaded = pulse.count();
    assert!(loaded > 0);
    let turns = told(&mut worker, request("word", 3)).len() - 1;
    let layers = worker.resident.as_ref().unwrap().graph.layers().len();
    let admitted = 1;
    assert_eq!(pulse.count() - loaded, (turns * layers + admitted) as u64);
}

/// A template that never ends would otherwise look like rest to those who watch the engine.
#[test]
fn who_is_let_in_is_told_of_before_anything_is_done_for_him() {
    let (folder, place) = (folder(&["tiny"]), tempfile::tempdir().unwrap());
    let (script, way) = (place.path().join("render.sh"), place.path().join("way"));
    let made = std::process::Command::new("mkfifo").arg(&way).status().unwrap();
    assert!(made.success());
    // It compiles at once, and renders what the test says when the test says it.
    let render = format!(
        "if grep -q '\"said\":null'; then printf +; else cat {}; fi",
        way.display()
    );
    std::fs::write(&script, render).unwrap();
    let settings = Settings {
        renderer: Renderer::Process {
            program: "/bin/sh",
            argument: script.display().to_string().leak(),
        },
        ..settings(folder.path(), 1, 1, 256)
    };
    let (engine, _ended) = Engine::start(settings).unwrap();
    let (reply, loaded) = oneshot::channel();
    let wanted = Wanted {
        model: "tiny".to_owned(),
        context: None,
    };
    engine.commands.0.send(Command::Load(wanted, reply)).ok().unwrap();
    loaded.blocking_recv().unwrap().unwrap();
    until(&engine, |now| {
        (now.phase, now.state) == (Phase::Idle, State::Ready)
    });
    let answer = engine.submit(request("a", 1));
    until(&engine, |now| {
        (now.phase, now.state) == (Phase::Loading, State::Ready)
    });
    // Opened when the process has opened the other end, so it renders now.
    let mut way = std::fs::File::options().write(true).open(&way).unwrap();
    assert_eq!(engine.activity().borrow().phase, Phase::Loading);
    std::io::Write::write_all(&mut way, b"+hello").unwrap();
    drop(way);
    assert_eq!(summary(&text_and_end(answer).1).completion_tokens, 1);
}

#[test]
fn who_cannot_be_let_in_wakes_nobody() {
    let (publisher, mut activity) = watch::channel(Activity::default());
    let folder = folder(&["tiny", "other"]);
    let (mut worker, _commands) = worker(settings(folder.path(), 2, 2, 4096), publisher);
    let submit = |worker: &mut Worker, model: &str| {
        let (outbox, answer) = answer(|| {});
        let request = Request {
            model: model.to_owned(),
            ..request("a", 4000)
        };
        worker.obey(Command::Submit(Waiting { request, outbox }));
        answer
    };
    let _stalled = submit(&mut worker, "tiny");
    while let Some(work) = worker.next_turn() {
        worker.compute(&work);
    }
    let _other = submit(&mut worker, "other");
    worker.next_turn();
    let now = activity.borrow_and_update().clone();
    assert_eq!((now.phase, now.active, now.queued), (Phase::Idle, 1, 1));
    worker.next_turn();
    assert!(
        !activity.has_changed().unwrap(),
        "a model that waits is not being read"
    );
}

#[test]
fn a_token_more_wakes_nobody() {
    let (publisher, mut activity) = watch::channel(Activity::default());
    let folder = folder(&["tiny"]);
    let (mut worker, _commands) = worker(settings(folder.path(), 2, 1, 256), publisher);
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
