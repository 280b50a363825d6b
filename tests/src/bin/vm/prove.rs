//! `vm prove`: the long tables, each figure measured in this run.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use image::flash::{Flashed, Token};
use tests::host::{self, Options, with_stack};
use tests::kills::{Kill, Kills, seed};
use tests::oracle::Answer;
use tests::python::{OpenAi, Reply};
use tests::questions::QUESTIONS;
use tests::report::{Report, say, seconds, step, table};
use tests::vm::{Setup, token_on};

use crate::checks::{answers, life, memory, models, sandbox, settled};
use crate::disks;
use crate::faults;
use crate::guest::{Guest, MODEL};
use crate::parts::Parts;
use crate::quiet;
use crate::reset;
use crate::thermal::{self, Wanted};

/// Most tokens of an answer.
const TOKENS: u32 = 32;
/// Times that a stopped engine is woken.
const WAKES: usize = 5;
/// A slow stick or card reader, bytes a second.
const RATE: u64 = 40_000_000;
/// The goal from the first byte written to the first token.
const DEPLOY_GOAL: Duration = Duration::from_secs(15 * 60);

/// A table that can be had alone.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Part {
    /// Used memory after answers, at two sizes of memory, and who holds it
    Memory,
    /// From a stopped engine to the first text, and twenty requests at once
    Waking,
    /// A factory reset, and what is left after it
    Reset,
    /// A stick and an internal disk of the same version in one machine, and a factory reset of the stick
    Disks,
    /// What goes wrong, when it is noticed, and when questions are answered again
    Faults,
}

/// Measures, prints, and fails if an answer differs or a goal is missed.
pub(crate) fn run(parts: &Parts, what: Option<Part>, only: Option<&str>) -> Result<ExitCode> {
    ensure!(
        only.is_none() || matches!(what, Some(Part::Faults)),
        "--only chooses among the faults: vm prove faults --only WORDS"
    );
    let mut report = Report::new();
    match what {
        Some(Part::Memory) => quiet::run(parts, &mut report)?,
        Some(Part::Waking) => waking_alone(parts, &mut report)?,
        Some(Part::Reset) => reset::run(parts, &mut report)?,
        Some(Part::Disks) => disks::run(parts, &mut report)?,
        Some(Part::Faults) => faults::run(parts, only, &mut report)?,
        None => all(parts, &mut report)?,
    }
    Ok(report.finish())
}

fn all(parts: &Parts, report: &mut Report) -> Result<()> {
    sizes(parts)?;
    kills(parts, report)?;
    let questions: Vec<&str> = QUESTIONS.iter().flat_map(|question| question.wordings).collect();
    let expected = parts.oracle(&questions, TOKENS)?;
    let token = Token::new()?;
    let (mut setup, flashed) = parts.flashed(token.hash_line(), Some(RATE))?;
    if let Err(error) = in_the_guest(parts, &setup, flashed, &token, &expected, report) {
        report.record("the run goes to its end", Duration::ZERO, Err(error));
    }
    if !report.failures().is_empty() {
        setup.keep();
        say(&format!("evidence is in {}", setup.folder().display()));
    }
    drop(setup);
    quiet::run(parts, report)?;
    reset::run(parts, report)?;
    disks::run(parts, report)?;
    faults::run(parts, None, report)?;
    heat(parts, report)
}

/// The scenarios of heat and power, each figure beside what is asked of it.
fn heat(parts: &Parts, report: &mut Report) -> Result<()> {
    let figures = thermal::run(parts, &Wanted::all(), report)?;
    title("Heat and power in a simulated machine, time constants a tenth of a real one's");
    say(&thermal::table(&figures));
    Ok(())
}

pub(crate) fn title(words: &str) {
    say(&format!("\n## {words}\n"));
}

fn sizes(parts: &Parts) -> Result<()> {
    let sizes = parts.sizes()?;
    title("Size of the image");
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / 1_048_576.0);
    let mut rows = vec![
        vec!["raw, holes counted".to_owned(), mib(sizes.apparent)],
        vec!["raw, as it lies on the disk".to_owned(), mib(sizes.allocated)],
    ];
    rows.extend(sizes.compressed.map(|bytes| vec!["zstd".to_owned(), mib(bytes)]));
    say(&table(&["form", "size"], &rows));
    Ok(())
}

