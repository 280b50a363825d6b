//! `hearth status`: the appliance on one screen.

use crate::{
    client::Client,
    screen::{self, BAD, NAME, WARN, known, line, section, words},
    span,
};
use api::engine::{ActiveState, Engine};
use api::rest::{Condition, EngineStatus, Status};
use machine::{Capabilities, EngineState, HwmonKind, HwmonSample, MilliCelsius, Pressure, Sample, Stall};

/// Shows the status.
pub(crate) async fn status(client: &Client, engine: bool, json: bool) -> anyhow::Result<()> {
    let path = if engine {
        "/api/v1/status?engine=true"
    } else {
        "/api/v1/status"
    };
    let status: Status = client.get(path).await?;
    if json {
        return screen::json(&status);
    }
    screen::print(&render(&status, engine))?;
    Ok(())
}

fn render(status: &Status, engine_asked: bool) -> String {
    let mut text = format!(
        "{NAME}{}{NAME:#}  Hearth {}, up {}\n\n",
        screen::one_line(&status.hostname),
        screen::one_line(&status.version),
        span::show(status.uptime_seconds)
    );
    if let Some(capabilities) = &status.capabilities {
        machine(&mut text, capabilities);
    }
    if let Some(sample) = &status.sample {
        load(&mut text, sample);
    }
    line(&mut text, "Engine", engine(status, engine_asked));
    supervision(&mut text, status.supervision.as_ref());
    let fingerprint = screen::one_line(&status.fingerprint);
    line(&mut text, "Certificate", format!("SHA-256 {fingerprint}"));
    if let Some(problem) = &status.agent_problem {
        line(
            &mut text,
            "Agent",
            format!("{BAD}{}{BAD:#}", screen::one_line(problem)),
        );
    }
    if let Some(sample) = &status.sample {
        text.push_str(&temperatures(sample));
        text.push_str(&fans(sample));
        text.push_str(&clocks(sample, status.capabilities.as_ref()));
        text.push_str(&memory_by_unit(sample));
    }
    text.push_str(&warnings(status));
    text
}

fn machine(text: &mut String, capabilities: &Capabilities) {
    let (dmi, topology) = (&capabilities.dmi, &capabilities.topology);
    let name = words([&dmi.sys_vendor, &dmi.product_name]);
    let firmware = words([&dmi.bios_version, &dmi.bios_date]);
    line(text, "Machine", format!("{name} (firmware {firmware})"));
    let model = words([&capabilities.features.model_name]);
    let (cores, threads) = (known(topology.cores), known(topology.threads));
    line(
        text,
        "Processor",
        format!("{model}, {cores} cores, {threads} threads"),
    );
    if !capabilities.features.flags.is_empty() {
        line(text, "", screen::one_line(&capabilities.features.flags.join(" ")));
    }
}

fn load(text: &mut String, sample: &Sample) {
    let memory = &sample.memory;
    line(
        text,
        "Memory",
        format!("{} used of {}", known(memory.used()), known(memory.mem_total)),
    );
    line(text, "Pressure", pressure(&sample.pressure));
    let supplies: Vec<String> = sample.supplies.iter().map(supply).collect();
    if !supplies.is_empty() {
        line(text, "Power", screen::one_line(&supplies.join(", ")));
    }
}

fn pressure(pressure: &Pressure) -> String {
    let share =
        |stall: &Option<Stall>| known(stall.as_ref().map(|stall| format!("{:.1} %", stall.some.avg10)));
    let [cpu, memory, io] = [&pressure.cpu, &pressure.memory, &pressure.io].map(share);
    format!("processor {cpu}, memory {memory}, storage {io} (time lost by some task, last 10 s)")
}

fn supply(supply: &machine::SupplySample) -> String {
    let mut text = supply.name.clone();
    if let Some(online) = supply.online {
        text.push_str(if online { " on" } else { " off" });
    }
    if let Some(capacity) = supply.capacity {
        text.push_str(&format!(" {capacity} %"));
    }
    if let Some(status) = &supply.status {
        text.push_str(&format!(" {status}"));
    }
    text
}

