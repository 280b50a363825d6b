//! Conversations that are gone on with, on a worker without a thread: time is what the test says.

use std::time::Duration;

use kernels::kv::POSITIONS;
use proptest::prelude::*;

use super::*;
use crate::activity::State;

/// Bytes of a block of the made-up model in f16.
const BLOCK: u64 = 16 << 10;

/// Workers one after another, as processes on one machine would be.
struct Place {
    models: tempfile::TempDir,
    state: tempfile::TempDir,
    settings: Settings,
}

impl Place {
    fn new(kv: KvKind, memory: u64, quota: u64) -> Self {
        let (models, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        import(models.path(), &tiny::Shape::default(), 4096);
        let disk = (quota > 0).then(|| parking::Disk {
            folder: state.path().join("kv"),
            quota,
        });
        let settings = Settings {
            kv,
            parking: parking::Settings {
                memory,
                pack_after: Duration::from_secs(10),
                write_after: Duration::from_secs(60),
                disk,
            },
            ..settings(models.path(), 2, 4, 2048)
        };
        Self {
            models,
            state,
            settings,
        }
    }

    fn begin(&self) -> Runner {
        let (worker, _commands) = worker(self.settings.clone(), watch::Sender::default());
        Runner { worker, _commands }
    }

    /// The files of parked sessions.
    fn files(&self) -> Vec<std::path::PathBuf> {
        let files = std::fs::read_dir(self.state.path().join("kv"));
        files.map_or_else(
            |_| Vec::new(),
            |files| files.map(|file| file.unwrap().path()).collect(),
        )
    }

    fn bytes(&self) -> u64 {
        let length = |path| std::fs::metadata(path).unwrap().len();
        self.files().iter().map(length).sum()
    }
}

struct Runner {
    worker: Worker,
    _commands: Arc<Commands>,
}

impl Runner {
    /// Waits for what the other thread has done.
    fn hear(&mut self) {
        let command = self.worker.inbox.wait(None).unwrap();
        self.worker.obey(command);
    }

    /// Lets so much time pass.
    fn idle(&mut self, seconds: u64) {
        let now = Instant::now() + Duration::from_secs(seconds);
        self.worker.sessions.work(now);
        while self.worker.sessions.is_busy() {
            let command = self.worker.inbox.wait(None).unwrap();
            if let Command::Kept(outcome) = command {
                self.worker.sessions.done(outcome, now);
            }
        }
    }

    fn park(&mut self) -> bool {
        let (reply, mut parked) = oneshot::channel();
        self.worker.obey(Command::Park(reply));
        loop {
            match parked.try_recv() {
                Ok(parked) => return parked,
                Err(_) => self.hear(),
            }
        }
    }

