//! Several clients, and clients that go away.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use api::openai::ErrorBody;
use tests::client::{Answer, Client, greedy, said};
use tests::host::{Options, with_stack};
use tests::report::say;

use crate::models::{TINY, tiny};

/// More clients than any queue has room for.
const CROWD: usize = 96;

#[test]
fn two_clients_at_once_both_get_what_each_gets_alone() -> Result<()> {
    let models = tiny(2048)?;
    with_stack(&Options::models(models.path()), |stack| {
        let requests = ["one", "two"].map(|question| greedy(TINY, question, 200));
        let alone = requests.each_ref().map(|request| stack.admin().chat(request));
        let client = stack.admin();
        let streams = requests.each_ref().map(|request| client.stream(request));
        let [mut first, mut second] = streams.map(|stream| stream.context("a stream"));
        let (first, second) = (first.as_mut().map_err(told)?, second.as_mut().map_err(told)?);
        // Each has begun before the other has ended.
        let (mut a, mut b) = (first.read_tokens(5)?, second.read_tokens(5)?);
        ensure!(
            stack.engine()?.active == 2,
            "not both are being answered: {:?}",
            stack.engine()?
        );
        a.push_str(&first.read_all()?);
        b.push_str(&second.read_all()?);
        for (together, alone) in [a, b].iter().zip(alone) {
            ensure!(together == said(&alone?)?, "together: {together:?}");
        }
        Ok(())
    })
}

fn told(error: &mut anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

#[test]
fn a_full_queue_is_503_with_the_time_to_come_back() -> Result<()> {
    let models = tiny(2048)?;
    with_stack(&Options::models(models.path()).inferd("--slots", 1), |stack| {
        let answers = crowd(&stack.admin())?;
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

/// Asks from many threads at once.
fn crowd(client: &Client) -> Result<Vec<Answer>> {
    let ask = || client.post("/v1/chat/completions", &greedy(TINY, "hello", 300));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CROWD).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
            .collect()
    })
}
