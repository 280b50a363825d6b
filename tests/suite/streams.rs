//! Several clients, and clients that go away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use api::openai::ErrorBody;
use tests::client::{Answer, Client, greedy, said};
use tests::host::HostStack;
use tests::report::say;
use tests::wait;

use crate::models::{SMOLLM2, TINY, with_smollm2, with_tiny};

/// More clients than the engine's queue has room for, and fewer than the gateway lets in from one address.
const CROWD: usize = 60;
/// Tokens of an answer that is not complete before it is read: sockets have no room for so much.
const UNREAD: u32 = 6000;
/// Longer than anything here takes; only a failing test waits so long.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn two_clients_at_once_both_get_what_each_gets_alone() -> Result<()> {
    with_tiny(8192, 4, |stack| {
        let questions = ["one", "two"];
        let alone = questions.map(|question| stack.admin().chat(&greedy(TINY, question, 200)));
        let client = stack.admin();
        let streams = questions.map(|question| client.stream(&greedy(TINY, question, UNREAD)));
        let [mut first, mut second] = streams.map(|stream| stream.context("a stream"));
        let (first, second) = (first.as_mut().map_err(told)?, second.as_mut().map_err(told)?);
        let (mut a, mut b) = (first.read_tokens(5)?, second.read_tokens(5)?);
        ensure!(
            stack.engine()?.active == 2,
            "not both are being answered: {:?}",
            stack.engine()?
        );
        a.push_str(&first.read_tokens(195)?);
        b.push_str(&second.read_tokens(195)?);
        for (together, alone) in [a, b].iter().zip(alone) {
            let alone = alone?;
            ensure!(
                together.starts_with(said(&alone)?),
                "together: {together:?}, alone: {alone:?}"
            );
        }
        Ok(())
    })
}

fn told(error: &mut anyhow::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}

#[test]
fn a_full_queue_is_503_with_the_time_to_come_back() -> Result<()> {
    with_tiny(8192, 1, |stack| {
        let answers = crowd(stack)?;
        let mut counts = BTreeMap::new();
        for answer in &answers {
            *counts.entry(answer.status()).or_insert(0) += 1;
            if answer.status() == 503 {
                let wait: u64 = answer.header("retry-after").context("no Retry-After")?.parse()?;
                let error = answer.json::<ErrorBody>()?.error;
                ensure!(
                    wait > 0 && error.kind == "server_error",
                    "Retry-After {wait}, {error:?}"
                );
            }
        }
        say(&format!("{CROWD} clients at once: {counts:?}"));
        ensure!(counts.keys().eq(&[200, 503]), "{counts:?}");
        stack
            .admin()
            .chat(&greedy(TINY, "and now", 2))
            .context("once the crowd has gone")?;
        ensure!(stack.inferd_starts() == 1, "the engine died of it");
        Ok(())
    })
}

#[test]
fn a_client_that_hangs_up_frees_the_engine_within_one_token() -> Result<()> {
    with_smollm2(|stack| {
        let (tokens, done) = (AtomicUsize::new(0), AtomicBool::new(false));
        let client = stack.admin();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| count_tokens(&client, &tokens, &done));
            let passed = least_passed(stack, &tokens);
            done.store(true, Ordering::SeqCst);
            let counted = other.join().map_err(|_| anyhow!("the other client panicked"))?;
            counted.and(passed)
        })?;
        ensure!(stack.inferd_starts() == 1, "inferd was restarted");
        Ok(())
    })
}

/// The clock of the test: the engine makes a token for each of its clients in turn, so while one that has gone is still
/// served, every token of this one is followed by one for nobody.
fn count_tokens(client: &Client, tokens: &AtomicUsize, done: &AtomicBool) -> Result<()> {
    while !done.load(Ordering::SeqCst) {
        let mut stream = client.stream(&greedy(SMOLLM2, "Count from one to a thousand.", 1000))?;
        while !done.load(Ordering::SeqCst) && stream.read_tokens(1).is_ok() {
            tokens.fetch_add(1, Ordering::SeqCst);
        }
    }
    Ok(())
}

/// Hangs up again and again. An error if the other client never got fewer than three tokens until the slot was free: the
/// one whose turn it was, and one while this looked. A host that is busy with others lets this look too late, so the
/// hang-up counts that was noticed soonest.
fn least_passed(stack: &HostStack, tokens: &AtomicUsize) -> Result<()> {
    let passed = (1..=6)
        .map(|index| hang_up(stack, tokens, index))
        .collect::<Result<Vec<_>>>()?;
    say(&format!(
        "tokens of the other client until the slot was free: {passed:?}"
    ));
    ensure!(
        passed.iter().any(|passed| *passed <= 2),
        "tokens of the other client until the slot was free: {passed:?}"
    );
    Ok(())
}

/// Hangs up after some tokens; returns how many the other client got until the slot was free.
fn hang_up(stack: &HostStack, tokens: &AtomicUsize, index: usize) -> Result<usize> {
    let mut stream = stack
        .admin()
        .stream(&greedy(SMOLLM2, "Tell me a long story.", 1000))?;
    stream.read_tokens(2 * index)?;
    let both = || Ok((stack.engine()?.active == 2).then_some(()));
    wait::until("both clients to be answered", DEADLINE, both)?;
    let before = tokens.load(Ordering::SeqCst);
    drop(stream);
    let freed = || Ok((stack.engine()?.active < 2).then(|| tokens.load(Ordering::SeqCst) - before));
    wait::until("a free slot", DEADLINE, freed)
}

/// Asks from many threads at once while the only slot is taken, and frees it when each waits in the queue or was refused.
fn crowd(stack: &HostStack) -> Result<Vec<Answer>> {
    let client = stack.admin();
    let mut first = client.stream(&greedy(TINY, "hello", UNREAD))?;
    first.read_tokens(1)?;
    let refused = AtomicUsize::new(0);
    let ask = || {
        let answer = client.post("/v1/chat/completions", &greedy(TINY, "hello", 100))?;
        refused.fetch_add(usize::from(answer.status() == 503), Ordering::SeqCst);
        Ok(answer)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CROWD).map(|_| scope.spawn(ask)).collect();
        let all_came = wait::until("the whole crowd", DEADLINE, || {
            let waiting = stack.engine()?.queued as usize;
            Ok((waiting + refused.load(Ordering::SeqCst) == CROWD).then_some(()))
        });
        drop(first);
        let answers = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?)
            .collect();
        all_came.and(answers)
    })
}