/// What the engine says itself, or what the agent knows of it without waking it.
fn engine(status: &Status, asked: bool) -> String {
    match &status.engine {
        None if asked => format!("{BAD}does not answer{BAD:#}"),
        None => engine_seen(status)
            .unwrap_or_else(|| "not asked, as that would wake it (--engine asks)".to_owned()),
        Some(EngineStatus {
            status,
            model,
            queued,
            active,
        }) => {
            let state = if *status == Condition::Ok {
                "ready"
            } else {
                "not ready"
            };
            let model = model.as_deref().unwrap_or("no model loaded");
            format!(
                "{state}, {}, {active} answering, {queued} waiting",
                screen::one_line(model)
            )
        }
    }
}

/// What is known of the engine without waking it.
pub(crate) fn engine_seen(status: &Status) -> Option<String> {
    if let Some(engine) = status.sample.as_ref().and_then(|sample| sample.engine.as_ref()) {
        let state = match engine.state {
            EngineState::Empty => "awake, no model loaded".to_owned(),
            EngineState::Loading => format!("loading {}", screen::one_line(&engine.model_name)),
            EngineState::Ready => format!("ready, {}", screen::one_line(&engine.model_name)),
            EngineState::Parked => format!("parked, {}", screen::one_line(&engine.model_name)),
        };
        let (active, queued) = (engine.active, engine.queue_depth);
        return Some(format!("{state}, {active} answering, {queued} waiting"));
    }
    let supervision = status.supervision.as_ref()?;
    if let Some(since) = &supervision.held_since {
        let since = screen::one_line(since);
        return Some(format!(
            "{WARN}stopped by an administrator at {since}{WARN:#}; \"hearth engine start\" starts it"
        ));
    }
    let unit = supervision.unit.as_ref()?;
    Some(match unit.active_state {
        ActiveState::Inactive => "asleep; a request wakes it".to_owned(),
        ActiveState::Activating if unit.sub_state.starts_with("auto-restart") => {
            format!("{WARN}{}; it is started again{WARN:#}", unit.result.said())
        }
        ActiveState::Activating => "starting".to_owned(),
        ActiveState::Failed => format!("{BAD}{}{BAD:#}", unit.result.said()),
        _ => "runs, and has not said what it does".to_owned(),
    })
}

/// Failures and quarantined models; nothing where there are none.
pub(crate) fn supervision(text: &mut String, engine: Option<&Engine>) {
    let Some(engine) = engine else { return };
    for held in &engine.quarantined {
        let name = screen::one_line(&held.model);
        let (reason, since) = (screen::one_line(&held.reason), screen::one_line(&held.since));
        let way_out = format!("\"hearth model release {name}\" lets it be loaded again");
        line(
            text,
            "Quarantine",
            format!("{BAD}{name} since {since}: {reason}{BAD:#}; {way_out}"),
        );
    }
    if let (false, Some(fallback)) = (engine.quarantined.is_empty(), &engine.fallback) {
        line(text, "", format!("{} stands in", screen::one_line(fallback)));
    }
    if let Some(last) = engine.failures.last() {
        let with = last
            .model
            .as_deref()
            .map_or_else(String::new, |model| format!(" with {}", screen::one_line(model)));
        let how = last.stuck.as_deref().unwrap_or_else(|| last.result.said());
        let count = engine.failures.len();
        let times = if count == 1 { "once" } else { "times" };
        let count = if count == 1 {
            String::new()
        } else {
            format!("{count} ")
        };
        line(
            text,
            "Failures",
            format!(
                "{WARN}{count}{times} in ten minutes, the last at {}{with}: {}{WARN:#}",
                screen::one_line(&last.at),
                screen::one_line(how)
            ),
        );
    }
}

fn temperatures(sample: &Sample) -> String {
    let zones = sample.zones.iter().map(|zone| {
        let name = format!("zone {}", zone.id);
        [name, zone.kind.clone().unwrap_or_default(), known(zone.temp)]
    });
    let chips = channels(sample, HwmonKind::Temp).map(|hwmon| {
        let [chip, label] = names(hwmon);
        [chip, label, known(hwmon.input.map(MilliCelsius))]
    });
    section(["TEMPERATURE", "", ""], zones.chain(chips).collect())
}