    fn ask(&mut self, messages: &[Message], max_tokens: usize) -> (String, Summary) {
        let request = Request {
            messages: messages.to_vec(),
            ..request("", max_tokens)
        };
        let (outbox, mut answer) = answer(|| {});
        self.worker.obey(Command::Submit(Waiting { request, outbox }));
        let mut text = String::new();
        loop {
            match self.worker.next_turn() {
                Some(work) => self.worker.compute(&work),
                None if self.worker.scheduler.active() > 0 && answer.is_empty() => self.hear(),
                None => {}
            }
            while !answer.is_empty() {
                match answer.blocking_next().unwrap() {
                    Event::Started { .. } => {}
                    Event::Text(more) => text += &more,
                    end => return (text, summary(&end)),
                }
            }
        }
    }
}

fn said(role: Role, content: &str) -> Message {
    let content = content.to_owned();
    Message { role, content }
}

/// A conversation of two turns, with what happens between them: both texts, and how many tokens were not run again.
fn two_turns(place: &Place, between: impl Fn(&mut Runner)) -> (String, String, usize) {
    let mut runner = place.begin();
    let mut messages = vec![said(Role::User, &"tell me a story ".repeat(12))];
    let (first, _) = runner.ask(&messages, 40);
    between(&mut runner);
    messages.extend([said(Role::Assistant, &first), said(Role::User, "and then?")]);
    let (second, summary) = runner.ask(&messages, 40);
    (first, second, summary.reused_tokens)
}

/// A conversation of one turn, which is written then.
fn one_parked(place: &Place) {
    let mut runner = place.begin();
    runner.ask(&[said(Role::User, &"tell me a story ".repeat(12))], 40);
    assert!(runner.park());
}

/// A name, what happens between the turns, and how many files there are then.
type Between<'a> = (&'static str, &'a dyn Fn(&mut Runner), usize);

#[test]
fn the_next_turn_says_the_same_from_memory_compressed_from_disk_and_after_a_restart() {
    for kv in [KvKind::F16, KvKind::Q8] {
        let place = Place::new(kv, 100 * BLOCK, 100 * BLOCK);
        let mut plain = Place::new(kv, 0, 0);
        plain.settings.threads = 1;
        let (first, second, reused) = two_turns(&plain, |_| {});
        assert_eq!(reused, 0);
        let betweens: [Between<'_>; 5] = [
            ("in memory", &|_| {}, 0),
            ("compressed", &|runner| runner.idle(20), 0),
            ("on disk", &|runner| runner.idle(100), 1),
            ("parked", &|runner| assert!(runner.park()), 1),
            (
                "found by the next process",
                &|runner| {
                    assert!(runner.park());
                    *runner = place.begin();
                },
                1,
            ),
        ];
        for (name, between, files) in betweens {
            let check = |runner: &mut Runner| {
                between(runner);
                assert_eq!(place.files().len(), files, "{name}");
            };
            let turns = two_turns(&place, check);
            assert_eq!((&turns.0, &turns.1), (&first, &second), "{kv:?} {name}");
            assert!(turns.2 >= 192, "{kv:?} {name}: {} tokens", turns.2);
            drop(place.begin());
            place
                .files()
                .iter()
                .for_each(|path| std::fs::remove_file(path).unwrap());
        }
    }
}

#[test]
fn damaged_files_are_removed_and_the_answer_is_the_same() {
    let place = Place::new(KvKind::F16, 100 * BLOCK, 100 * BLOCK);
    let (_, second, _) = two_turns(&place, |_| {});
    let damages: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
        |bytes| bytes[20] ^= 1,
    ];
    for damage in damages {
        for restart in [false, true] {
            let (_, said, reused) = two_turns(&place, |runner| {
                assert!(runner.park());
                let [path] = place.files().try_into().unwrap();
                let mut bytes = std::fs::read(&path).unwrap();
                damage(&mut bytes);
                std::fs::write(&path, bytes).unwrap();
                if restart {
                    *runner = place.begin();
                }
            });
            assert_eq!((&said, reused), (&second, 0));
            assert_eq!(
                place.files().len(),
                0,
                "it was removed, and the new one is in memory"
            );
        }
    }
}

#[test]
fn files_that_cannot_be_read_go_where_something_takes_their_place() {
    for restart in [false, true] {
        let mut place = Place::new(KvKind::F16, 100 * BLOCK, 100 * BLOCK);
        let messages = [said(Role::User, &"tell me a story ".repeat(12))];
        let mut runner = place.begin();
        let (text, _) = runner.ask(&messages, 40);
        assert!(runner.park());
        let [path] = place.files().try_into().unwrap();
        std::fs::remove_file(&path).unwrap();
        // Nobody can open it, be he root.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        if restart {
            runner = place.begin();
        }
        let (again, summary) = runner.ask(&messages, 40);
        assert_eq!((again, summary.reused_tokens), (text, 0));
        if restart {
            assert!(path.is_symlink(), "there is room");
            place.settings.parking.disk.as_mut().unwrap().quota = 0;
            runner = place.begin();
        }
        drop(runner);
        assert!(!path.is_symlink());
    }
}

#[test]
fn a_model_stored_anew_does_not_go_on_from_what_the_old_one_saw() {
    let place = Place::new(KvKind::F16, 100 * BLOCK, 100 * BLOCK);
    let (_, _, reused) = two_turns(&place, |runner| {
        assert!(runner.park());
        let store = Store::new(place.models.path());
        store.remove(&"tiny".parse().unwrap()).unwrap();
        import(place.models.path(), &tiny::Shape::default(), 2048);
        *runner = place.begin();
    });
    assert_eq!(reused, 0);
}

#[test]
fn files_of_a_removed_model_go() {
    let place = Place::new(KvKind::F16, 100 * BLOCK, 100 * BLOCK);
    one_parked(&place);
    place.begin().park();
    assert_eq!(place.files().len(), 1);
    let store = Store::new(place.models.path());
    store.remove(&"tiny".parse().unwrap()).unwrap();
    let mut runner = place.begin();
    runner.worker.forget_removed();
    drop(runner);
    assert_eq!(place.files().len(), 0);
}

