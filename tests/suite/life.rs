//! The engine's life: it parks and ends when nobody wants anything, and no request is lost by that.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::openai::{ChatRequest, KeepAlive};
use tests::client::{Client, greedy};
use tests::cycles::{Cycles, Rest, asleep, sleepy};
use tests::host::{HostStack, Options, with_stack};
use tests::report::say;
use tests::wait;

use crate::models::{TINY, tiny_store};

/// Cycles of waking and ending; `just prove` has more.
const CYCLES: usize = 96;
/// Cycles of waking and parking, each a fifth as long.
const PARKINGS: usize = 192;
/// Requests of each client in a row.
const ROW: usize = 60;
/// What inferd says when it is about to look whether somebody is there, and when it has looked and ends.
const MOMENTS: [&str; 2] = [" parked ", " stopping "];
/// How long a state may take to come.
const SOON: Duration = Duration::from_secs(30);

fn with_options<T>(
    options: impl FnOnce(Options) -> Options,
    test: impl FnOnce(&mut HostStack) -> Result<T>,
) -> Result<T> {
    let store = tiny_store(1024)?;
    let tiny = Options::models(store.path()).inferd("--threads", 1);
    with_stack(&options(tiny), test)
}

/// Asks, and gives the answer's id.
fn ask(client: &Client) -> Result<String> {
    let answer = client.chat(&greedy(TINY, "Say yes.", 2))?;
    ensure!(answer.usage.completion_tokens > 0, "an empty answer");
    Ok(answer.id)
}

/// Has so many clients ask so many times each, all at once, and gives the ids of all answers.
fn crowd(stack: &HostStack, clients: usize, times: usize) -> Result<Vec<String>> {
    let client = stack.admin();
    std::thread::scope(|scope| {
        let row = || (0..times).map(|_| ask(&client)).collect::<Result<Vec<_>>>();
        let asking: Vec<_> = (0..clients).map(|_| scope.spawn(row)).collect();
        let mut ids = Vec::new();
        for asked in asking {
            ids.extend(asked.join().ok().context("a client panicked")??);
        }
        Ok(ids)
    })
}

/// That each of these was answered once, as inferd tells it.
fn answered_once(stack: &HostStack, ids: &[String]) -> Result<()> {
    let log = stack.inferd_log()?;
    let answered: Vec<_> = log.lines().filter(|line| line.contains(" answered ")).collect();
    ensure!(
        answered.len() == ids.len(),
        "{} answers to {} requests",
        answered.len(),
        ids.len()
    );
    let distinct: BTreeSet<_> = ids.iter().collect();
    ensure!(distinct.len() == ids.len(), "an answer came twice");
    Ok(())
}

#[test]
fn twenty_at_once_to_a_stopped_engine_are_all_answered() -> Result<()> {
    with_options(sleepy, |stack| {
        for _ in 0..3 {
            asleep(stack)?;
            let (before, starts) = (stack.inferd_log()?.len(), stack.inferd_starts());
            let ids = crowd(stack, 20, 1)?;
            let distinct: BTreeSet<_> = ids.iter().collect();
            ensure!(distinct.len() == 20, "{} answers", distinct.len());
            ensure!(stack.inferd_starts() > starts && stack.inferd_log()?.len() > before);
        }
        Ok(())
    })
}

/// Waits for one more such line of inferd's than there were, without a pause: what comes next comes in that moment.
fn moment(stack: &HostStack, line: &str, before: usize) -> Result<()> {
    let begun = Instant::now();
    while count(stack, line)? <= before {
        ensure!(begun.elapsed() < SOON, "inferd has not said{line}for {SOON:?}");
        std::thread::yield_now();
    }
    Ok(())
}

fn count(stack: &HostStack, line: &str) -> Result<usize> {
    Ok(stack.inferd_log()?.matches(line).count())
}

#[test]
fn requests_in_the_very_moment_of_the_exit_are_answered_once() -> Result<()> {
    with_options(sleepy, |stack| {
        let (client, mut ids) = (stack.admin(), Vec::new());
        for line in MOMENTS.into_iter().cycle().take(2 * ROW) {
            let before = count(stack, line)?;
            ids.push(ask(&client)?);
            moment(stack, line, before)?;
        }
        ids.extend(crowd(stack, 3, ROW)?);
        asleep(stack)?;
        answered_once(stack, &ids)?;
        let starts = stack.inferd_starts();
        say(&format!("{} requests, {starts} starts of the engine", ids.len()));
        ensure!(
            starts >= ROW,
            "the engine was started {starts} times: not each end was followed by a request"
        );
        Ok(())
    })
}

