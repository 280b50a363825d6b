//! Many requests: who waits, who is refused, and who goes.

use super::*;

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
    assert_eq!(held(&engine).as_deref(), Some("other"));
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
