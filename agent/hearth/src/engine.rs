//! `hearth engine`: what it does, starting and stopping it, and what its unit may have.

use crate::{
    cli::{EngineCommand, LimitChange, LimitName},
    client::Client,
    job,
    screen::{self, line, table},
    status::{engine_seen, supervision},
};
use anyhow::Context;
use api::engine::{Engine, EngineLimits, LoadModel, NewLimits, UnitLimits};
use api::jobs::Job;
use api::openai::KeepAlive;
use api::rest::Status;

const STATUS: &str = "/api/v1/status";
const ENGINE: &str = "/api/v1/engine";
const LIMITS: &str = "/api/v1/engine/limits";

/// Shows or changes.
pub(crate) async fn engine(client: &Client, command: EngineCommand) -> anyhow::Result<()> {
    match command {
        EngineCommand::Show { json } => show(client, json).await,
        EngineCommand::Load {
            model,
            keep_alive,
            json,
        } => {
            let keep_alive = keep_alive.map(KeepAlive::Text);
            let body = serde_json::to_vec(&LoadModel { model, keep_alive })?;
            work(client, "load", body, "the model is loaded", json).await
        }
        EngineCommand::Unload { json } => {
            work(client, "unload", Vec::new(), "no model is loaded", json).await
        }
        EngineCommand::Start { json } => order(client, "start", "the engine runs", json).await,
        EngineCommand::Stop { json } => {
            let said = "the engine is stopped; \"hearth engine start\" starts it";
            order(client, "stop", said, json).await
        }
        EngineCommand::Restart { json } => order(client, "restart", "the engine runs anew", json).await,
        EngineCommand::Limits { json } => show_limits(&client.get(LIMITS).await?, json),
        EngineCommand::Limit { change, json } => {
            let becomes = |found: EngineLimits| NewLimits {
                beyond_unit: change.beyond_unit,
                chosen: changed(found.chosen, change),
            };
            show_limits(&client.change(LIMITS, becomes).await?, json)
        }
    }
}

async fn show(client: &Client, json: bool) -> anyhow::Result<()> {
    let status: Status = client.get(STATUS).await?;
    let found = status.supervision.as_ref().with_context(|| {
        let why = status
            .agent_problem
            .as_deref()
            .unwrap_or("the gateway does not say why");
        format!("what the engine does is not known: {why}")
    })?;
    if json {
        return screen::json(found);
    }
    screen::print(&render(&status, found))?;
    Ok(())
}

fn render(status: &Status, engine: &Engine) -> String {
    let mut text = String::new();
    let seen = engine_seen(status).unwrap_or_else(|| "unknown: systemd has not told".to_owned());
    line(&mut text, "Engine", seen);
    if let Some(unit) = &engine.unit {
        let restarts = match unit.n_restarts {
            0 => String::new(),
            count => format!(", started again by systemd {count} times"),
        };
        let state = serde_json::to_value(unit.active_state).ok();
        let state = state
            .as_ref()
            .and_then(|state| state.as_str())
            .unwrap_or("unknown");
        let sub = screen::one_line(&unit.sub_state);
        line(&mut text, "Unit", format!("{state} ({sub}){restarts}"));
    }
    supervision(&mut text, Some(engine));
    text
}

async fn order(client: &Client, job: &str, said: &str, json: bool) -> anyhow::Result<()> {
    let engine: Engine = client.begin(&format!("{ENGINE}/{job}"), Vec::new()).await?;
    if json {
        return screen::json(&engine);
    }
    Ok(screen::print(&format!("{said}\n"))?)
}

/// Begins a job and waits for its end.
async fn work(client: &Client, name: &str, body: Vec<u8>, said: &str, json: bool) -> anyhow::Result<()> {
    let begun: Job = client.begin(&format!("{ENGINE}/{name}"), body).await?;
    let id = begun.id.clone();
    let ended = job::ended(client, &id, Some(begun)).await?;
    if json {
        return screen::json(&ended);
    }
    Ok(screen::print(&format!("{said}\n"))?)
}

