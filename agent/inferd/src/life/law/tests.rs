use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    keep_alive: KeepAlive::For(Duration::from_secs(300)),
    exit: KeepAlive::For(Duration::from_secs(600)),
};

/// A law on a clock that the test sets.
struct Clock {
    law: Law,
    begun: Instant,
    now: Instant,
}

fn wish(keep_alive: Option<KeepAlive>) -> Wish {
    Wish {
        model: "m".into(),
        keep_alive,
        usual: None,
        pinned: false,
    }
}

fn seconds(seconds: u64) -> KeepAlive {
    KeepAlive::For(Duration::from_secs(seconds))
}

impl Clock {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            law: Law::new(LIMITS, now),
            begun: now,
            now,
        }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = self.begun + Duration::from_secs(seconds);
        self
    }

    fn next(&mut self) -> Option<Step> {
        self.law.next(self.now)
    }

    /// A connection with one request.
    fn ask(&mut self, wish: Wish) {
        self.law.connect();
        assert!(self.law.begin());
        self.law.loaded();
        self.law.end(Some(wish), self.now);
        self.law.disconnect();
    }

    /// Seconds to the next thing to do.
    fn due(&self) -> Option<u64> {
        let deadline = self.law.deadline()?;
        Some(deadline.saturating_duration_since(self.now).as_secs())
    }
}

#[test]
fn it_parks_then_leaves_and_a_request_brings_it_back_at_any_point() {
    let mut clock = Clock::new();
    clock.ask(wish(None));
    assert_eq!(clock.at(299).next(), None);
    assert_eq!(clock.due(), Some(1));
    assert_eq!(clock.at(300).next(), Some(Step::Park));
    assert_eq!(clock.next(), None, "it is under way");
    clock.law.parked(true);
    assert_eq!((clock.next(), clock.due()), (None, Some(300)));
    assert_eq!(clock.at(600).next(), Some(Step::Leave));
    clock.law.connect();
    assert!(!clock.law.may_leave(), "somebody came");
    assert_eq!((clock.next(), clock.due()), (None, None));
    assert!(clock.law.begin());
    clock.law.end(Some(wish(None)), clock.now);
    clock.law.disconnect();
    assert_eq!(clock.at(900).next(), Some(Step::Park));
    clock.law.connect();
    assert!(clock.law.begin());
    clock.law.parked(false);
    assert_eq!(clock.at(9_000).next(), None);
    clock.law.end(Some(wish(None)), clock.now);
    clock.law.disconnect();
    assert_eq!(clock.at(9_300).next(), Some(Step::Park));
    clock.law.parked(true);
    assert_eq!(clock.at(9_600).next(), Some(Step::Leave));
    assert!(clock.law.may_leave());
}

#[test]
fn whoever_started_it_is_waited_for() {
    let now = Instant::now();
    let limits = Limits {
        keep_alive: seconds(0),
        exit: seconds(0),
    };
    let law = Law::new(limits, now);
    let mut clock = Clock { law, begun: now, now };
    assert_eq!((clock.next(), clock.due()), (None, Some(10)));
    clock.law.connect();
    assert_eq!(clock.next(), Some(Step::Park), "it loses nothing by that");
    clock.law.parked(true);
    assert_eq!(clock.next(), None, "somebody is there");
    clock.law.disconnect();
    assert_eq!(clock.next(), Some(Step::Leave));
}

#[test]
fn a_request_says_how_long_a_model_stays_until_another_does() {
    let mut clock = Clock::new();
    clock.ask(wish(Some(seconds(10))));
    assert_eq!(clock.due(), Some(10));
    clock.ask(wish(None));
    assert_eq!(clock.due(), Some(10), "as Ollama has it");
    clock.ask(wish(Some(KeepAlive::Ever)));
    assert_eq!(clock.due(), None);
    let other = |usual| Wish {
        model: "other".into(),
        usual,
        ..wish(None)
    };
    clock.ask(other(None));
    assert_eq!(clock.due(), Some(300), "another model");
    clock.ask(other(Some(seconds(20))));
    assert_eq!(clock.due(), Some(20), "its settings have changed");
    clock.ask(wish(Some(seconds(0))));
    assert_eq!(clock.next(), Some(Step::Park));
    clock.law.parked(true);
    clock.ask(wish(None));
    assert_eq!(clock.due(), Some(300), "it was gone since");
}

#[test]
fn a_wish_counts_for_what_has_answered_only() {
    let mut clock = Clock::new();
    clock.ask(wish(Some(seconds(10))));
    assert!(clock.law.begin());
    clock.law.end(None, clock.now);
    assert_eq!(clock.due(), Some(10));
}

#[test]
fn a_model_is_unloaded_on_demand_and_no_other() {
    let mut clock = Clock::new();
    clock.ask(wish(Some(KeepAlive::Ever)));
    clock.law.unload("other");
    assert_eq!(clock.next(), None);
    clock.law.unload("m");
    assert_eq!(clock.next(), Some(Step::Park));
}