#[test]
fn files_go_where_none_are_to_be_written_any_more() {
    for memory in [0, 100 * BLOCK] {
        let mut place = Place::new(KvKind::F16, 100 * BLOCK, 100 * BLOCK);
        one_parked(&place);
        assert_eq!(place.files().len(), 1);
        place.settings.parking.memory = memory;
        place.settings.parking.disk.as_mut().unwrap().quota = 0;
        drop(place.begin());
        assert_eq!(place.files().len(), 0);
    }
}

#[test]
fn parking_lets_go_of_the_model_and_waits_for_nobody_s_answer() {
    let place = Place::new(KvKind::F16, 100 * BLOCK, 0);
    let mut runner = place.begin();
    let messages = [said(Role::User, "hello")];
    let (text, _) = runner.ask(&messages, 5);
    assert!(runner.worker.resident.is_some());
    assert!(runner.park());
    assert!(runner.worker.resident.is_none() && runner.worker.sessions.is_clear());
    let (again, summary) = runner.ask(&messages, 5);
    assert_eq!(
        (again, summary.reused_tokens),
        (text, 0),
        "there is no disk to keep it"
    );
    let (outbox, _answer) = answer(|| {});
    let request = request("a", 9);
    runner.worker.obey(Command::Submit(Waiting { request, outbox }));
    let work = runner.worker.next_turn().unwrap();
    runner.worker.compute(&work);
    assert!(!runner.park());
    assert!(runner.worker.resident.is_some());
}

#[test]
fn conversations_leave_memory_and_the_model_stays_or_half_of_them_do() {
    let place = Place::new(KvKind::F16, 8 * BLOCK, 100 * BLOCK);
    let mut runner = place.begin();
    let first = [said(Role::User, &"first ".repeat(20))];
    let second = [said(Role::User, &"second ".repeat(30))];
    runner.ask(&first, 5);
    runner.worker.obey(Command::ParkSessions);
    while runner.worker.sessions.memory() > 0 {
        runner.hear();
    }
    assert!(runner.worker.resident.is_some());
    assert_eq!(place.files().len(), 1);
    runner.ask(&second, 5);
    assert!(
        runner.worker.sessions.memory() > 2 * BLOCK,
        "memory is for it again"
    );
    runner.worker.settings.parking.memory = 4 * BLOCK;
    runner.worker.obey(Command::Trim(true));
    while runner.worker.sessions.is_busy() {
        runner.hear();
    }
    assert!(runner.worker.sessions.memory() <= 2 * BLOCK);
    assert!(runner.ask(&first, 5).1.reused_tokens > 0);
}

#[test]
fn conversations_leave_memory_in_time_while_others_are_answered() {
    let mut place = Place::new(KvKind::F16, 100 * BLOCK, 100 * BLOCK);
    place.settings.parking.pack_after = Duration::from_nanos(1);
    let mut runner = place.begin();
    runner.ask(&[said(Role::User, &"hello ".repeat(20))], 5);
    assert!(!runner.worker.sessions.is_busy(), "it has just been answered");
    let (outbox, _answer) = answer(|| {});
    let request = request("another", 5);
    runner.worker.obey(Command::Submit(Waiting { request, outbox }));
    assert!(runner.worker.next_turn().is_some());
    assert!(runner.worker.sessions.is_busy());
}

#[test]
fn without_the_thread_that_keeps_them_no_conversation_is_in_memory() {
    let place = Place::new(KvKind::F16, 100 * BLOCK, 0);
    let mut runner = place.begin();
    let messages = [said(Role::User, &"hello ".repeat(20))];
    let (text, _) = runner.ask(&messages, 5);
    assert!(runner.worker.sessions.memory() > 0);
    runner.worker.obey(Command::Kept(Outcome::Ended));
    assert_eq!(runner.worker.sessions.memory(), 0);
    assert_eq!(runner.ask(&messages, 5).0, text);
}

/// The next version of this program takes what it finds for what it would compute itself.
#[test]
fn the_version_of_files_stands_for_what_is_computed() {
    let computed = [KvKind::F16, KvKind::Q8].map(|kv| {
        let mut place = Place::new(kv, 100 * BLOCK, 0);
        place.settings.path = kernels::path::Path::SCALAR;
        let mut runner = place.begin();
        runner.ask(&[said(Role::User, &"hello world ".repeat(20))], 20);
        let blocks = runner.worker.sessions.computed();
        let bytes: Vec<u8> = blocks.iter().flat_map(|block| block.bytes().to_vec()).collect();
        store::Hash::of(&bytes).to_string()
    });
    let known = [
        "17af98fc06f84da559fb7e01a8d22ea085e07a6745cdad57494262f73d6a9828",
        "11f1f016478df89ac57c5e363ac692030af64c9f5c3eda93391d912637e8aea7",
    ];
    assert_eq!(
        (parking::VERSION, computed),
        (1, known.map(str::to_owned)),
        "where other keys and values are computed than before, raise the version and note both here"
    );
}

