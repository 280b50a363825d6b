//! The engine's failures, from what it says and what systemd tells to what is told of them.

use super::*;
use api::phase::ModelName;
use machine::EngineState;

const SECOND: u64 = 1_000_000;

/// An overseer whose file is in a folder, and the engine's runs so far.
struct Rig {
    overseer: Overseer,
    folder: tempfile::TempDir,
    run: u32,
    now: u64,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rig = Self {
            overseer: Overseer::open(Some(folder.path().join("quarantine.json"))),
            folder,
            run: 0,
            now: 0,
        };
        rig.tell(ActiveState::Active, ServiceResult::Success);
        rig
    }

    fn now(&self) -> Now {
        Now {
            boot: BootTime(self.now),
            wall: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn tell(&mut self, active_state: ActiveState, result: ServiceResult) -> Vec<News> {
        let unit = Unit {
            active_state,
            result,
            ..self.unit()
        };
        self.hear_systemd(unit, false)
    }

    fn process(&self) -> u32 {
        1000 + self.run
    }

    fn unit(&self) -> Unit {
        Unit {
            invocation_id: self.run.to_string(),
            exec_main_pid: self.process(),
            ..Unit::default()
        }
    }

    fn hear_systemd(&mut self, unit: Unit, is_excused: bool) -> Vec<News> {
        let what = Circumstances {
            is_stopped: false,
            is_excused,
        };
        self.overseer.hear_systemd(unit, what, self.now())
    }

    /// The kernel ends the engine for want of memory.
    fn kill(&mut self, result: ServiceResult, is_excused: bool) -> Vec<News> {
        self.run += 1;
        self.now += SECOND;
        self.tell(ActiveState::Active, ServiceResult::Success);
        self.hear(loading(1, "one"));
        let unit = Unit {
            active_state: ActiveState::Activating,
            result,
            exec_main_status: 9,
            ..self.unit()
        };
        self.hear_systemd(unit, is_excused)
    }

    fn hear(&mut self, record: PhaseRecord) -> Vec<News> {
        self.overseer.hear(&record, Some(self.process()), self.now())
    }

    /// The engine starts, says that it loads that model, if any, and fails.
    fn fail(&mut self, model: Option<(u64, &str)>) -> Vec<News> {
        self.run += 1;
        self.now += SECOND;
        assert!(self.tell(ActiveState::Active, ServiceResult::Success).is_empty());
        if let Some((tag, name)) = model {
            self.hear(loading(tag, name));
            self.overseer.gone();
        }
        self.tell(ActiveState::Activating, ServiceResult::CoreDump)
    }

    fn held(&self) -> Vec<String> {
        let shown = self.overseer.shown(&Administered::default(), BootTime(self.now));
        shown.quarantined.into_iter().map(|held| held.model).collect()
    }
}

fn loading(tag: u64, name: &str) -> PhaseRecord {
    PhaseRecord {
        phase: Phase::Loading,
        state: EngineState::Loading,
        model: tag,
        model_name: ModelName::new(name),
        ..PhaseRecord::default()
    }
}

fn answered(tag: u64, name: &str, generated: u64) -> PhaseRecord {
    PhaseRecord {
        phase: Phase::Idle,
        state: EngineState::Ready,
        generated,
        ..loading(tag, name)
    }
}

#[test]
fn a_model_that_crashes_the_engine_five_times_is_quarantined_and_the_last_good_one_stands_in() {
    let mut rig = Rig::new();
    rig.hear(answered(1, "good", 0));
    rig.hear(answered(1, "good", 9));
    for _ in 0..4 {
        let news = rig.fail(Some((2, "bad")));
        assert!(
            matches!(&*news, [News::Failed(failure)] if failure.model.as_deref() == Some("bad")),
            "{news:?}"
        );
    }
    let news = rig.fail(Some((2, "bad")));
    let [News::Failed(_), News::Quarantined { model, reason }] = &*news else {
        panic!("{news:?}")
    };
    assert_eq!((model.tag, &*model.name), (2, "bad"));
    assert!(
        reason.contains("5 times within 10 minutes") && reason.contains("crashed"),
        "{reason}"
    );
    assert_eq!(rig.overseer.told(), ([2, 0, 0, 0, 0, 0, 0, 0], 1));
    let shown = rig.overseer.shown(&Administered::default(), BootTime(rig.now));
    assert_eq!(
        (shown.failures.len(), shown.fallback.as_deref()),
        (5, Some("good"))
    );
    let next = Overseer::open(Some(rig.folder.path().join("quarantine.json")));
    assert_eq!(next.told(), rig.overseer.told(), "it outlives hearthd");
    assert_eq!(
        next.shown(&Administered::default(), BootTime(0)).quarantined,
        shown.quarantined
    );
}

#[test]
fn failures_without_a_model_are_shown_and_quarantine_nothing() {
    let mut rig = Rig::new();
    rig.hear(answered(1, "good", 0));
    rig.tell(ActiveState::Inactive, ServiceResult::Success);
    for _ in 0..20 {
        let news = rig.fail(None);
        assert!(
            matches!(&*news, [News::Failed(failure)] if failure.model.is_none()),
            "{news:?}"
        );
    }
    assert!(rig.held().is_empty());
    assert_eq!(
        rig.overseer
            .shown(&Administered::default(), BootTime(rig.now))
            .failures
            .len(),
        20
    );
    assert_eq!(
        rig.overseer
            .shown(&Administered::default(), BootTime(rig.now + 700 * SECOND))
            .failures,
        []
    );
}

#[test]
fn one_end_is_counted_once_and_only_if_it_is_a_failure_that_hearthd_has_seen_and_not_made() {
    let mut rig = Rig::new();
    assert_eq!(rig.fail(Some((2, "bad"))).len(), 1);
    assert!(
        rig.tell(ActiveState::Failed, ServiceResult::CoreDump).is_empty(),
        "the same run"
    );
    rig.run += 1;
    assert!(rig.tell(ActiveState::Inactive, ServiceResult::Success).is_empty());
    rig.run += 1;
    let killed = Unit {
        result: ServiceResult::Signal,
        invocation_id: rig.run.to_string(),
        ..Unit::default()
    };
    assert!(
        rig.overseer
            .hear_systemd(
                killed.clone(),
                Circumstances {
                    is_stopped: true,
                    ..Circumstances::default()
                },
                rig.now()
            )
            .is_empty(),
        "hearthd stopped it"
    );
    let mut fresh = Overseer::open(None);
    assert!(
        fresh
            .hear_systemd(killed, Circumstances::default(), rig.now())
            .is_empty(),
        "it was before hearthd"
    );
}

#[test]
fn a_run_that_hearthd_stops_has_not_failed_whenever_it_ends() {
    let mut rig = Rig::new();
    rig.run += 1;
    let told = |rig: &mut Rig, result, is_stopped| {
        let what = Circumstances {
            is_stopped,
            ..Circumstances::default()
        };
        let unit = Unit {
            active_state: ActiveState::Deactivating,
            result,
            ..rig.unit()
        };
        rig.overseer.hear_systemd(unit, what, rig.now())
    };
    assert!(told(&mut rig, ServiceResult::Success, true).is_empty());
    assert!(
        told(&mut rig, ServiceResult::Signal, false).is_empty(),
        "it may run again by now"
    );
    rig.run += 1;
    assert!(
        !told(&mut rig, ServiceResult::Signal, false).is_empty(),
        "the next run is another"
    );
}

#[test]
fn a_model_is_released_by_an_administrator_or_by_another_of_its_name() {
    let mut rig = Rig::new();
    for _ in 0..5 {
        rig.fail(Some((2, "bad")));
    }
    assert!(!rig.overseer.release("good", rig.now()).unwrap());
    assert!(rig.overseer.release("bad", rig.now()).unwrap());
    assert!(rig.held().is_empty());
    for _ in 0..5 {
        rig.fail(Some((2, "bad")));
    }
    assert_eq!(rig.held(), ["bad"]);
    let news = rig.hear(loading(3, "bad"));
    assert!(
        matches!(&*news, [News::Replaced(model)] if model.tag == 3),
        "{news:?}"
    );
    assert!(rig.held().is_empty());
}

#[test]
fn only_an_answer_makes_a_model_good() {
    let mut rig = Rig::new();
    let fallback = |rig: &Rig| rig.overseer.told().1;
    rig.hear(loading(1, "one"));
    rig.hear(answered(1, "one", 0));
    assert_eq!(fallback(&rig), 0, "it was only loaded");
    rig.hear(PhaseRecord {
        phase: Phase::Decode,
        active: 1,
        ..answered(1, "one", 5)
    });
    assert_eq!(fallback(&rig), 0, "it is still answering");
    rig.hear(answered(1, "one", 6));
    assert_eq!(fallback(&rig), 1);
    rig.hear(PhaseRecord {
        generated: 6,
        ..loading(2, "two")
    });
    rig.hear(answered(2, "two", 6));
    assert_eq!(fallback(&rig), 1, "these tokens were another's");
}

#[test]
fn a_failure_is_put_down_to_the_model_of_its_own_run_whichever_word_comes_first() {
    let mut rig = Rig::new();
    let blamed = |news: &[News]| match news {
        [News::Failed(failure)] => failure.model.clone(),
        _ => panic!("{news:?}"),
    };
    rig.hear(loading(1, "one"));
    let ended = Unit {
        active_state: ActiveState::Activating,
        result: ServiceResult::CoreDump,
        ..rig.unit()
    };
    // The next run speaks before systemd tells how this one has ended.
    rig.run += 1;
    rig.hear(loading(2, "two"));
    assert_eq!(blamed(&rig.hear_systemd(ended, false)).as_deref(), Some("one"));
    rig.tell(ActiveState::Active, ServiceResult::Success);
    let second = rig.tell(ActiveState::Activating, ServiceResult::CoreDump);
    assert_eq!(blamed(&second).as_deref(), Some("two"));
    // One that ends before it says a word has had no model that anybody knows of.
    rig.run += 1;
    rig.tell(ActiveState::Active, ServiceResult::Success);
    let silent = rig.tell(ActiveState::Activating, ServiceResult::CoreDump);
    assert_eq!(blamed(&silent), None);
}

#[test]
fn the_last_word_of_a_run_is_not_put_down_to_the_next() {
    let mut rig = Rig::new();
    rig.tell(ActiveState::Activating, ServiceResult::CoreDump);
    rig.hear(loading(1, "one"));
    rig.run += 1;
    rig.tell(ActiveState::Active, ServiceResult::Success);
    let next = rig.tell(ActiveState::Activating, ServiceResult::CoreDump);
    assert!(
        matches!(&*next, [News::Failed(failure)] if failure.model.is_none()),
        "{next:?}"
    );
}

#[test]
fn a_new_run_answers_well_however_much_the_one_before_has_generated() {
    let mut rig = Rig::new();
    let fallback = |rig: &Rig| rig.overseer.told().1;
    rig.hear(answered(1, "one", 500));
    rig.run += 1;
    rig.hear(answered(1, "one", 0));
    assert_eq!(fallback(&rig), 0);
    rig.hear(answered(1, "one", 5));
    assert_eq!(fallback(&rig), 1);
}

#[test]
fn a_model_that_was_removed_is_forgotten_over_a_restart_too() {
    let mut rig = Rig::new();
    rig.hear(answered(1, "good", 0));
    rig.hear(answered(1, "good", 9));
    (0..5).for_each(|_| drop(rig.fail(Some((2, "bad")))));
    assert_eq!(rig.held(), ["bad"]);
    let now = rig.now();
    for name in ["bad", "good", "unknown"] {
        rig.overseer.forget(name, now).unwrap();
        assert!(!rig.overseer.holds(name));
    }
    let next = Overseer::open(Some(rig.folder.path().join("quarantine.json")));
    assert_eq!(next.told(), ([0; 8], 0));
}

#[test]
fn a_stuck_engine_is_named_in_its_failure() {
    let mut rig = Rig::new();
    rig.hear(loading(2, "bad"));
    let engine = loading(2, "bad").received(BootTime(0));
    let mut stuck = false;
    for quarter in 0..80 {
        let verdict = rig
            .overseer
            .look(Some(&engine), 1.0, BootTime(quarter * SECOND / 4));
        stuck |= matches!(verdict, Verdict::Stuck(_));
    }
    assert!(stuck);
    let news = rig.tell(ActiveState::Activating, ServiceResult::Signal);
    let [News::Failed(failure)] = &*news else {
        panic!("{news:?}")
    };
    assert!(
        failure.stuck.as_ref().unwrap().contains("loading stood still"),
        "{failure:?}"
    );
    let next = rig.fail(Some((2, "bad")));
    assert!(
        matches!(&*next, [News::Failed(failure)] if failure.stuck.is_none()),
        "{next:?}"
    );
}

#[test]
fn a_model_is_not_blamed_for_memory_that_others_have_taken() {
    for result in [ServiceResult::OomKill, ServiceResult::Signal] {
        let mut rig = Rig::new();
        for _ in 0..20 {
            let news = rig.kill(result, true);
            assert!(
                matches!(&*news, [News::Failed(_), News::Excused(model)] if model.name == "one"),
                "{news:?}"
            );
        }
        assert!(rig.held().is_empty());
        assert_eq!(
            rig.overseer
                .shown(&Administered::default(), BootTime(rig.now))
                .failures
                .len(),
            20,
            "they are shown"
        );
        (0..5).for_each(|_| drop(rig.kill(result, false)));
        assert_eq!(rig.held(), ["one"], "that was its own limit");
    }
}

#[test]
fn a_crash_counts_however_short_memory_is() {
    let mut rig = Rig::new();
    (0..5).for_each(|_| drop(rig.kill(ServiceResult::CoreDump, true)));
    assert_eq!(rig.held(), ["one"]);
}

#[test]
fn the_only_model_is_tried_again_after_an_hour() {
    let mut rig = Rig::new();
    for _ in 0..5 {
        rig.fail(Some((2, "bad")));
    }
    assert!(rig.overseer.lapse(rig.now()).is_empty());
    rig.now += 3600 * SECOND;
    let news = rig.overseer.lapse(rig.now());
    assert!(
        matches!(&*news, [News::Lapsed { model, minutes: 60 }] if model.name == "bad"),
        "{news:?}"
    );
    let next = Overseer::open(Some(rig.folder.path().join("quarantine.json")));
    assert_eq!((rig.held().len(), next.told()), (0, ([0; 8], 0)));
}

/// When the file was last written, as the inode that is new each time.
fn written(rig: &Rig) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let file = rig.folder.path().join("quarantine.json");
    std::fs::metadata(file).unwrap().ino()
}