fn fans(sample: &Sample) -> String {
    let fans = channels(sample, HwmonKind::Fan).map(|hwmon| {
        let [chip, label] = names(hwmon);
        [
            chip,
            label,
            known(hwmon.input.map(|speed| format!("{speed} rpm"))),
        ]
    });
    section(["FAN", "", ""], fans.collect())
}

fn channels(sample: &Sample, kind: HwmonKind) -> impl Iterator<Item = &HwmonSample> {
    sample.hwmon.iter().filter(move |hwmon| hwmon.kind == kind)
}

fn names(hwmon: &HwmonSample) -> [String; 2] {
    [
        hwmon.chip.clone(),
        hwmon
            .label
            .clone()
            .unwrap_or_else(|| format!("channel {}", hwmon.channel)),
    ]
}

fn clocks(sample: &Sample, capabilities: Option<&Capabilities>) -> String {
    let rows = sample.policies.iter().map(|policy| {
        let found = capabilities.and_then(|all| all.policies.iter().find(|known| known.id == policy.id));
        let processors = found.map(|found| {
            found
                .affected_cpus
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        });
        let range = format!(
            "{} to {}",
            known(policy.scaling_min_freq),
            known(policy.scaling_max_freq)
        );
        let governor = words([&policy.scaling_governor, &policy.energy_performance_preference]);
        [known(processors), known(policy.scaling_cur_freq), range, governor]
    });
    section(["PROCESSORS", "CLOCK", "ALLOWED", "GOVERNOR"], rows.collect())
}

fn memory_by_unit(sample: &Sample) -> String {
    let rows = sample.cgroups.iter().map(|group| {
        [
            group.path.clone(),
            known(group.current),
            known(group.anon),
            known(group.file),
        ]
    });
    section(["UNIT", "MEMORY", "ANONYMOUS", "FILES"], rows.collect())
}

fn warnings(status: &Status) -> String {
    let found = status.capabilities.iter().flat_map(|found| &found.warnings);
    let seen = status.sample.iter().flat_map(|seen| &seen.warnings);
    screen::warnings(found.chain(seen))
}

