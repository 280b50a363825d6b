//! The engine's life in the guest: it ends when nobody wants anything, its socket stays, and the next request wakes it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::client::greedy;
use tests::oracle::Answer;
use tests::report::seconds;
use tests::wait;

use crate::checks::answers;
use crate::guest::{Guest, MODEL};

const SERVICE: &str = "hearth-inferd.service";
const SOCKET: &str = "hearth-inferd.socket";
/// Where the engine is told to end as soon as it has answered. It goes with the next boot.
const DROP_IN: &str = "/run/systemd/system/hearth-inferd.service.d";
/// How long the engine may take to end. Generous: an emulated guest is slow.
const ASLEEP: Duration = Duration::from_secs(120);
/// Requests at once.
const CROWD: usize = 20;

/// How long the first text of a request took that woke the engine, and where the time went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wake {
    /// From the request to the first text, as the client saw it.
    pub(crate) total: Duration,
    /// Until the model was asked for: the gateway, systemd, and the process's own start.
    pub(crate) start: Duration,
    /// Until the model was there.
    pub(crate) load: Duration,
    /// Until the prompt was read and the first text made.
    pub(crate) prefill: Duration,
}

/// Runs checks with an engine that ends when it has answered, and has it as it was after that.
pub(crate) fn sleepy<T>(guest: &mut Guest, checks: impl FnOnce(&mut Guest) -> Result<T>) -> Result<T> {
    let setting = r"[Service]\nEnvironment=HEARTH_KEEP_ALIVE=0 HEARTH_EXIT_IDLE=0\n";
    guest.sudo(&format!(
        "mkdir -p {DROP_IN} && printf '{setting}' > {DROP_IN}/sleepy.conf && systemctl daemon-reload && \
         systemctl stop {SERVICE}"
    ))?;
    let outcome = checks(guest);
    let restored = guest.sudo(&format!("rm {DROP_IN}/sleepy.conf && systemctl daemon-reload"));
    let value = outcome?;
    restored?;
    Ok(value)
}

/// The engine ends of itself and in order, its socket stays, and the next request is answered.
pub(crate) fn sleeps_and_wakes(guest: &mut Guest, expected: &Answer) -> Result<String> {
    sleepy(guest, |guest| {
        answers::first_token(guest, expected)?;
        asleep(guest)?;
        let wake = wake(guest, expected)?;
        Ok(format!(
            "first text {} after the request: start {}, load {}, prefill {}",
            seconds(wake.total),
            seconds(wake.start),
            seconds(wake.load),
            seconds(wake.prefill)
        ))
    })
}

/// Asks a stopped engine, whose answer must be the expected one.
pub(crate) fn wake(guest: &mut Guest, expected: &Answer) -> Result<Wake> {
    asleep(guest)?;
    let total = answers::first_token(guest, expected)?.since_request;
    asleep(guest)?;
    let journal = guest.sudo(&format!(
        "journalctl --unit {SERVICE} --output cat --no-pager --lines 40"
    ))?;
    let line = journal.lines().rfind(|line| line.contains(" answered "));
    let line = line.context("the journal does not tell of the answer")?;
    let field = |name: &str| {
        let value = line
            .split_whitespace()
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        let milliseconds = value.with_context(|| format!("no {name} in {line:?}"))?;
        Ok::<_, anyhow::Error>(Duration::from_millis(milliseconds.parse()?))
    };
    field("start_ms").context("the engine was there already")?;
    Ok(Wake {
        total,
        start: total.saturating_sub(field("time_to_first_text_ms")?),
        load: field("load_ms")?,
        prefill: field("prefill_ms")?,
    })
}

/// Twenty requests at once to a stopped engine.
pub(crate) fn crowd(guest: &mut Guest) -> Result<String> {
    asleep(guest)?;
    let client = guest.client();
    let answered = std::thread::scope(|scope| {
        let ask = || client.chat(&greedy(MODEL, "Say yes.", 2));
        let asking: Vec<_> = (0..CROWD).map(|_| scope.spawn(ask)).collect();
        let mut tokens = Vec::new();
        for asked in asking {
            let answer = asked.join().ok().context("a client panicked")??;
            tokens.push(answer.usage.completion_tokens);
        }
        Ok::<_, anyhow::Error>(tokens)
    })?;
    ensure!(
        answered.len() == CROWD && answered.iter().all(|&tokens| tokens > 0),
        "{answered:?}"
    );
    Ok(format!("{CROWD} answered"))
}

/// Waits until the engine has ended, which must be in order and leave the socket.
fn asleep(guest: &mut Guest) -> Result<()> {
    wait::until("the engine's end", ASLEEP, || {
        Ok((guest.show(SERVICE, "ActiveState")? == "inactive").then_some(()))
    })?;
    let result = guest.show(SERVICE, "Result")?;
    ensure!(result == "success", "{SERVICE} ended with {result}");
    let socket = guest.show(SOCKET, "SubState")?;
    ensure!(socket == "listening", "{SOCKET} is {socket}");
    Ok(())
}
