//! The engine dies in the middle of answers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tests::client::brief;
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

/// Here nobody ends it, as there is no systemd on the suite's bus; the journal's line is what comes before that.
#[test]
fn an_engine_that_is_stopped_in_the_middle_of_an_answer_is_known_to_be_stuck() -> Result<()> {
    with_tiny(8192, 2, |stack| {
        let mut stream = stack.admin().stream(&brief(TINY, "a long story", 6000))?;
        stream.read_tokens(3)?;
        let pid = stack.inferd_pid().context("inferd does not run")?;
        send(pid, Signal::SIGSTOP)?;
        let told = wait::until("hearthd's word", Duration::from_secs(60), || {
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