#[test]
fn short_memory_parks_at_once_but_what_is_pinned_gives_its_conversations_only() {
    let mut clock = Clock::new();
    clock.ask(wish(Some(KeepAlive::Ever)));
    clock.law.press(PressureLevel::Trim);
    assert_eq!(clock.next(), None);
    clock.law.press(PressureLevel::Park);
    assert_eq!(clock.next(), Some(Step::Park));
    clock.law.parked(true);
    let pinned = || Wish {
        pinned: true,
        ..wish(None)
    };
    clock.ask(pinned());
    assert_eq!(clock.next(), Some(Step::ParkSessions));
    assert_eq!(clock.next(), None, "once");
    clock.ask(pinned());
    assert_eq!(clock.next(), Some(Step::ParkSessions));
}

#[test]
fn conversations_leave_short_memory_also_while_others_are_answered() {
    let mut clock = Clock::new();
    clock.ask(wish(None));
    assert!(clock.law.begin() && clock.law.begin());
    clock.law.press(PressureLevel::Park);
    assert_eq!(clock.next(), Some(Step::ParkSessions));
    assert_eq!(clock.next(), None, "once");
    clock.law.end(Some(wish(None)), clock.now);
    assert_eq!(clock.next(), Some(Step::ParkSessions), "there is one more");
    clock.law.end(Some(wish(None)), clock.now);
    assert_eq!(clock.next(), Some(Step::Park));
}

#[test]
fn wishes_end_with_the_model_that_they_are_for() {
    let pinned = Wish {
        pinned: true,
        ..wish(Some(KeepAlive::Ever))
    };
    let mut clock = Clock::new();
    clock.ask(pinned);
    assert_eq!(clock.due(), None);
    assert!(clock.law.begin());
    clock.law.gone();
    clock.law.end(None, clock.now);
    assert_eq!(clock.due(), None, "another load may have been under way");
    clock.law.gone();
    assert_eq!(clock.due(), Some(300));
}

#[test]
fn requests_are_refused_for_want_of_memory_and_a_smaller_context_begins_anew_once() {
    let mut clock = Clock::new();
    clock.law.press(PressureLevel::Shrink);
    assert!(!clock.law.begin());
    assert_ne!(clock.next(), Some(Step::Shrink), "nothing is loaded yet");
    clock.law.press(PressureLevel::Park);
    assert!(clock.law.begin());
    clock.law.loaded();
    clock.law.press(PressureLevel::Shrink);
    assert_eq!(
        clock.next(),
        Some(Step::Shrink),
        "also while it answers for the first time"
    );
    assert_eq!(clock.next(), None);
}

#[derive(Clone, Debug)]
enum Event {
    Connect,
    Disconnect,
    Begin,
    Loaded,
    Gone,
    End {
        keep_alive: Option<u64>,
        pinned: bool,
        answered: bool,
    },
    Pass(u64),
    Press(PressureLevel),
    Parked,
    LookAgain,
}

fn event() -> impl Strategy<Value = Event> {
    let levels = [
        PressureLevel::None,
        PressureLevel::Trim,
        PressureLevel::Park,
        PressureLevel::Refuse,
        PressureLevel::Shrink,
    ];
    prop_oneof![
        4 => Just(Event::Connect),
        4 => Just(Event::Disconnect),
        4 => Just(Event::Begin),
        2 => Just(Event::Loaded),
        1 => Just(Event::Gone),
        4 => (proptest::option::of(0_u64..20), any::<bool>(), any::<bool>())
            .prop_map(|(keep_alive, pinned, answered)| Event::End { keep_alive, pinned, answered }),
        6 => (0_u64..900).prop_map(Event::Pass),
        1 => proptest::sample::select(levels.to_vec()).prop_map(Event::Press),
        2 => Just(Event::Parked),
        2 => Just(Event::LookAgain),
    ]
}

#[test]
fn a_model_that_is_unwanted_while_it_answers_goes_when_it_has() {
    let pinned = Wish {
        pinned: true,
        ..wish(Some(KeepAlive::Ever))
    };
    for (wished, before) in [(wish(None), false), (pinned.clone(), false), (pinned, true)] {
        let mut clock = Clock::new();
        if before {
            clock.ask(wished.clone());
        }
        clock.law.connect();
        assert!(clock.law.begin() && clock.law.begin());
        clock.law.unload("m");
        clock.law.loaded();
        clock.law.end(Some(wished.clone()), clock.now);
        assert_eq!(clock.next(), None, "somebody is being answered");
        clock.law.end(Some(wished), clock.now);
        assert_eq!(clock.next(), Some(Step::Park));
        clock.law.parked(true);
        clock.law.disconnect();
        clock.ask(wish(None));
        assert_eq!(clock.due(), Some(300), "that was then");
    }
}

