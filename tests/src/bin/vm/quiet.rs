//! How much memory is used while nothing is asked, by Hearth's one definition, and who holds it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::memory::MemoryUse;
use image::flash::Token;
use machine::{Bytes, CgroupStat, UsedParts};
use tests::oracle::Answer;
use tests::questions::QUESTIONS;
use tests::report::{Report, say, table};
use tests::wait;

use crate::checks::answers;
use crate::guest::Guest;
use crate::parts::Parts;
use crate::prove::title;

/// Memory of the guests, MiB: as little as a test has, and what a mini PC has.
const GUESTS: [u32; 2] = [2048, 8192];
/// Times that each guest is woken by a question and left alone again.
const CYCLES: usize = 5;
/// How long after the last answer it is looked.
const QUIET: Duration = Duration::from_secs(60);
/// The same after the engine's end.
const AFTER_END: Duration = Duration::from_secs(15);
/// Most tokens of an answer.
const TOKENS: u32 = 16;
/// Control groups in the table of who holds what.
const UNITS: usize = 12;
const ENGINE: &str = "hearth-inferd.service";

/// What one cycle came to.
struct Cycle {
    /// A minute after the answer.
    quiet: MemoryUse,
    /// Whether the engine still ran then.
    runs: bool,
    /// When it had ended, by itself or because it was asked to.
    ended: MemoryUse,
}

/// Wakes guests, lets them rest, and fails where more is used than the goal permits.
pub(crate) fn run(parts: &Parts, report: &mut Report) -> Result<()> {
    let expected = parts.oracle(&[QUESTIONS[0].wordings[0]], TOKENS)?;
    let expected = expected.first().context("the oracle is silent")?;
    for mib in GUESTS {
        report.check(&format!("memory while nothing is asked, of {mib} MiB"), || {
            guest(parts, mib, expected)
        });
    }
    Ok(())
}

fn guest(parts: &Parts, mib: u32, expected: &Answer) -> Result<String> {
    let token = Token::new()?;
    let (mut setup, _) = parts.flashed(token.hash_line(), None)?;
    setup.set_memory(mib);
    let mut guest = Guest {
        machine: setup.boot(&[])?,
        token: token.text,
    };
    // Its listener and a session stay, for an administrator who looks on is to be no exception.
    guest.ssh()?;
    let cycles: Vec<Cycle> = (0..CYCLES)
        .map(|_| cycle(&mut guest, expected))
        .collect::<Result<_>>()?;
    print(mib, &cycles)?;
    verdict(&cycles)
}

fn cycle(guest: &mut Guest, expected: &Answer) -> Result<Cycle> {
    answers::first_token(guest, expected)?;
    let answered = Instant::now();
    wait::pass(QUIET.saturating_sub(answered.elapsed()));
    let quiet = memory(guest)?;
    let runs = guest.show(ENGINE, "MainPID")? != "0";
    if runs {
        guest.sudo(&format!("systemctl stop {ENGINE}"))?;
        wait::pass(AFTER_END);
    }
    let ended = memory(guest)?;
    Ok(Cycle { quiet, runs, ended })
}

fn memory(guest: &Guest) -> Result<MemoryUse> {
    guest.client().get("/api/v1/memory")?.expect(200)?.json()
}

fn verdict(cycles: &[Cycle]) -> Result<String> {
    let (middle, most) = (median(cycles, quiet)?, max(cycles, quiet)?);
    let goal = cycles.first().context("no cycle")?.quiet.goal;
    ensure!(
        most <= goal.limit,
        "{} MB are more than the limit of {} MB",
        megabytes(most),
        megabytes(goal.limit)
    );
    let distance = most.0 as f64 / 1e6 - goal.aim.0 as f64 / 1e6;
    Ok(format!(
        "median {} MB, most {} MB; {distance:+.1} MB from the aim of {} MB",
        megabytes(middle),
        megabytes(most),
        megabytes(goal.aim)
    ))
}

fn quiet(cycle: &Cycle) -> &MemoryUse {
    &cycle.quiet
}

fn ended(cycle: &Cycle) -> &MemoryUse {
    &cycle.ended
}

fn summary(name: &str, [quiet, ended]: [Bytes; 2]) -> Vec<String> {
    vec![name.to_owned(), megabytes(quiet), String::new(), megabytes(ended)]
}

