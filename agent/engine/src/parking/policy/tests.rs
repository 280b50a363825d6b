use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    memory: 1_000,
    disk: 500,
    pack_after: Duration::from_secs(10),
    write_after: Duration::from_secs(60),
};

fn tokens(first: u32, count: usize) -> Arc<[u32]> {
    (0..count as u32).map(|index| first + index / 64).collect()
}

fn root() -> Option<Hash> {
    Some(Hash::of(b"model"))
}

/// A policy with sessions of 128 tokens and 200 bytes each, that begin with these tokens, a second after each other.
fn with(limits: Limits, firsts: &[u32]) -> (Policy, Vec<SessionId>, Instant) {
    let (mut policy, mut now, mut ids) = (Policy::new(limits), Instant::now(), Vec::new());
    for &first in firsts {
        now += Duration::from_secs(1);
        ids.push(policy.insert(root(), tokens(first, 128), 200, now).0.unwrap());
    }
    (policy, ids, now)
}

#[test]
fn an_idle_session_is_compressed_and_then_written() {
    let (mut policy, ids, begun) = with(LIMITS, &[1]);
    let after = |seconds| begun + Duration::from_secs(seconds);
    assert_eq!(policy.next(after(9)), None);
    assert_eq!(policy.deadline(), Some(after(10)));
    assert_eq!(policy.next(after(10)), Some(Step::Pack(ids[0])));
    assert_eq!(policy.next(after(99)), None, "one step at a time");
    policy.packed(ids[0], 150);
    assert_eq!(policy.deadline(), Some(after(60)));
    policy.touch(ids[0], after(30));
    assert_eq!(policy.next(after(60)), None, "it was used");
    assert_eq!(
        policy.next(after(90)),
        Some(Step::Write {
            id: ids[0],
            room: 500
        })
    );
    assert!(policy.written(ids[0], Some(120)));
    assert_eq!((policy.deadline(), policy.next(after(999))), (None, None));
    let found = policy.find(root(), &tokens(1, 129));
    assert_eq!(found, Some((ids[0], 128, Place::File)));
}

#[test]
fn from_half_of_the_memory_on_nothing_waits_and_the_oldest_goes_first() {
    let (mut policy, ids, now) = with(LIMITS, &[1, 1_000, 2_000]);
    assert_eq!(policy.next(now), Some(Step::Pack(ids[0])));
    policy.packed(ids[0], 180);
    assert_eq!(
        policy.next(now),
        Some(Step::Write {
            id: ids[0],
            room: 500
        })
    );
    policy.written(ids[0], Some(170));
    assert_eq!(policy.next(now), None);
}

#[test]
fn where_there_is_no_room_the_least_recently_used_are_forgotten() {
    let (mut policy, ids, now) = with(LIMITS, &[1, 1_000, 2_000, 3_000, 4_000]);
    policy.touch(ids[0], now + Duration::from_secs(1));
    let (id, gone) = policy.insert(root(), tokens(5_000, 128), 300, now + Duration::from_secs(2));
    assert!(id.is_some());
    assert_eq!(gone, [ids[1], ids[2]]);
    let (id, gone) = policy.insert(root(), tokens(6_000, 128), 1_001, now);
    assert_eq!((id, gone.len()), (None, 0), "larger than all there is");
}

#[test]
fn a_file_makes_room_for_a_newer_one_and_one_that_does_not_fit_is_left() {
    let limits = Limits {
        write_after: Duration::ZERO,
        ..LIMITS
    };
    let (mut policy, ids, now) = with(limits, &[1, 1_000, 2_000]);
    for (id, room) in [(ids[0], 500), (ids[1], 250)] {
        assert_eq!(policy.next(now), Some(Step::Write { id, room }));
        policy.written(id, Some(250));
    }
    assert_eq!(policy.next(now), Some(Step::Forget(ids[0])));
    assert_eq!(
        policy.next(now),
        Some(Step::Write {
            id: ids[2],
            room: 250
        })
    );
    policy.written(ids[2], None);
    assert_eq!(policy.next(now), None, "it is not tried again");
    assert_eq!(policy.deadline(), Some(now + LIMITS.pack_after));
}

#[test]
fn clearing_writes_what_can_be_written_and_forgets_the_rest() {
    let (mut policy, ids, now) = with(LIMITS, &[1]);
    let (nameless, _) = policy.insert(None, tokens(1, 128), 100, now);
    policy.clear();
    assert_eq!(
        policy.next(now),
        Some(Step::Write {
            id: ids[0],
            room: 500
        })
    );
    assert!(!policy.is_clear());
    policy.written(ids[0], Some(100));
    assert_eq!(policy.next(now), Some(Step::Forget(nameless.unwrap())));
    assert!(policy.next(now).is_none() && policy.is_clear());
    policy.cleared();
    policy.insert(root(), tokens(5, 128), 100, now);
    assert_eq!(policy.next(now), None);
}

#[test]
fn what_is_above_a_lower_limit_leaves_and_the_rest_stays() {
    let (mut policy, ids, now) = with(LIMITS, &[1, 1_000]);
    let (nameless, _) = policy.insert(None, tokens(1, 128), 100, now);
    policy.limit_memory(400);
    let room = 500;
    assert_eq!(policy.next(now), Some(Step::Write { id: ids[0], room }));
    policy.written(ids[0], Some(100));
    policy.limit_memory(99);
    let room = 400;
    assert_eq!(policy.next(now), Some(Step::Write { id: ids[1], room }));
    policy.written(ids[1], None);
    assert_eq!(
        policy.next(now),
        Some(Step::Forget(ids[1])),
        "it cannot be written"
    );
    assert_eq!(policy.next(now), Some(Step::Forget(nameless.unwrap())));
    assert_eq!((policy.next(now), policy.memory()), (None, 0));
}

