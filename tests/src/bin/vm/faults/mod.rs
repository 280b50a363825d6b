//! `vm prove faults`: what goes wrong, when it is noticed, and when questions are answered again without anybody's hand.

mod disk;
mod engine;
mod memory;
mod models;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::rest::Status;
use tests::client::{Stream, brief};
use tests::report::{Report, say, seconds, table};
use tests::wait;

use crate::guest::{Guest, MODEL};
use crate::parts::Parts;

const ENGINE: &str = "hearth-inferd.service";
/// `MESSAGE_ID`s of hearthd: a run of the engine has failed, the engine is stuck.
const FAILED: &str = "6a4d1d7f0f6c4c0f8a4c2f1be0d7b702";
const STUCK: &str = "2b0f4a1a5d0e4b7a9b8e6f7d3c5a9e01";
/// How long the guest, emulated, may take to come back.
const PATIENCE: Duration = Duration::from_secs(180);

/// A fault, as it went.
#[derive(Debug, Default)]
pub(crate) struct Row {
    fault: &'static str,
    noticed_by: &'static str,
    /// By the guest's clock, from the fault to the line in the journal.
    noticed: Option<Duration>,
    /// By the host's clock, from the fault to the end of an answer.
    answered: Option<Duration>,
    note: String,
}

/// A way to break something, and what came of it.
pub(crate) type Fault = fn(&mut Guest) -> Result<Row>;

const ALL: [(&str, Fault); 12] = [
    ("SIGKILL in the middle of an answer", engine::killed),
    ("SIGSTOP in the middle of an answer", engine::stopped),
    (
        "the model's thread stuck in the middle of an answer",
        engine::stuck,
    ),
    (
        "SIGSTOP at rest, noticed by the next question",
        engine::stopped_at_rest,
    ),
    ("more memory wanted than MemoryMax", memory::past_the_limit),
    (
        "many processes that take all memory, in another unit",
        memory::hogs,
    ),
    (
        "a client that hangs up in the middle of an answer",
        engine::hung_up,
    ),
    ("an added model with a flipped byte", models::flipped),
    ("a prefill that lasts ten watchdog periods", engine::slow_prefill),
    ("/var read-only", disk::read_only),
    ("/var full", disk::full),
    (
        "a model with which the engine fails five times",
        models::quarantined,
    ),
];

/// Those of which every run of the tests sees the end.
pub(crate) const QUICK: [(&str, Fault); 2] = [
    (
        "an engine whose thread is stuck is ended, and answers again",
        engine::stuck,
    ),
    (
        "a model with which the engine fails five times is quarantined, and can be released",
        models::quarantined,
    ),
];

/// Boots a machine, breaks it in every way whose name has the words of `only` in it, and prints the table.
pub(crate) fn run(parts: &Parts, only: Option<&str>, report: &mut Report) -> Result<()> {
    let chosen = chosen(only)?;
    let (mut setup, _) = parts.flashed(String::new(), None)?;
    let mut machine = setup.boot(&[])?;
    let token = machine.wait_for_token()?;
    let mut guest = Guest { machine, token };
    let rows = play(&mut guest, &chosen, report);
    if !report.failures().is_empty() {
        guest.machine.collect_evidence()?;
        setup.keep();
        say(&format!("evidence is in {}", setup.folder().display()));
    }
    say("\n## Faults, noticed and mended without a hand (emulated guest, 2 processors, 2 GiB)\n");
    say("What the test itself has limited, it gives back.\n");
    say(&table(
        &[
            "fault",
            "noticed by",
            "noticed after",
            "answered again after",
            "seen",
        ],
        &rows.iter().map(Row::cells).collect::<Vec<_>>(),
    ));
    Ok(())
}

fn chosen(only: Option<&str>) -> Result<Vec<(&'static str, Fault)>> {
    let words = only.unwrap_or_default();
    let chosen: Vec<_> = ALL.into_iter().filter(|(name, _)| name.contains(words)).collect();
    let names = || ALL.map(|(name, _)| name).join("\n  ");
    ensure!(
        !chosen.is_empty(),
        "no fault has {words:?} in its name; there are:\n  {}",
        names()
    );
    Ok(chosen)
}

fn play(guest: &mut Guest, chosen: &[(&'static str, Fault)], report: &mut Report) -> Vec<Row> {
    let mut rows = Vec::new();
    for &(name, fault) in chosen {
        report.check(name, || {
            let row = breaks(guest, fault)?;
            let told = row.told();
            rows.push(Row { fault: name, ..row });
            Ok(told)
        });
    }
    rows
}

/// Breaks something as a check among others.
pub(crate) fn check(guest: &mut Guest, fault: Fault) -> Result<String> {
    Ok(breaks(guest, fault)?.told())
}

fn breaks(guest: &mut Guest, fault: Fault) -> Result<Row> {
    // Faults of several kinds with one model must not add up to its quarantine.
    guest.sudo("systemctl restart hearthd.service")?;
    answer(guest, MODEL)?;
    fault(guest)
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let time = |time: Option<Duration>| time.map_or_else(|| "–".to_owned(), seconds);
        vec![
            self.fault.to_owned(),
            self.noticed_by.to_owned(),
            time(self.noticed),
            time(self.answered),
            self.note.clone(),
        ]
    }

    fn told(&self) -> String {
        let cells = self.cells();
        format!(
            "{}: noticed after {}, answered after {}; {}",
            cells[1], cells[2], cells[3], cells[4]
        )
    }
}

/// A stream that has begun.
fn streaming(guest: &mut Guest, model: &str) -> Result<Stream> {
    let mut stream = guest
        .client()
        .stream(&brief(model, "Tell me a long story about a river.", 300))?;
    stream.read_tokens(3)?;
    Ok(stream)
}

fn answer(guest: &mut Guest, model: &str) -> Result<()> {
    let answer = guest.client().chat(&brief(model, "Say yes.", 2))?;
    ensure!(answer.usage.completion_tokens > 0, "an empty answer");
    Ok(())
}

/// Asks until there is an answer, as a patient client does.
fn answered(guest: &mut Guest, since: Instant) -> Result<Duration> {
    wait::until("an answer", PATIENCE, || Ok(answer(guest, MODEL).ok()))?;
    Ok(since.elapsed())
}

/// Does something as root; the guest's clock just before, in seconds since boot, and the host's.
fn break_it(guest: &mut Guest, command: &str) -> Result<(f64, Instant)> {
    let begin = Instant::now();
    let text = guest.sudo(&format!("cut -d ' ' -f 1 /proc/uptime; {command}"))?;
    let line = text.lines().next().unwrap_or_default();
    let uptime = line.parse().with_context(|| format!("uptime: {line:?}"))?;
    Ok((uptime, begin))
}

/// How long after that time hearthd first told this.
fn told(guest: &mut Guest, message: &str, since: f64) -> Result<Duration> {
    let command =
        format!("journalctl --boot --no-pager --output json --output-fields MESSAGE MESSAGE_ID={message}");
    wait::until("hearthd's word in the journal", PATIENCE, || {
        let text = guest.sudo(&command)?;
        let times = text.lines().filter_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).ok()?;
            let usec: f64 = entry["__MONOTONIC_TIMESTAMP"].as_str()?.parse().ok()?;
            Some(usec / 1e6)
        });
        let first = times.filter(|time| *time >= since).reduce(f64::min);
        Ok(first.map(|time| Duration::from_secs_f64(time - since)))
    })
}

fn status(guest: &mut Guest) -> Result<Status> {
    let text = guest.run("hearth status --json")?;
    serde_json::from_str(&text).with_context(|| format!("not a status: {text}"))
}