/// What is chosen after a change: first what is reset, then what is set.
fn changed(mut chosen: UnitLimits, change: LimitChange) -> UnitLimits {
    match change.reset {
        None => {}
        Some(None) => chosen = UnitLimits::default(),
        Some(Some(LimitName::MemoryHigh)) => chosen.memory_high = None,
        Some(Some(LimitName::MemoryMax)) => chosen.memory_max = None,
        Some(Some(LimitName::CpuWeight)) => chosen.cpu_weight = None,
        Some(Some(LimitName::Cpus)) => chosen.allowed_cpus = None,
    }
    UnitLimits {
        memory_high: change.memory_high.or(chosen.memory_high),
        memory_max: change.memory_max.or(chosen.memory_max),
        cpu_weight: change.cpu_weight.or(chosen.cpu_weight),
        allowed_cpus: change.cpus.map(|cpus| cpus.0).or(chosen.allowed_cpus),
    }
}

fn show_limits(limits: &EngineLimits, json: bool) -> anyhow::Result<()> {
    if json {
        return screen::json(limits);
    }
    screen::print(&render_limits(limits))?;
    Ok(())
}

fn render_limits(limits: &EngineLimits) -> String {
    let [chosen, in_force, own] = [
        cells(&limits.chosen, "-"),
        cells(&limits.in_force, "none"),
        cells(&limits.own, "none"),
    ];
    let names = ["memory-high", "memory-max", "cpu-weight", "cpus"];
    let rows = names.into_iter().zip(chosen).zip(in_force).zip(own);
    let rows = rows.map(|(((name, chosen), in_force), own)| [name.to_owned(), chosen, in_force, own]);
    table(["LIMIT", "SET", "IN FORCE", "UNIT'S OWN"], rows)
}

fn cells(limits: &UnitLimits, none: &str) -> [String; 4] {
    let or_none = |cell: Option<String>| cell.unwrap_or_else(|| none.to_owned());
    [
        or_none(limits.memory_high.map(|bytes| bytes.to_string())),
        or_none(limits.memory_max.map(|bytes| bytes.to_string())),
        or_none(limits.cpu_weight.map(|weight| weight.to_string())),
        or_none(limits.allowed_cpus.as_deref().map(ranges)),
    ]
}

/// Processors as the kernel writes them: `0-3,8`.
fn ranges(processors: &[u32]) -> String {
    let ranges = processors.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let ranges = ranges.map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        one => one.iter().map(u32::to_string).collect(),
    });
    ranges.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Processors;
    use machine::Bytes;

    fn chosen() -> UnitLimits {
        UnitLimits {
            memory_high: None,
            memory_max: Some(Bytes(3 << 30)),
            cpu_weight: Some(50),
            allowed_cpus: Some(vec![0, 1, 2, 8]),
        }
    }

    fn nothing() -> LimitChange {
        LimitChange {
            memory_high: None,
            memory_max: None,
            cpu_weight: None,
            cpus: None,
            beyond_unit: false,
            reset: None,
        }
    }

    #[test]
    fn what_is_not_named_stays_and_what_is_reset_goes_first() {
        let set = LimitChange {
            memory_high: Some(Bytes(1 << 30)),
            ..nothing()
        };
        let high = Some(Bytes(1 << 30));
        assert_eq!(
            changed(chosen(), set),
            UnitLimits {
                memory_high: high,
                ..chosen()
            }
        );
        let one = LimitChange {
            reset: Some(Some(LimitName::Cpus)),
            ..nothing()
        };
        assert_eq!(
            changed(chosen(), one),
            UnitLimits {
                allowed_cpus: None,
                ..chosen()
            }
        );
        let all = LimitChange {
            reset: Some(None),
            cpus: Some(Processors(vec![1])),
            ..nothing()
        };
        let left = UnitLimits {
            allowed_cpus: Some(vec![1]),
            ..UnitLimits::default()
        };
        assert_eq!(changed(chosen(), all), left);
    }

    #[test]
    fn limits_are_shown_beside_what_the_unit_has() {
        let own = UnitLimits {
            memory_max: Some(Bytes(6 << 30)),
            ..UnitLimits::default()
        };
        let limits = EngineLimits {
            chosen: chosen(),
            in_force: chosen(),
            own,
        };
        let shown = anstream::adapter::strip_str(&render_limits(&limits)).to_string();
        let row = |name: &str| {
            let row = shown.lines().find(|line| line.starts_with(name));
            row.map(|row| {
                row.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            row("memory-max"),
            Some(vec!["memory-max", "3.0 GiB", "3.0 GiB", "6.0 GiB"]),
            "{shown}"
        );
        assert_eq!(
            row("memory-high"),
            Some(vec!["memory-high", "-", "none", "none"]),
            "{shown}"
        );
        assert_eq!(
            row("cpus"),
            Some(vec!["cpus", "0-2,8", "0-2,8", "none"]),
            "{shown}"
        );
    }
}
