//! What somebody who asks can tell of others' conversations, by sessions as the engine stores and finds them.

use std::sync::mpsc;

use super::*;

/// What is known of somebody else's conversation, which goes on with a secret.
const KNOWN: usize = 100;
const PIN: u32 = 4711;

/// Sessions, and what the other thread has done.
struct Bench {
    sessions: Sessions,
    outcomes: mpsc::Receiver<Outcome>,
    owner: Owner,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let (report, outcomes) = mpsc::channel();
        let settings = Settings {
            memory: 1 << 20,
            pack_after: Duration::from_secs(10),
            ..Settings::NONE
        };
        // Whoever drops the bench hears no more.
        let report = move |outcome| drop(report.send(outcome));
        let now = Instant::now();
        let sessions = Sessions::start(&settings, KvKind::F16, Pulse::default(), report, now).unwrap();
        let owner = Owner {
            root: Some(Hash::of(b"model")),
            shape: KvShape::new(1, 1, 32, KvKind::F16).unwrap(),
        };
        Self {
            sessions,
            outcomes,
            owner,
            now,
        }
    }

    /// Somebody was answered: these are all tokens of the conversation.
    fn said(&mut self, tokens: &[u32]) {
        let block = || Arc::new(KvBlock::new(self.owner.shape));
        let blocks = (0..tokens.len().div_ceil(POSITIONS)).map(|_| block()).collect();
        let kv = KvCache::resumed(self.owner.shape, 1024, blocks, tokens.len());
        self.sessions.store(self.owner, tokens, kv, self.now);
    }

    /// All that is in memory is compressed.
    fn pack(&mut self) {
        self.now += Duration::from_secs(20);
        self.sessions.work(self.now);
        while self.sessions.is_busy() {
            let outcome = self.outcomes.recv().unwrap();
            self.sessions.done(outcome, self.now);
        }
    }

    /// How much of a prompt is gone on from, and whether that is there at once.
    fn seen(&mut self, prompt: &[u32]) -> (usize, bool) {
        match self.sessions.resume(self.owner, prompt, self.now) {
            Resume::Nothing => (0, true),
            Resume::Now(seen) => (seen.length, true),
            Resume::Later(ticket) => loop {
                let outcome = self.outcomes.recv().unwrap();
                let restored = self.sessions.done(outcome, self.now);
                if let Some(Restored { seen, .. }) = restored.into_iter().find(|one| one.ticket == ticket) {
                    return (seen.map_or(0, |seen| seen.length), false);
                }
            },
        }
    }
}

fn known_and(more: &[u32]) -> Vec<u32> {
    let known = (0..KNOWN as u32).map(|token| token % 50);
    known.chain(more.iter().copied()).collect()
}

/// The conversation that somebody else has, and that nobody is to find out.
fn secret() -> Vec<u32> {
    known_and(&[&[PIN][..], &[7; 60]].concat())
}

/// What who guesses sees when he goes on with the conversation of his guess.
fn after(guess: u32, before: impl Fn(&mut Bench, &[u32])) -> (usize, bool) {
    let mut bench = Bench::new();
    before(&mut bench, &known_and(&[guess]));
    bench.seen(&known_and(&[guess, 9, 9]))
}

#[test]
fn whether_a_guess_was_dropped_for_a_longer_conversation_cannot_be_seen() {
    for is_packed in [false, true] {
        let seen = |guess| {
            after(guess, |bench, guessed| {
                bench.said(&secret());
                if is_packed {
                    bench.pack();
                }
                bench.said(guessed);
            })
        };
        assert_eq!(seen(PIN), seen(PIN + 1), "packed: {is_packed}");
    }
}

#[test]
fn whether_a_guess_planted_in_advance_was_gone_on_from_cannot_be_seen() {
    for is_packed in [false, true] {
        let seen = |guess| {
            after(guess, |bench, guessed| {
                bench.said(guessed);
                if is_packed {
                    bench.pack();
                }
                bench.said(&secret());
            })
        };
        assert_eq!(seen(PIN), seen(PIN + 1), "packed: {is_packed}");
    }
}

#[test]
fn what_is_kept_of_conversations_tells_nothing_of_less_than_a_block() {
    let kept = |guess| {
        let mut bench = Bench::new();
        bench.said(&secret());
        bench.said(&known_and(&[guess]));
        bench.sessions.memory()
    };
    assert_eq!(kept(PIN), kept(PIN + 1));
    let mut bench = Bench::new();
    bench.said(&known_and(&[])[..POSITIONS - 1]);
    assert_eq!(bench.sessions.memory(), 0, "there is nothing to go on from");
}
