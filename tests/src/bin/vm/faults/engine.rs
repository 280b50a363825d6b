//! The engine ends, stands still, or is only slow.

use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::client::{Stream, greedy};
use tests::report::seconds;
use tests::wait;

use super::{ENGINE, FAILED, PATIENCE, Row, STUCK, answered, break_it, status, streaming, told};
use crate::guest::{Guest, MODEL};

/// The watchdog's shortest time, in seconds: `PATIENCE_USEC` of hearthd's law.
const WATCHDOG: f64 = 8.0;
/// The longest that it may take in the guest, where all takes longer.
const NOTICED: Duration = Duration::from_secs(5 * WATCHDOG as u64);
/// Where a helper is put that holds a thread, in memory: it must not stay.
const HELPER: &str = "/run/hold";

pub(super) fn killed(guest: &mut Guest) -> Result<Row> {
    let mut stream = streaming(guest, MODEL)?;
    let pid = guest.main_pid(ENGINE)?;
    let (since, begin) = break_it(guest, &format!("kill -KILL {pid}"))?;
    let error = stream.read_error()?;
    let answered = answered(guest, begin)?;
    Ok(Row {
        noticed_by: "systemd, hearthd counts it",
        noticed: Some(told(guest, FAILED, since)?),
        answered: Some(answered),
        note: format!("the client was told: {}", error.message),
        ..Row::default()
    })
}

pub(super) fn stopped(guest: &mut Guest) -> Result<Row> {
    let stream = streaming(guest, MODEL)?;
    let pid = guest.main_pid(ENGINE)?;
    let (since, begin) = break_it(guest, &format!("kill -STOP {pid}"))?;
    ended_as_stuck(guest, since, begin, stream)
}

pub(super) fn stuck(guest: &mut Guest) -> Result<Row> {
    bring_helper(guest)?;
    let stream = streaming(guest, MODEL)?;
    let pid = guest.main_pid(ENGINE)?;
    let hold = format!("systemd-run --quiet --collect --unit hold {HELPER} hold {pid} model");
    let (since, begin) = break_it(guest, &hold)?;
    let row = ended_as_stuck(guest, since, begin, stream);
    guest.sudo(&format!("rm {HELPER}"))?;
    row
}

fn ended_as_stuck(guest: &mut Guest, since: f64, begin: Instant, mut stream: Stream) -> Result<Row> {
    let error = stream.read_error()?;
    let answered = answered(guest, begin)?;
    let noticed = told(guest, STUCK, since)?;
    ensure!(
        noticed <= NOTICED,
        "the watchdog took {} to notice",
        seconds(noticed)
    );
    Ok(Row {
        noticed_by: "hearthd's watchdog",
        noticed: Some(noticed),
        answered: Some(answered),
        note: format!("the client was told: {}", error.message),
        ..Row::default()
    })
}

/// Puts this program into the guest: it can hold a thread.
fn bring_helper(guest: &mut Guest) -> Result<()> {
    let own = File::open(std::env::current_exe()?).context("this program cannot be read")?;
    let put = format!("sudo sh -c 'cat > {HELPER} && chmod 755 {HELPER}'");
    guest.ssh()?.run_with(&put, own)?;
    Ok(())
}

pub(super) fn stopped_at_rest(guest: &mut Guest) -> Result<Row> {
    let pid = guest.main_pid(ENGINE)?;
    let (since, begin) = break_it(guest, &format!("kill -STOP {pid}"))?;
    let answered = answered(guest, begin)?;
    Ok(Row {
        noticed_by: "hearthd asks when a question is announced",
        noticed: Some(told(guest, STUCK, since)?),
        answered: Some(answered),
        ..Row::default()
    })
}

pub(super) fn hung_up(guest: &mut Guest) -> Result<Row> {
    let stream = streaming(guest, MODEL)?;
    let pid = guest.main_pid(ENGINE)?;
    drop(stream);
    let begin = Instant::now();
    let freed = wait::until("a free slot", PATIENCE, || {
        let engine = status(guest)?.sample.and_then(|sample| sample.engine);
        Ok(engine
            .filter(|engine| engine.active == 0)
            .map(|_| begin.elapsed()))
    })?;
    let answered = answered(guest, begin)?;
    ensure!(guest.main_pid(ENGINE)? == pid, "the engine was restarted for it");
    Ok(Row {
        noticed_by: "the engine, before its next token",
        noticed: Some(freed),
        answered: Some(answered),
        note: "as hearth status shows it over SSH".to_owned(),
        ..Row::default()
    })
}

pub(super) fn slow_prefill(guest: &mut Guest) -> Result<Row> {
    let restarts = guest.show(ENGINE, "NRestarts")?;
    let pid = guest.main_pid(ENGINE)?;
    let mut words = 300;
    loop {
        let begin = Instant::now();
        // Another beginning each time: what was run before is not run again.
        let question = format!("{words} {}", "river stone ".repeat(words));
        let mut stream = guest
            .client()
            .with_limit(Duration::from_secs(400))
            .stream(&greedy(MODEL, &question, 1))?;
        while stream.next_event()?.is_some() {}
        let took = begin.elapsed();
        ensure!(
            guest.main_pid(ENGINE)? == pid,
            "the engine was ended in its prefill"
        );
        if took.as_secs_f64() >= 10.0 * WATCHDOG {
            ensure!(
                guest.show(ENGINE, "NRestarts")? == restarts,
                "the engine was restarted"
            );
            return Ok(Row {
                noticed_by: "nobody: it is not stuck",
                answered: Some(took),
                note: format!(
                    "{} watchdog periods of {WATCHDOG} s",
                    (took.as_secs_f64() / WATCHDOG) as u32
                ),
                ..Row::default()
            });
        }
        words *= 2;
        ensure!(
            words <= 1500,
            "a prompt of {words} words takes only {}",
            seconds(took)
        );
    }
}