#[test]
fn waking_and_sleeping_loses_nothing_and_nothing_grows() -> Result<()> {
    with_options(sleepy, |stack| {
        let cycles = Cycles::run(stack, TINY, Rest::Ends, CYCLES)?;
        say(&cycles.table());
        cycles.must_not_grow()
    })
}

#[test]
fn parking_loses_nothing_and_nothing_grows_the_engine_least_of_all() -> Result<()> {
    with_options(
        |options| Rest::Parks.of(options),
        |stack| {
            let cycles = Cycles::run(stack, TINY, Rest::Parks, PARKINGS)?;
            say(&cycles.table());
            cycles.must_not_grow()
        },
    )
}

/// As Ollama has it: 0 lets the model go at once, a negative one keeps it, an empty conversation does no more than that.
#[test]
fn a_request_says_how_long_the_model_stays() -> Result<()> {
    with_options(
        |options| options.inferd("--keep-alive", "1h").inferd("--exit-idle", 0),
        |stack| {
            let request = |messages: bool, keep_alive| {
                let mut request: ChatRequest = greedy(TINY, "Say yes.", 2);
                request.keep_alive = Some(keep_alive);
                if !messages {
                    request.messages.clear();
                }
                request
            };
            stack.admin().chat(&request(true, KeepAlive::Seconds(-1.0)))?;
            let pid = stack.inferd_pid().context("inferd runs")?;
            let loaded = stack
                .admin()
                .chat(&request(false, KeepAlive::Text("30m".to_owned())))?;
            ensure!(loaded.usage.total_tokens == 0 && stack.inferd_pid() == Some(pid));
            stack.admin().chat(&request(false, KeepAlive::Seconds(0.0)))?;
            asleep(stack)?;
            stack
                .admin()
                .chat(&request(true, KeepAlive::Text("0s".to_owned())))?;
            asleep(stack)?;
            ensure!(stack.inferd_starts() == 2, "{} starts", stack.inferd_starts());
            Ok(())
        },
    )
}

#[test]
fn what_is_set_of_a_model_is_heeded_and_shown() -> Result<()> {
    with_options(
        |options| options.inferd("--keep-alive", 0).inferd("--exit-idle", 0),
        |stack| {
            let address = stack.local_socket();
            let hearth = |arguments: &[&str]| -> Result<String> {
                let mut command = stack.hearth()?;
                tests::process::output(command.arg("--socket").arg(&address).args(arguments))
            };
            let set = hearth(&["model", "set", TINY, "--pin", "--context", "128"])?;
            ensure!(set.contains("pinned, context 128"), "{set}");
            ensure!(hearth(&["model", "list"])?.contains("pinned"));
            let long = ChatRequest {
                max_tokens: None,
                ..greedy(TINY, "Say yes.", 1)
            };
            let usage = stack.admin().chat(&long)?.usage;
            ensure!(usage.total_tokens == 128, "{usage:?}");
            for _ in 0..10 {
                ask(&stack.admin())?;
            }
            let log = stack.inferd_log()?;
            ensure!(
                !log.contains(" parked ") && stack.inferd_starts() == 1,
                "it is pinned"
            );
            hearth(&["model", "set", TINY, "--no-pin"])?;
            stack.admin().chat(&greedy(TINY, "Say yes.", 2))?;
            asleep(stack)
        },
    )
}

#[test]
fn an_idle_engine_parks_and_answers_again_until_its_time_has_come() -> Result<()> {
    with_options(
        |options| options.inferd("--keep-alive", 0).inferd("--exit-idle", "1h"),
        |stack| {
            for parked in 1..=2 {
                ask(&stack.admin())?;
                wait::until("parking", SOON, || {
                    Ok((count(stack, MOMENTS[0])? == parked).then_some(()))
                })?;
            }
            ensure!(stack.inferd_starts() == 1, "{} starts", stack.inferd_starts());
            Ok(())
        },
    )?;
    with_options(
        |options| options.inferd("--keep-alive", 0).inferd("--exit-idle", 1),
        |stack| {
            ask(&stack.admin())?;
            asleep(stack)?;
            ensure!(count(stack, MOMENTS[0])? == 1, "it has not parked before");
            ask(&stack.admin()).map(drop)
        },
    )
}