/// Twenty kills of the host's own build, with the real model.
fn kills(parts: &Parts, report: &mut Report) -> Result<()> {
    step("build the daemons", host::build)?;
    title("inferd killed at 20 random tokens, on this host");
    let store = host::store_with(MODEL, &parts.model)?;
    let options = Options::models(store.path());
    let kills = Kills {
        model: MODEL,
        count: 20,
        longest: 40,
        answer: 400,
    };
    let mut rows = Vec::new();
    report.check("20 kills, each with an error event and an answer after", || {
        let seen = |kill: Kill| rows.push(vec![kill.tokens.to_string(), kill.error]);
        with_stack(&options, |stack| kills.run(stack, seed()?, seen))?;
        Ok("hearthd and the gateway ran on".to_owned())
    });
    say(&table(&["after tokens", "what the client was told"], &rows));
    Ok(())
}

fn in_the_guest(
    parts: &Parts,
    setup: &Setup,
    flashed: Flashed,
    token: &Token,
    expected: &[Answer],
    report: &mut Report,
) -> Result<()> {
    let machine = step("boot the flashed disk", || setup.boot(&[]))?;
    let mut guest = Guest {
        machine,
        token: token.text.clone(),
    };
    let first = expected.first().context("no question")?;
    report.check("from the first byte to the first token", || {
        deploy(&mut guest, setup, flashed, first)
    });
    report.check("no token on the console, for one was on CONFIG", || {
        ensure!(token_on(&guest.machine.console()?).is_none(), "one was made");
        Ok(String::new())
    });
    report.check("no unit has failed", || settled::no_failed_units(&mut guest));
    figures(&mut guest)?;
    waking(&mut guest, first, report)?;
    report.check("ten questions by three ways are answered as on the host", || {
        conversation(parts, &mut guest, expected)
    });
    if !report.failures().is_empty() {
        guest.machine.collect_evidence()?;
    }
    report.check("the power button", || {
        Ok(format!("off after {}", seconds(guest.machine.power_off()?)))
    });
    Ok(())
}

fn deploy(guest: &mut Guest, setup: &Setup, flashed: Flashed, first: &Answer) -> Result<String> {
    let answered = guest.machine.answered();
    let first_token = answers::first_token(guest, first)?;
    let total = flashed.write_time + flashed.verify_time + first_token.since_start;
    title(&format!(
        "From the first byte to the first token (guest on {:?}, 2 processors, 2 GiB)",
        setup.accel()
    ));
    let written = format!(
        "write {:.0} MB at {} MB/s",
        flashed.written as f64 / 1e6,
        RATE / 1_000_000
    );
    let rows = [
        (written.as_str(), flashed.write_time),
        ("read it back and compare", flashed.verify_time),
        ("from QEMU's start until the gateway answers", answered),
        ("from QEMU's start to the first token", first_token.since_start),
        ("from the request to the first token", first_token.since_request),
        ("together", total),
    ];
    say(&table(
        &["what", "time"],
        &rows.map(|(what, time)| vec![what.to_owned(), seconds(time)]),
    ));
    ensure!(
        total < DEPLOY_GOAL,
        "{} is more than the goal of {}",
        seconds(total),
        seconds(DEPLOY_GOAL)
    );
    Ok(format!(
        "{}, the goal is {}",
        seconds(total),
        seconds(DEPLOY_GOAL)
    ))
}

/// A guest for nothing but [`waking`].
fn waking_alone(parts: &Parts, report: &mut Report) -> Result<()> {
    let expected = parts.oracle(&[QUESTIONS[0].wordings[0]], TOKENS)?;
    let token = Token::new()?;
    let (setup, _) = parts.flashed(token.hash_line(), None)?;
    let machine = step("boot the flashed disk", || setup.boot(&[]))?;
    let mut guest = Guest {
        machine,
        token: token.text,
    };
    waking(
        &mut guest,
        expected.first().context("the oracle is silent")?,
        report,
    )
}

