//! `vm up`: from nothing to an answer.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use tests::client::greedy;
use tests::report::{say, seconds, step};
use tests::vm::{Machine, Setup};
use tests::wait;

use crate::guest::MODEL;
use crate::parts::Parts;

/// The longest answer to the question.
const TOKENS: u32 = 64;

/// Boots the image, asks, prints everything needed to go on, and waits for Ctrl-C unless it is for `once`.
pub(crate) fn run(parts: impl FnOnce() -> Result<Parts>, question: &str, once: bool) -> Result<ExitCode> {
    let start = Instant::now();
    let parts = parts()?;
    let mut setup = parts.copied()?;
    let result = show(&setup, question, start);
    if result.is_err() {
        setup.keep();
        say(&format!(
            "what the guest wrote is in {}",
            setup.folder().display()
        ));
    }
    let machine = result?;
    if !once {
        say("\nThe machine runs until Ctrl-C.");
        wait::for_interrupt()?;
    }
    step("shut the machine down", || machine.power_off())?;
    Ok(ExitCode::SUCCESS)
}

fn show(setup: &Setup, question: &str, start: Instant) -> Result<Machine> {
    let credentials = [setup.keys().credential()];
    let mut machine = step("boot, until the gateway answers", || setup.boot(&credentials))?;
    let token = step("read the first token from the console", || {
        machine.wait_for_token()
    })?;
    let answer = step("ask over REST", || {
        let client = machine.client().with_token(&token);
        let mut stream = client.stream(&greedy(MODEL, question, TOKENS))?;
        let first = stream.read_tokens(1)?;
        say(&format!(
            "     first token {} after QEMU's start",
            seconds(machine.started().elapsed())
        ));
        Ok(first + &stream.read_all()?)
    })?;
    let (url, authority) = (machine.url(), machine.authority());
    say(&format!(
        "\n{question}\n{}\n\nanswer after {}",
        answer.trim(),
        seconds(start.elapsed())
    ));
    say(&format!(
        "URL    {url}\ntrust  {}\ntoken  {token}\nSSH    {}",
        authority.display(),
        setup.ssh_command(&machine)
    ));
    say(&format!(
        "try    HEARTH_TOKEN={token} hearth --host {url} --ca {} ask \"Why is the sky blue?\"",
        authority.display()
    ));
    Ok(machine)
}
