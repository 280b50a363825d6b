//! `hearthd record` and `hearthd replay`.

use super::reader::Records;
use super::recorder::Recorder;
use super::replay::{Decided, Replay, Step};
use super::screen;
use crate::clock::boot_time;
use crate::daemon::watched;
use crate::interval::Interval;
use crate::tuning::tuning_for;
use anyhow::Context;
use clap::Args;
use linux::{Sampler, Tree};
use machine::{BootTime, PressureDecision, PressureLevel, Reclaim, Wishes};
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(crate) struct RecordOptions {
    /// The recording; a file of that name is replaced
    pub(crate) file: PathBuf,
    /// End after so many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<u64>,
    /// Time between two samples, in milliseconds
    #[arg(long, default_value = "1000", value_name = "MS")]
    pub(crate) interval: Interval,
    /// The root of the kernel's files: / or a captured tree
    #[arg(long, default_value = "/", value_name = "DIR")]
    pub(crate) root: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    /// The recording; - for the standard input
    pub(crate) file: PathBuf,
    /// Print each decision as a line of JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Records this machine. The engine and people's wishes are not in it; `hearthd run --record` has them.
pub(crate) fn record(options: &RecordOptions) -> anyhow::Result<()> {
    let mut sampler = Sampler::new(Tree::open(&options.root)?, watched());
    let mut recorder = Recorder::create(&options.file)?;
    let lasts = options.seconds.map(Duration::from_secs);
    let (begin, mut steps) = (Instant::now(), 0);
    loop {
        sampler.refresh();
        let found = sampler.capabilities();
        let sample = sampler.sample(boot_time()?);
        let noted = recorder.try_note(found, &tuning_for(found, &[]), &Wishes::default(), &sample);
        noted.with_context(|| format!("cannot write the recording {}", options.file.display()))?;
        steps += 1;
        let next = options.interval.duration() * steps;
        if lasts.is_some_and(|lasts| next > lasts) {
            return Ok(());
        }
        std::thread::sleep(next.saturating_sub(begin.elapsed()));
    }
}

/// Prints what the laws decide on a recording.
pub(crate) fn replay(options: &ReplayOptions) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = print(options, &mut out).and_then(|()| Ok(out.flush()?));
    match printed {
        // `hearthd replay FILE | head`: the reader has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        printed => printed.with_context(|| format!("cannot replay {}", options.file.display())),
    }
}

fn print(options: &ReplayOptions, out: &mut impl Write) -> anyhow::Result<()> {
    let from: Box<dyn io::Read> = match options.file.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(&options.file)?),
    };
    let mut replay = Replay::default();
    let mut table = Table::default();
    for record in Records::new(BufReader::new(from)) {
        let (line, record) = record?;
        match replay.take(line, record)? {
            Some(decided) if options.json => json(out, &decided)?,
            Some(Decided::Step(step)) => table.step(out, &step)?,
            Some(Decided::Reclaim(at, reclaim)) => table.reclaim(out, at, &reclaim)?,
            Some(Decided::Pressure(at, pressure)) => table.pressure(out, at, &pressure)?,
            None => {}
        }
    }
    Ok(())
}

/// A decision as a line; one of a law of memory is told by the law's name.
fn json(out: &mut impl Write, decided: &Decided) -> anyhow::Result<()> {
    match decided {
        Decided::Step(step) => serde_json::to_writer(&mut *out, &step.decision)?,
        Decided::Reclaim(_, reclaim) => {
            serde_json::to_writer(&mut *out, &serde_json::json!({ "reclaim": reclaim }))?;
        }
        Decided::Pressure(_, pressure) => {
            serde_json::to_writer(&mut *out, &serde_json::json!({ "pressure": pressure }))?;
        }
    }
    Ok(writeln!(out)?)
}

/// Lines for people, with the time since the first step.
#[derive(Default)]
struct Table {
    first: Option<BootTime>,
    level: PressureLevel,
}

impl Table {
    fn step(&mut self, out: &mut impl Write, step: &Step) -> io::Result<()> {
        if self.first.is_none() {
            screen::head(out)?;
        }
        screen::step(out, *self.first.get_or_insert(step.sample.at_usec), step)
    }

    fn reclaim(&self, out: &mut impl Write, at: BootTime, reclaim: &Reclaim) -> io::Result<()> {
        screen::reclaim(out, self.first.unwrap_or(at), at, reclaim)
    }

    fn pressure(&mut self, out: &mut impl Write, at: BootTime, decided: &PressureDecision) -> io::Result<()> {
        if std::mem::replace(&mut self.level, decided.level) == decided.level {
            return Ok(());
        }
        screen::pressure(out, self.first.unwrap_or(at), at, decided)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |kind: io::ErrorKind| kind == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        let io = cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io| kind(io.kind()));
        let json = cause.downcast_ref::<serde_json::Error>();
        io || json.and_then(serde_json::Error::io_error_kind).is_some_and(kind)
    })
}
