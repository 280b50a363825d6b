//! The engine dies in the middle of answers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use machine::Phase;
use nix::sys::signal::Signal;
use tests::client::{Stream, brief};
use tests::host::HostStack;
use tests::kills::{Kills, seed};
use tests::process::send;
use tests::wait;

use crate::models::{TINY, with_tiny};

#[test]
fn twenty_kills_at_random_tokens_cost_one_answer_each() -> Result<()> {
    let kills = Kills {
        model: TINY,
        count: 20,
        longest: 400,
        answer: 6000,
    };
    with_tiny(8192, 2, |stack| kills.run(stack, seed()?, |_| {}))
}

/// Longer than anything takes that is waited for here.
const SOON: Duration = Duration::from_secs(60);

/// Stops the engine in the middle of an answer.
fn stopped(stack: &HostStack) -> Result<Stream> {
    let mut stream = stack.admin().stream(&brief(TINY, "a long story", 6000))?;
    stream.read_tokens(200)?;
    send(
        stack.inferd_pid().context("inferd does not run")?,
        Signal::SIGSTOP,
    )?;
    Ok(stream)
}

/// Whether the engine generates, as far as hearthd has heard.
fn is_known_to_generate(stack: &HostStack) -> Result<bool> {
    let samples = stack.samples()?;
    let heard = samples.last().and_then(|sample| sample.engine.as_ref());
    Ok(heard.is_some_and(|engine| engine.phase == Phase::Decode))
}

/// Here nobody ends it, as there is no systemd on the suite's bus; the journal's line is what comes before that. So small a
/// model is ahead of its reader now and then, and rests until he follows: stopped in such a moment it goes on, and is stopped
/// in another answer, for hearthd watches only who works.
#[test]
fn an_engine_that_is_stopped_in_the_middle_of_an_answer_is_known_to_be_stuck() -> Result<()> {
    with_tiny(8192, 2, |stack| {
        let mut stream = stopped(stack)?;
        let pid = stack.inferd_pid().context("inferd does not run")?;
        let told = wait::until("hearthd's word", SOON, || {
            if !is_known_to_generate(stack)? {
                send(pid, Signal::SIGCONT)?;
                stream = stopped(stack)?;
            }
            let log = stack.hearthd_log()?;
            let line = log.lines().find(|line| line.contains("the engine is stuck"));
            Ok(line.map(str::to_owned))
        });
        send(pid, Signal::SIGKILL)?;
        let told = told?;
        ensure!(told.contains("decode stood still"), "hearthd says {told}");
        stream.read_error()?;
        let answer = stack.admin().chat(&brief(TINY, "hello", 2))?;
        ensure!(answer.usage.completion_tokens > 0, "an empty answer");
        Ok(())
    })
}