#[test]
fn the_same_question_is_not_read_again_and_two_at_once_share_what_was_seen() {
    let place = Place::new(KvKind::F16, 100 * BLOCK, 0);
    let mut runner = place.begin();
    let messages = [said(Role::User, &"hello world ".repeat(20))];
    let (text, first) = runner.ask(&messages, 20);
    let (again, second) = runner.ask(&messages, 20);
    assert_eq!(text, again);
    assert_eq!(
        (first.reused_tokens, second.reused_tokens),
        (0, (first.prompt_tokens - 1) / POSITIONS * POSITIONS)
    );
    let engine = Engine::start(place.settings.clone()).unwrap().0;
    let ask = || {
        engine.submit(Request {
            messages: messages.to_vec(),
            ..request("", 20)
        })
    };
    assert_eq!(text_and_end(ask()).0, text);
    let answers = [ask(), ask()].map(|answer| text_and_end(answer).0);
    assert_eq!(answers, [text.clone(), text]);
}

#[test]
fn an_engine_that_is_parked_answers_and_ends_when_nobody_has_it_any_more() {
    let place = Place::new(KvKind::F16, 100 * BLOCK, 100 * BLOCK);
    let (engine, ended) = Engine::start(place.settings.clone()).unwrap();
    let (text, _) = text_and_end(engine.submit(request(&"hello there ".repeat(9), 60)));
    let (reply, parked) = oneshot::channel();
    assert!(engine.commands.0.send(Command::Park(reply)).is_ok());
    assert_eq!(parked.blocking_recv(), Ok(true));
    let now = engine.activity().borrow().clone();
    assert_eq!((now.state, now.kv_bytes), (State::Parked, 0));
    assert_eq!(held(&engine).as_deref(), Some("tiny"), "it will be wanted again");
    assert_eq!(place.files().len(), 1);
    let (again, end) = text_and_end(engine.submit(request(&"hello there ".repeat(9), 60)));
    assert_eq!(again, text);
    assert!(summary(&end).reused_tokens > 0);
    drop(engine);
    assert!(ended.0.blocking_recv().is_err(), "the thread has ended");
}

#[derive(Clone, Debug)]
enum Happens {
    Say { who: usize, words: usize },
    Idle(u64),
    Park,
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Happens>> {
    let event = prop_oneof![
        6 => (0_usize..3, 1_usize..12).prop_map(|(who, words)| Happens::Say { who, words }),
        2 => (0_u64..90).prop_map(Happens::Idle),
        1 => Just(Happens::Park),
        1 => Just(Happens::Restart),
    ];
    proptest::collection::vec(event, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever was said to whom, parked, written and found again: each answer is the one that is given without any of it,
    /// and neither memory nor disk holds more than it may.
    #[test]
    fn conversations_do_not_depend_on_parking(
        events in events(),
        memory in 2_u64..40,
        quota in 0_u64..40,
        q8 in any::<bool>(),
    ) {
        let kv = if q8 { KvKind::Q8 } else { KvKind::F16 };
        let (place, plain) = (Place::new(kv, memory * BLOCK, quota * BLOCK), Place::new(kv, 0, 0));
        let (mut runner, mut reference) = (place.begin(), plain.begin());
        let mut conversations = vec![Vec::new(); 3];
        for event in events {
            match event {
                Happens::Say { who, words } => {
                    let conversation: &mut Vec<Message> = &mut conversations[who];
                    conversation.push(said(Role::User, &format!("{who} says {}", "hello word ".repeat(words))));
                    let (text, _) = runner.ask(conversation, 20);
                    prop_assert_eq!(&text, &reference.ask(conversation, 20).0);
                    conversation.push(said(Role::Assistant, &text));
                }
                Happens::Idle(seconds) => runner.idle(seconds),
                Happens::Park => prop_assert!(runner.park()),
                Happens::Restart => {
                    drop(runner);
                    runner = place.begin();
                }
            }
            runner.idle(0);
            prop_assert!(runner.worker.sessions.memory() <= memory * BLOCK);
            prop_assert!(place.bytes() <= quota * BLOCK, "{} of {}", place.bytes(), quota * BLOCK);
        }
    }
}
