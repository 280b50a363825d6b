//! `hearth status`: the appliance on one screen.

use crate::{
    client::Client,
    screen::{self, BAD, NAME, WARN},
};
use api::rest::{Condition, EngineStatus, Status};
use machine::{Capabilities, HwmonKind, HwmonSample, MilliCelsius, Pressure, Sample, Stall, Warning};
use std::fmt::Display;

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
        span(status.uptime_seconds)
    );
    if let Some(capabilities) = &status.capabilities {
        machine(&mut text, capabilities);
    }
    if let Some(sample) = &status.sample {
        load(&mut text, sample);
    }
    line(&mut text, "Engine", engine(status.engine.as_ref(), engine_asked));
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

fn line(text: &mut String, label: &str, value: impl Display) {
    text.push_str(&format!("{label:<12} {value}\n"));
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

/// The names that are known, in their order.
fn words<const N: usize>(names: [&Option<String>; N]) -> String {
    let found: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    if found.is_empty() {
        "unknown".to_owned()
    } else {
        screen::one_line(&found.join(" "))
    }
}

/// What is not known is shown as such, never as nought.
fn known(value: Option<impl Display>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
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

fn engine(engine: Option<&EngineStatus>, asked: bool) -> String {
    match engine {
        None if asked => format!("{BAD}does not answer{BAD:#}"),
        None => "not asked, as that would wake it (--engine asks)".to_owned(),
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

fn section<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        String::new()
    } else {
        format!("\n{}", screen::table(head, rows))
    }
}

fn warnings(status: &Status) -> String {
    let found = status.capabilities.iter().flat_map(|found| &found.warnings);
    let seen = status.sample.iter().flat_map(|seen| &seen.warnings);
    let mut shown: Vec<&Warning> = Vec::new();
    for warning in found.chain(seen) {
        if !shown.contains(&warning) {
            shown.push(warning);
        }
    }
    let mut text = String::new();
    for Warning { path, problem } in &shown {
        let (path, problem) = (screen::one_line(path), screen::one_line(problem));
        text.push_str(&format!("{WARN}warning:{WARN:#} {path}: {problem}\n"));
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

/// The two largest units of a span of time.
fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{Bytes, KiloHertz, Memory, MicroSeconds, PolicySample, StallWindow, ZoneSample};

    fn bare() -> Status {
        Status {
            hostname: "hearth".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_seconds: 93_784.0,
            capabilities: None,
            sample: None,
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

    #[test]
    fn readings_are_shown_and_missing_ones_are_not_nought() {
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
        let sample = Sample {
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
        };
        let shown = plain(&Status {
            sample: Some(sample),
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

    #[test]
    fn spans_read_well() {
        for (seconds, text) in [
            (5.9, "5 s"),
            (60.0, "1 min"),
            (3_660.0, "1 h 1 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