#[test]
fn the_longest_beginning_is_found_and_one_token_is_left() {
    let (mut policy, ids, now) = with(LIMITS, &[1]);
    let (longer, gone) = policy.insert(root(), tokens(1, 192), 200, now);
    assert_eq!(gone, ids, "what goes on from another takes its place");
    let longer = longer.unwrap();
    assert_eq!(
        policy.insert(root(), tokens(1, 128), 200, now),
        (None, vec![]),
        "its beginning"
    );
    let find = |prompt: &[u32]| policy.find(root(), prompt);
    assert_eq!(find(&tokens(1, 300)), Some((longer, 192, Place::Memory)));
    assert_eq!(find(&tokens(1, 192)), Some((longer, 128, Place::Memory)));
    assert_eq!(find(&tokens(1, 150)), Some((longer, 128, Place::Memory)));
    let other: Vec<u32> = [&tokens(1, 70)[..], &[99; 30]].concat();
    assert_eq!(find(&other), Some((longer, 64, Place::Memory)));
    assert_eq!(find(&[]), None);
    assert_eq!(find(&[1]), None);
    assert_eq!(policy.find(None, &tokens(1, 300)), None, "another model");
}

#[test]
fn others_conversations_cannot_be_guessed_token_by_token() {
    let mut policy = Policy::new(LIMITS);
    policy.insert(root(), tokens(1, 192), 200, Instant::now());
    let seen = |right: usize| {
        let guess: Vec<u32> = [&tokens(1, right)[..], &[99; 30]].concat();
        policy.find(root(), &guess).map(|(_, seen, _)| seen)
    };
    assert!((1..64).all(|right| seen(right).unwrap_or(0) == 0));
    assert!((128..192).all(|right| seen(right) == Some(128)));
    assert_eq!(seen(192), Some(192));
}

#[test]
fn nothing_is_gone_on_from_for_less_than_a_block() {
    let mut policy = Policy::new(LIMITS);
    let id = policy.insert_file(root().unwrap(), tokens(1, 128), 10, Instant::now());
    let prompt: Vec<u32> = [&tokens(1, 63)[..], &[99; 30]].concat();
    assert_eq!(policy.find(root(), &prompt), None);
    assert_eq!(policy.find(root(), &tokens(1, 65)), Some((id, 64, Place::File)));
}

#[test]
fn a_file_that_cannot_be_read_takes_room_until_it_is_needed() {
    let limits = Limits {
        write_after: Duration::ZERO,
        ..LIMITS
    };
    let (mut policy, now) = (Policy::new(limits), Instant::now());
    let read = policy.insert_file(root().unwrap(), tokens(1, 128), 250, now);
    policy.unreadable(read);
    let found = policy.insert_unreadable(root().unwrap(), 200, now);
    assert_eq!(policy.find(root(), &tokens(1, 129)), None);
    assert_eq!(policy.disk(), 450);
    let id = policy.insert(root(), tokens(1_000, 128), 200, now).0.unwrap();
    assert_eq!(policy.next(now), Some(Step::Forget(read)));
    assert_eq!(policy.next(now), Some(Step::Write { id, room: 300 }));
    assert!(policy.written(id, Some(300)));
    let id = policy.insert(root(), tokens(1, 128), 100, now).0.unwrap();
    assert_eq!(policy.next(now), Some(Step::Forget(found)));
    assert_eq!(policy.next(now), Some(Step::Write { id, room: 200 }));
}

#[test]
fn what_is_forgotten_while_it_is_written_is_not_wanted() {
    let limits = Limits {
        write_after: Duration::ZERO,
        ..LIMITS
    };
    let (mut policy, ids, now) = with(limits, &[1]);
    assert!(matches!(policy.next(now), Some(Step::Write { .. })));
    policy.insert(root(), tokens(1, 192), 200, now);
    assert!(!policy.written(ids[0], Some(100)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Whatever comes, both limits hold, steps concern sessions that there are, and clearing ends.
    #[test]
    fn limits_hold(events in proptest::collection::vec((0_u8..6, 0_u32..6, 1_u64..500, 0_u64..30), 1..60)) {
        let (mut policy, mut now) = (Policy::new(LIMITS), Instant::now());
        for (kind, first, bytes, seconds) in events {
            now += Duration::from_secs(seconds);
            let root = root().filter(|_| first > 0);
            match kind {
                0 | 1 => drop(policy.insert(root, tokens(first * 1_000, 64 * (bytes as usize / 64 + 1)), bytes, now)),
                2 => drop(policy.find(root, &tokens(first * 1_000, 300)).map(|(id, ..)| policy.touch(id, now))),
                3 => policy.clear(),
                _ => {}
            }
            prop_assert!(policy.memory() <= LIMITS.memory);
            let mut steps = 0;
            while let Some(step) = policy.next(now) {
                steps += 1;
                prop_assert!(steps < 200, "it ends");
                match step {
                    Step::Forget(id) => prop_assert!(policy.tokens(id).is_none()),
                    Step::Pack(id) => {
                        let before = policy.session(id).unwrap().memory();
                        policy.packed(id, before / 2);
                    }
                    Step::Write { id, room } => {
                        prop_assert!(policy.root(id).is_some());
                        policy.written(id, Some(bytes).filter(|&bytes| bytes <= room));
                    }
                }
                prop_assert!(policy.disk() <= LIMITS.disk);
            }
            prop_assert!(policy.deadline().is_none_or(|deadline| deadline > now));
            if policy.clearing {
                prop_assert!(policy.is_clear());
                policy.cleared();
            }
        }
    }
}