#[test]
fn a_model_that_is_unwanted_while_another_answers_says_nothing_of_that_one() {
    let mut clock = Clock::new();
    clock.law.connect();
    assert!(clock.law.begin());
    clock.law.unload("another");
    clock.law.end(Some(wish(None)), clock.now);
    assert_eq!(clock.due(), Some(300));
}

/// What has come to a law, and what it has to go by.
struct Course {
    clock: Clock,
    connections: usize,
    requests: usize,
    pinned: bool,
    pressure: PressureLevel,
    loaded: bool,
    /// Whether there may be a conversation that nobody is answered in.
    idle: bool,
}

impl Course {
    fn new() -> Self {
        Self {
            clock: Clock::new(),
            connections: 0,
            requests: 0,
            pinned: false,
            pressure: PressureLevel::None,
            loaded: false,
            idle: false,
        }
    }

    /// Lets something happen, if it can. Whether the process has left by it.
    fn happens(&mut self, event: Event) -> Result<bool, TestCaseError> {
        let law = &mut self.clock.law;
        match event {
            // Where nothing is accepted nobody can connect.
            Event::Connect if law.state != State::Leaving => {
                law.connect();
                self.connections += 1;
            }
            Event::Disconnect if self.connections > self.requests => {
                law.disconnect();
                self.connections -= 1;
            }
            Event::Begin if self.connections > self.requests => {
                let begun = law.begin();
                prop_assert_eq!(begun, self.pressure < PressureLevel::Refuse);
                self.requests += usize::from(begun);
            }
            Event::Loaded if self.requests > 0 => {
                law.loaded();
                self.loaded = true;
            }
            Event::Gone => {
                law.gone();
                self.pinned &= self.requests > 0;
            }
            Event::End {
                keep_alive,
                pinned,
                answered,
            } if self.requests > 0 => {
                let wish = Wish {
                    pinned,
                    ..wish(keep_alive.map(seconds))
                };
                law.end(answered.then_some(wish), self.clock.now);
                self.requests -= 1;
                self.pinned = if answered { pinned } else { self.pinned };
                self.idle = true;
            }
            Event::Pass(seconds) => self.clock.now += Duration::from_secs(seconds),
            Event::Press(level) => {
                law.press(level);
                self.pressure = level;
            }
            Event::Parked if law.state == State::Parking => law.parked(self.requests == 0),
            Event::LookAgain if law.state == State::Leaving => return Ok(law.may_leave()),
            _ => {}
        }
        Ok(false)
    }

    /// Takes the law's next step. Whether the process begins anew by it.
    fn goes_on(&mut self) -> Result<bool, TestCaseError> {
        let due = self.clock.law.deadline();
        let step = self.clock.next();
        match step {
            Some(Step::Park) => prop_assert!(self.requests == 0 && !self.pinned),
            Some(Step::ParkSessions) => prop_assert!(self.idle && self.pressure >= PressureLevel::Park),
            Some(Step::Leave) => prop_assert!(self.connections == 0 && self.requests == 0 && !self.pinned),
            Some(Step::Shrink) => {
                prop_assert!(self.loaded && self.pressure == PressureLevel::Shrink);
                return Ok(true);
            }
            None => self.nothing_is_left_undone()?,
        }
        if matches!(step, Some(Step::Park | Step::ParkSessions)) {
            self.idle = false;
        }
        if matches!(step, Some(Step::Park | Step::Leave)) {
            prop_assert!(
                due.is_some_and(|due| due <= self.clock.now),
                "not before it is due"
            );
        }
        if let (None, Some(deadline)) = (step, self.clock.law.deadline()) {
            prop_assert!(
                deadline > self.clock.now && self.requests == 0,
                "what is due is done"
            );
        }
        Ok(false)
    }

    fn nothing_is_left_undone(&self) -> Result<(), TestCaseError> {
        let state = &self.clock.law.state;
        let stays = *state == State::Up && self.idle && self.pressure >= PressureLevel::Park;
        prop_assert!(!stays, "a conversation stays");
        let grows = self.loaded && self.pressure == PressureLevel::Shrink;
        prop_assert!(!grows || *state == State::Leaving, "the process stays");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    /// Whatever comes in whatever order: idleness never refuses a request; what is pinned, or answers, is never parked;
    /// nothing is left while somebody is connected; what is due is done at its deadline, not before; and where memory is
    /// short, no conversation stays that nobody is answered in, and no process that has a model and is to begin anew.
    #[test]
    fn nobody_is_refused_cut_off_or_forgotten(events in proptest::collection::vec(event(), 1..80)) {
        let mut course = Course::new();
        for event in events {
            if course.happens(event)? {
                prop_assert_eq!((course.connections, course.requests), (0, 0));
                return Ok(());
            }
            if course.goes_on()? {
                return Ok(());
            }
        }
    }
}