/// How long the appliance has been up, in seconds, for telling how long ago something was; `None` if it does not say.
pub(crate) async fn uptime(client: &Client) -> Option<f64> {
    let status: Status = client.get("/api/v1/status").await.ok()?;
    Some(status.uptime_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::engine::{Failure, Quarantined, ServiceResult, Unit};
    use machine::{
        Bytes, EngineSample, KiloHertz, Memory, MicroSeconds, PolicySample, StallWindow, Warning, ZoneSample,
    };

    fn bare() -> Status {
        Status {
            hostname: "hearth".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_seconds: 93_784.0,
            fingerprint: "AB:CD".to_owned(),
            capabilities: None,
            sample: None,
            supervision: None,
            agent_problem: Some("hearthd does not answer\u{1b}[2J".to_owned()),
            engine: None,
        }
    }

    fn plain(status: &Status) -> String {
        anstream::adapter::strip_str(&render(status, false)).to_string()
    }

    #[test]
    fn without_the_agent_there_is_still_a_screen() {
        let shown = plain(&bare());
        assert!(shown.starts_with("hearth  Hearth 0.1.0, up 1 d 2 h\n"), "{shown}");
        assert!(
            shown.contains("Agent        hearthd does not answer\u{fffd}[2J\n"),
            "{shown}"
        );
        assert!(shown.contains("--engine asks"), "{shown}");
    }

    fn supervised(supervision: Engine) -> String {
        plain(&Status {
            supervision: Some(supervision),
            ..bare()
        })
    }

    #[test]
    fn what_the_engine_does_is_told_without_waking_it() {
        let asleep = Unit {
            active_state: ActiveState::Inactive,
            ..Unit::default()
        };
        let shown = supervised(Engine {
            unit: Some(asleep),
            ..Engine::default()
        });
        assert!(
            shown.contains("Engine       asleep; a request wakes it\n"),
            "{shown}"
        );
        let shown = supervised(Engine {
            held_since: Some("2026-01-02T03:04:05Z".to_owned()),
            ..Engine::default()
        });
        assert!(
            shown.contains("stopped by an administrator at 2026-01-02T03:04:05Z; \"hearth engine start\""),
            "{shown}"
        );
        let parked = EngineSample {
            state: EngineState::Parked,
            model_name: "tiny\u{1b}[2J".to_owned(),
            ..EngineSample::default()
        };
        let shown = plain(&Status {
            sample: Some(Sample {
                engine: Some(parked),
                ..Sample::default()
            }),
            ..bare()
        });
        assert!(shown.contains("parked, tiny\u{fffd}[2J, 0 answering"), "{shown}");
    }

    #[test]
    fn a_quarantined_model_is_shown_with_its_reason_and_the_way_out() {
        let failure = |stuck: Option<&str>| Failure {
            at: "2026-01-02T03:04:05Z".to_owned(),
            model: Some("bad".to_owned()),
            result: ServiceResult::CoreDump,
            stuck: stuck.map(str::to_owned),
        };
        let shown = supervised(Engine {
            failures: vec![failure(Some("it stood still")), failure(None)],
            quarantined: vec![Quarantined {
                model: "bad".to_owned(),
                since: "2026-01-02T03:04:05Z".to_owned(),
                reason: "five failures".to_owned(),
            }],
            fallback: Some("good".to_owned()),
            ..Engine::default()
        });
        for part in [
            "Quarantine   bad since 2026-01-02T03:04:05Z: five failures; \"hearth model release bad\"",
            "good stands in",
            "2 times in ten minutes, the last at 2026-01-02T03:04:05Z with bad: crashed",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let shown = supervised(Engine {
            failures: vec![failure(Some("it stood still"))],
            ..Engine::default()
        });
        assert!(
            shown.contains("once in ten minutes") && shown.contains(": it stood still"),
            "{shown}"
        );
        assert!(!shown.contains("Quarantine"), "{shown}");
    }

    /// Some readings, and some that are missing.
    fn measured() -> Sample {
        let window = StallWindow {
            avg10: 1.25,
            avg60: 0.0,
            avg300: 0.0,
            total_usec: MicroSeconds(0),
        };
        let policy = PolicySample {
            id: 0,
            scaling_cur_freq: Some(KiloHertz(800_000)),
            scaling_min_freq: None,
            scaling_max_freq: Some(KiloHertz(3_400_000)),
            bios_limit: None,
            scaling_governor: Some("powersave".to_owned()),
            energy_performance_preference: None,
        };
        let warning = Warning {
            path: "sys/x".to_owned(),
            problem: "garbage".to_owned(),
        };
        let zone = |id, temp| ZoneSample {
            id,
            kind: Some("x86_pkg_temp".to_owned()),
            temp,
        };
        Sample {
            zones: vec![zone(0, Some(MilliCelsius(45_000))), zone(1, None)],
            policies: vec![policy],
            memory: Memory {
                mem_total: Some(Bytes(8 << 30)),
                mem_available: Some(Bytes(7 << 30)),
                ..Memory::default()
            },
            pressure: Pressure {
                cpu: Some(Stall {
                    some: window,
                    full: None,
                }),
                ..Pressure::default()
            },
            warnings: vec![warning.clone(), warning],
            ..Sample::default()
        }
    }

    #[test]
    fn readings_are_shown_and_missing_ones_are_not_nought() {
        let shown = plain(&Status {
            sample: Some(measured()),
            agent_problem: None,
            ..bare()
        });
        for wanted in [
            "1.0 GiB used of 8.0 GiB",
            "45.0 °C",
            "800 MHz",
            "? to 3400 MHz",
            "memory ?",
            "processor 1.2 %",
        ] {
            assert!(shown.contains(wanted), "{wanted} is not in {shown}");
        }
        assert_eq!(shown.matches("warning: sys/x: garbage").count(), 1, "{shown}");
        assert!(
            shown
                .lines()
                .any(|line| line.contains("zone 1") && line.ends_with('?')),
            "{shown}"
        );
    }
}