fn figures(cycles: &[Cycle], of: fn(&Cycle) -> &MemoryUse) -> Result<Vec<Bytes>> {
    let used = |cycle| of(cycle).used.context("hearthd does not know what is used");
    let mut figures: Vec<Bytes> = cycles.iter().map(used).collect::<Result<_>>()?;
    figures.sort_unstable();
    Ok(figures)
}

fn median(cycles: &[Cycle], of: fn(&Cycle) -> &MemoryUse) -> Result<Bytes> {
    let figures = figures(cycles, of)?;
    figures.get(figures.len() / 2).copied().context("no cycle")
}

fn max(cycles: &[Cycle], of: fn(&Cycle) -> &MemoryUse) -> Result<Bytes> {
    figures(cycles, of)?.last().copied().context("no cycle")
}

fn print(mib: u32, cycles: &[Cycle]) -> Result<()> {
    title(&format!(
        "Memory used (MemTotal − MemAvailable) of a guest with {mib} MiB while nothing is asked, MB"
    ));
    let mut rows = Vec::new();
    for (number, cycle) in (1..).zip(cycles) {
        let engine = if cycle.runs { "runs" } else { "has ended" };
        rows.push(vec![
            format!("cycle {number}"),
            known(cycle.quiet.used),
            engine.to_owned(),
            known(cycle.ended.used),
        ]);
    }
    rows.push(summary(
        "median",
        [median(cycles, quiet)?, median(cycles, ended)?],
    ));
    rows.push(summary("most", [max(cycles, quiet)?, max(cycles, ended)?]));
    let when = format!("{} s after the answer", QUIET.as_secs());
    say(&table(
        &["", &when, "the engine then", "without the engine"],
        &rows,
    ));
    let last = cycles.last().context("no cycle")?;
    say(&table(
        &["held by, MB", "with what is left of the engine", "without it"],
        &holders(&last.quiet, &last.ended),
    ));
    say(&table(
        &["unit, MB", "all", "programs", "files", "swapped"],
        &units(&last.ended),
    ));
    Ok(())
}

/// The parts of what is used, which add up to it.
const HOLDERS: [&str; 10] = [
    "programs",
    "tmpfs",
    "zram",
    "slabs",
    "threads",
    "tables",
    "reserve: lowmem_reserve and high watermarks",
    "withheld of files and slabs",
    "rest",
    "(page cache, not among the used)",
];

fn holders(quiet: &MemoryUse, ended: &MemoryUse) -> Vec<Vec<String>> {
    let [quiet, ended] = [quiet, ended].map(held);
    let rows = HOLDERS.into_iter().zip(quiet).zip(ended);
    rows.map(|((name, quiet), ended)| vec![name.to_owned(), quiet, ended])
        .collect()
}

/// A figure for each of [`HOLDERS`].
fn held(memory: &MemoryUse) -> [String; HOLDERS.len()] {
    let meminfo = &memory.breakdown.meminfo;
    let files = meminfo.active_file.zip(meminfo.inactive_file);
    let parts = memory.parts;
    let part = |of: fn(&UsedParts) -> Bytes| known(parts.as_ref().map(of));
    [
        part(|parts| parts.anon),
        part(|parts| parts.shmem),
        part(|parts| parts.zram),
        part(|parts| parts.slab),
        part(|parts| parts.threads),
        part(|parts| parts.tables),
        part(|parts| parts.reserve),
        part(|parts| parts.withheld),
        parts.map_or("?".to_owned(), |parts| format!("{:.1}", parts.rest as f64 / 1e6)),
        known(files.map(|(active, rest)| Bytes(active.0 + rest.0))),
    ]
}

/// Those that hold most.
fn units(memory: &MemoryUse) -> Vec<Vec<String>> {
    let mut groups: Vec<&CgroupStat> = memory.breakdown.cgroups.iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.current));
    let row = |group: &CgroupStat| {
        let figures = [group.current, group.anon, group.file, group.swap_current];
        [group.path.clone()]
            .into_iter()
            .chain(figures.map(known))
            .collect()
    };
    groups.into_iter().take(UNITS).map(row).collect()
}

fn known(bytes: Option<Bytes>) -> String {
    bytes.map_or("?".to_owned(), megabytes)
}

fn megabytes(bytes: Bytes) -> String {
    format!("{:.1}", bytes.0 as f64 / 1e6)
}