/// From a stopped engine to the first text, and twenty requests that wake it together.
fn waking(guest: &mut Guest, expected: &Answer, report: &mut Report) -> Result<()> {
    let wakes: Vec<life::Wake> = life::sleepy(guest, |guest| {
        let wakes = (0..WAKES)
            .map(|_| life::wake(guest, expected))
            .collect::<Result<_>>();
        report.check("20 requests at once to a stopped engine", || life::crowd(guest));
        wakes
    })?;
    title("From the request to the first text, the engine stopped before");
    let rows = wakes.iter().map(|wake| {
        let parts = [wake.start, wake.load, wake.prefill, wake.total];
        parts.map(seconds).to_vec()
    });
    let header = ["until the engine has the request", "load", "prefill", "together"];
    say(&table(&header, &rows.collect::<Vec<_>>()));
    Ok(())
}

/// Memory and exposure.
fn figures(guest: &mut Guest) -> Result<()> {
    let loaded = memory::used_mib(guest)?;
    let daemons = memory::pss_mib(guest)?;
    let engine = models::memory(guest)?;
    guest.sudo("systemctl stop hearth-inferd.service")?;
    let idle = memory::used_mib(guest)?;
    title("Memory");
    let mut rows = vec![
        vec![
            "guest, used (MemTotal − MemAvailable), engine not running".to_owned(),
            format!("{idle:.0} MiB"),
        ],
        vec![
            "guest, used, model loaded and idle".to_owned(),
            format!("{loaded:.0} MiB"),
        ],
    ];
    rows.extend(
        daemons
            .iter()
            .map(|(unit, mib)| vec![format!("PSS of {unit}"), format!("{mib:.1} MiB")]),
    );
    rows.extend(
        engine
            .rows()
            .map(|(what, mib)| vec![format!("hearth-inferd.service: {what}"), format!("{mib:.1} MiB")]),
    );
    say(&table(&["what", "memory"], &rows));
    title("systemd-analyze security, in the guest");
    let rows = sandbox::exposures(guest)?
        .into_iter()
        .map(|one| [one.unit.to_owned(), one.seen.to_string(), one.limit.to_string()].to_vec());
    let rows: Vec<_> = rows.collect();
    say(&table(&["unit", "exposure", "limit"], &rows));
    Ok(())
}

/// Every question in both wordings, by `hearth ask` over SSH and by OpenAI's client whole and streamed.
fn conversation(parts: &Parts, guest: &mut Guest, expected: &[Answer]) -> Result<String> {
    let client = OpenAi::ensure(&parts.paths)?;
    let start = Instant::now();
    let replies = step(
        "ask all questions through OpenAI's client, whole and streamed",
        || answers::through_openai(guest, &client, expected, TOKENS),
    )?;
    let typed: Vec<String> = step("ask all questions over SSH", || {
        expected
            .iter()
            .map(|answer| answers::ask_over_ssh(guest, &answer.question, TOKENS))
            .collect()
    })?;
    let mut rows = Vec::new();
    let mut differing = Vec::new();
    for ((answer, reply), typed) in expected.iter().zip(&replies).zip(&typed) {
        let verdicts = verdicts(answer, typed, reply);
        differing.extend(
            verdicts
                .iter()
                .filter(|same| !**same)
                .map(|_| answer.question.clone()),
        );
        rows.push(row(answer, verdicts));
    }
    title(&format!(
        "Ten questions, greedy, at most {TOKENS} tokens, in {}",
        seconds(start.elapsed())
    ));
    let header = [
        "question",
        "the host's own answer",
        "tokens",
        "hearth ask over SSH",
        "openai",
        "openai, streamed",
    ];
    say(&table(&header, &rows));
    if !differing.is_empty() {
        bail!("{} answers differ: {}", differing.len(), differing.join("; "));
    }
    let version = replies
        .first()
        .map(|reply| reply.client.clone())
        .unwrap_or_default();
    Ok(format!("{} answers, openai {version}", 3 * expected.len()))
}

fn verdicts(expected: &Answer, typed: &str, reply: &Reply) -> [bool; 3] {
    [typed, &reply.text, &reply.streamed].map(|text| answers::same(text, expected).is_ok())
}

fn row(answer: &Answer, verdicts: [bool; 3]) -> Vec<String> {
    let text = answer.text.replace('\n', " ⏎ ").replace('|', "\\|");
    let said = [answer.question.clone(), text, answer.tokens.len().to_string()];
    said.into_iter()
        .chain(verdicts.map(|same| if same { "equal" } else { "DIFFERS" }.to_owned()))
        .collect()
}
