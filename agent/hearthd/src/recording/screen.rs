//! Replayed decisions for people: a line per step.

use super::replay::Step;
use machine::{BootTime, EngineLimits, PressureDecision, Reclaim, Rung};
use std::fmt::Display;
use std::io::{self, Write};

/// What stands for a value that there is none of.
const NONE: &str = "—";

pub(super) fn head(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{:>10}  {:>9}  {:<14}  {:>9}  {:<12}  {:<10}  engine",
        "time", "heat", "rung", "cap", "profile", "phase"
    )
}

/// What is taken, at its time in seconds since the first step.
pub(super) fn reclaim(
    out: &mut dyn Write,
    first: BootTime,
    at: BootTime,
    reclaim: &Reclaim,
) -> io::Result<()> {
    let seconds = at.0.saturating_sub(first.0) as f64 / 1e6;
    for request in &reclaim.requests {
        writeln!(
            out,
            "{seconds:>9.3}s  {} is asked for {}",
            request.cgroup, request.bytes
        )?;
    }
    Ok(())
}

/// Another level of pressure, at its time in seconds since the first step.
pub(super) fn pressure(
    out: &mut dyn Write,
    first: BootTime,
    at: BootTime,
    decided: &PressureDecision,
) -> io::Result<()> {
    let seconds = at.0.saturating_sub(first.0) as f64 / 1e6;
    let level = format!("{:?}", decided.level).to_lowercase();
    let context = decided
        .context
        .map(|context| format!(", a context of {context} tokens"));
    writeln!(
        out,
        "{seconds:>9.3}s  memory's pressure: {level}{}",
        context.unwrap_or_default()
    )
}

/// A step, at its time in seconds since the first.
pub(super) fn step(out: &mut dyn Write, first: BootTime, step: &Step) -> io::Result<()> {
    let (sample, decision) = (&step.sample, &step.decision);
    let seconds = sample.at_usec.0.saturating_sub(first.0) as f64 / 1e6;
    let phase = sample
        .engine
        .as_ref()
        .map(|engine| format!("{:?}", engine.phase).to_lowercase());
    let line = format!(
        "{seconds:>9.3}s  {:>9}  {:<14}  {:>9}  {:<12}  {:<10}  {}",
        told(decision.thermal.assumed),
        rung(decision.thermal.rung),
        told(decision.thermal.clock_cap),
        decision.profile,
        told(phase),
        engine(&decision.engine),
    );
    writeln!(out, "{}", line.trim_end())?;
    for note in &decision.notes {
        writeln!(out, "            {}: {}", note.step, note.reason)?;
    }
    for warning in &decision.warnings {
        writeln!(out, "            warning: {} {}", warning.path, warning.problem)?;
    }
    Ok(())
}

fn told(value: Option<impl Display>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

fn rung(rung: Rung) -> &'static str {
    match rung {
        Rung::Free => "free",
        Rung::ClockCap => "clock cap",
        Rung::CpuQuota => "CPU quota",
        Rung::FewerSlots => "fewer slots",
        Rung::EngineStopped => "engine stopped",
        Rung::PowerOff => "power off",
    }
}

fn engine(limits: &EngineLimits) -> String {
    let quota = limits
        .cpu_quota_percent
        .map(|percent| format!("quota {percent} %"));
    let slots = limits.slots.map(|slots| format!("{slots} slots"));
    let stopped = limits.stopped.then(|| "stopped".to_owned());
    let all: Vec<_> = [quota, slots, stopped].into_iter().flatten().collect();
    all.join(", ")
}
