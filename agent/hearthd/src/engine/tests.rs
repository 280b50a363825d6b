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
            invocation_id: self.run.to_string(),
            ..Unit::default()
        };
        self.overseer.hear_systemd(unit, false, self.now())
    }

    fn hear(&mut self, record: PhaseRecord) -> Vec<News> {
        self.overseer.hear(&record, self.now())
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
        let shown = self.overseer.shown(BootTime(self.now));
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
    let shown = rig.overseer.shown(BootTime(rig.now));
    assert_eq!(
        (shown.failures.len(), shown.fallback.as_deref()),
        (5, Some("good"))
    );
    let next = Overseer::open(Some(rig.folder.path().join("quarantine.json")));
    assert_eq!(next.told(), rig.overseer.told(), "it outlives hearthd");
    assert_eq!(next.shown(BootTime(0)).quarantined, shown.quarantined);
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
    assert_eq!(rig.overseer.shown(BootTime(rig.now)).failures.len(), 20);
    assert_eq!(rig.overseer.shown(BootTime(rig.now + 700 * SECOND)).failures, []);
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
            .hear_systemd(killed.clone(), true, rig.now())
            .is_empty(),
        "hearthd stopped it"
    );
    let mut fresh = Overseer::open(None);
    assert!(
        fresh.hear_systemd(killed, false, rig.now()).is_empty(),
        "it was before hearthd"
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