#[test]
fn chats_with_two_models_in_turn_are_written_down_once_at_the_end() {
    let mut rig = Rig::new();
    let mut generated = 0;
    let mut chat = |rig: &mut Rig, tag, name| {
        rig.hear(answered(tag, name, generated));
        generated += 5;
        rig.hear(answered(tag, name, generated));
    };
    chat(&mut rig, 1, "one");
    chat(&mut rig, 2, "two");
    let before = written(&rig);
    // Holds the inode, so that no new file can have its number.
    let _held = std::fs::File::open(rig.folder.path().join("quarantine.json")).unwrap();
    for _ in 0..10 {
        chat(&mut rig, 1, "one");
        chat(&mut rig, 2, "two");
    }
    chat(&mut rig, 1, "one");
    assert_eq!(written(&rig), before);
    assert!(rig.overseer.close().is_empty());
    assert_ne!(written(&rig), before);
    let next = Overseer::open(Some(rig.folder.path().join("quarantine.json")));
    assert_eq!(next.told(), ([0; 8], 1));
}

#[test]
fn a_book_that_cannot_be_written_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::new();
    rig.overseer = Overseer::open(Some(folder.path().join("missing/quarantine.json")));
    rig.tell(ActiveState::Active, ServiceResult::Success);
    let mut told = 0;
    for tag in 1..4 {
        rig.hear(answered(tag, "one", 10 * tag));
        let news = rig.hear(answered(tag, "one", 10 * tag + 1));
        told += news
            .iter()
            .filter(|news| matches!(news, News::NotKept(_)))
            .count();
    }
    assert_eq!(told, 1);
}

#[test]
fn an_engine_is_asked_once_until_it_answers() {
    let mut rig = Rig::new();
    assert!(rig.overseer.ask(BootTime(1)) && !rig.overseer.ask(BootTime(2)));
    rig.hear(PhaseRecord::default());
    assert!(rig.overseer.ask(BootTime(3)));
    rig.overseer.gone();
    assert!(rig.overseer.ask(BootTime(4)));
}

#[test]
fn a_book_that_makes_no_sense_holds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quarantine.json");
    std::fs::write(&path, "{").unwrap();
    assert_eq!(Overseer::open(Some(path)).told(), ([0; 8], 0));
}
