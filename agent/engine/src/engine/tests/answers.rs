//! One answer: its tokens, its end, and that nobody else changes it.

use super::*;

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
    assert_eq!(held(&engine).as_deref(), Some("tiny"));
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
