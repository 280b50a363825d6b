//! The engine dies and the appliance goes on.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::client::brief;
use tests::wait;

use crate::guest::{Guest, MODEL};

const OTHERS: [&str; 2] = ["hearthd.service", "hearth-gateway.service"];
const ENGINE: &str = "hearth-inferd.service";

/// Kills inferd with SIGKILL after some tokens of a stream: the client gets an error event, the next request is answered
/// by a new process, and nothing else restarts.
pub(crate) fn engine_killed(guest: &mut Guest, tokens: usize) -> Result<String> {
    let before = OTHERS.map(|unit| guest.main_pid(unit));
    let restarts: u32 = guest.show(ENGINE, "NRestarts")?.parse()?;
    let mut stream = guest
        .client()
        .stream(&brief(MODEL, "Tell me a long story about a river.", 200))?;
    stream.read_tokens(tokens)?;
    let killed = guest.main_pid(ENGINE)?;
    guest.sudo(&format!("kill -KILL {killed}"))?;
    let error = stream.read_error()?;
    let answer = guest.client().chat(&brief(MODEL, "Say yes.", 2))?;
    ensure!(
        answer.usage.completion_tokens > 0,
        "an empty answer after the kill"
    );
    let now = guest.main_pid(ENGINE)?;
    ensure!(now != killed, "inferd was not killed");
    let counted = wait::until("systemd's count of the restart", Duration::from_secs(60), || {
        let count: u32 = guest.show(ENGINE, "NRestarts")?.parse()?;
        Ok((count > restarts).then_some(count))
    })?;
    for (unit, pid) in OTHERS.into_iter().zip(before) {
        let (pid, now) = (pid?, guest.main_pid(unit)?);
        ensure!(pid == now, "{unit} restarted: {pid} became {now}");
    }
    Ok(format!(
        "after {tokens} tokens: {:?}, then an answer; NRestarts {counted}",
        error.message
    ))
}
