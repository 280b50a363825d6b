//! Tables for people.

use machine::{
    Capabilities, HwmonKind, HwmonSample, MilliCelsius, Sample, Stall, SupplySample, Warning, Zone,
};
use std::fmt::Display;
use std::io::{self, Write};

/// What stands for a reading that could not be had.
const UNKNOWN: &str = "—";

/// A sample, a row per reading.
pub(crate) fn sample(out: &mut dyn Write, sample: &Sample) -> io::Result<()> {
    let mut rows = memory(sample);
    rows.extend(sample.policies.iter().map(|policy| {
        let clock = told(policy.scaling_cur_freq);
        let governor = told(policy.scaling_governor.as_deref());
        row("policy", policy.id, format!("{clock} ({governor})"))
    }));
    rows.extend(sample.zones.iter().map(|zone| {
        let name = format!("{} {}", zone.id, told(zone.kind.as_deref()));
        row("zone", name, told(zone.temp))
    }));
    rows.extend(sample.hwmon.iter().map(sensor));
    let devices = sample.cooling_devices.iter();
    rows.extend(devices.map(|device| row("cooling device", device.id, told(device.cur_state))));
    rows.extend(sample.powercap.iter().map(|domain| {
        let energy = domain.energy_uj.map(|energy| format!("{} µJ", energy.0));
        row("energy", &domain.id, told(energy))
    }));
    rows.extend(sample.supplies.iter().map(supply));
    let groups = sample.cgroups.iter();
    rows.extend(groups.map(|group| row("group", &group.path, told(group.current))));
    table(out, &rows)?;
    warnings(out, &sample.warnings)
}

/// What a machine has, a row per thing.
pub(crate) fn capabilities(out: &mut dyn Write, found: &Capabilities) -> io::Result<()> {
    let mut rows = basics(found);
    rows.extend(found.policies.iter().map(|policy| {
        let (min, max) = (told(policy.cpuinfo_min_freq), told(policy.cpuinfo_max_freq));
        let driver = told(policy.scaling_driver.as_deref());
        row("policy", policy.id, format!("{driver}, {min} to {max}"))
    }));
    rows.extend(found.zones.iter().map(zone));
    rows.extend(found.hwmon.iter().map(|channel| {
        let name = format!("{} {}{}", channel.chip, prefix(channel.kind), channel.channel);
        row("sensor", name, channel.label.as_deref().unwrap_or_default())
    }));
    rows.extend(found.cooling_devices.iter().map(|device| {
        let name = format!("{} {}", device.id, told(device.kind.as_deref()));
        row(
            "cooling device",
            name,
            format!("up to {}", told(device.max_state)),
        )
    }));
    let domains = found.powercap.iter();
    rows.extend(domains.map(|domain| row("energy", &domain.id, told(domain.name.as_deref()))));
    let supplies = found.supplies.iter();
    rows.extend(supplies.map(|supply| row("supply", &supply.name, told(supply.kind.as_deref()))));
    table(out, &rows)?;
    warnings(out, &found.warnings)
}

fn memory(sample: &Sample) -> Vec<Row> {
    let (memory, pressure) = (&sample.memory, &sample.pressure);
    let stalled = |stall: &Option<Stall>| told(stall.as_ref().map(share));
    vec![
        row("memory", "used", told(memory.used())),
        row("memory", "available", told(memory.mem_available)),
        row("memory", "total", told(memory.mem_total)),
        row("pressure", "cpu", stalled(&pressure.cpu)),
        row("pressure", "memory", stalled(&pressure.memory)),
        row("pressure", "io", stalled(&pressure.io)),
    ]
}

fn basics(found: &Capabilities) -> Vec<Row> {
    let (dmi, topology) = (&found.dmi, &found.topology);
    let yes = |there| if there { "yes" } else { "no" };
    vec![
        row(
            "machine",
            told(dmi.sys_vendor.as_deref()),
            told(dmi.product_name.as_deref()),
        ),
        row(
            "firmware",
            told(dmi.bios_version.as_deref()),
            told(dmi.bios_date.as_deref()),
        ),
        row("processor", "model", told(found.features.model_name.as_deref())),
        row("processor", "cores", told(topology.cores)),
        row("processor", "threads", told(topology.threads)),
        row("processor", "features", found.features.flags.join(" ")),
        row("memory", "total", told(found.mem_total)),
        row("memory", "pressure (PSI)", yes(found.psi)),
        row("memory", "control groups v2", yes(found.cgroup_memory)),
    ]
}

fn zone(zone: &Zone) -> Row {
    let trips = zone.trip_points.iter();
    let trips: Vec<_> = trips.map(|trip| format!("{} {}", trip.kind, trip.temp)).collect();
    row(
        "zone",
        format!("{} {}", zone.id, told(zone.kind.as_deref())),
        trips.join(", "),
    )
}

fn sensor(channel: &HwmonSample) -> Row {
    let label = channel
        .label
        .as_deref()
        .map(|label| format!(" {label}"))
        .unwrap_or_default();
    let name = format!(
        "{} {}{}{label}",
        channel.chip,
        prefix(channel.kind),
        channel.channel
    );
    let value = channel.input.map(|input| match channel.kind {
        HwmonKind::Temp => MilliCelsius(input).to_string(),
        HwmonKind::Fan => format!("{input} rpm"),
    });
    row("sensor", name, told(value))
}

fn supply(supply: &SupplySample) -> Row {
    let online = supply
        .online
        .map(|online| if online { "online" } else { "offline" });
    let charge = supply
        .capacity
        .map(|charge| format!(", {charge} %"))
        .unwrap_or_default();
    let state = told(supply.status.as_deref().or(online));
    row("supply", &supply.name, format!("{state}{charge}"))
}

type Row = [String; 3];

fn row(class: &str, name: impl Display, value: impl Display) -> Row {
    [class.to_owned(), harmless(name), harmless(value)]
}

/// Devices name their own folders, and no name may steer the terminal.
fn harmless(text: impl Display) -> String {
    let visible = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.to_string().chars().map(visible).collect()
}

fn told(value: Option<impl Display>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

fn share(stall: &Stall) -> String {
    format!("{:.1} % of the last 10 s", stall.some.avg10)
}

fn prefix(kind: HwmonKind) -> &'static str {
    match kind {
        HwmonKind::Temp => "temp",
        HwmonKind::Fan => "fan",
    }
}

/// Columns as wide as their widest cell; a class is written only where it begins.
fn table(out: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let mut before = "";
    for [class, name, value] in rows {
        let shown = if class == before { "" } else { class };
        let line = format!("{shown:first$}  {name:second$}  {value}");
        writeln!(out, "{}", line.trim_end())?;
        before = class;
    }
    Ok(())
}

fn warnings(out: &mut dyn Write, warnings: &[Warning]) -> io::Result<()> {
    if !warnings.is_empty() {
        writeln!(out, "\nCould not be read or believed:")?;
    }
    for warning in warnings {
        writeln!(
            out,
            "  {} {}",
            harmless(&warning.path),
            harmless(&warning.problem)
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{Bytes, ZoneSample};

    fn screen(show: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        show(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_missing_is_a_dash_and_never_a_zero() {
        let text = screen(|out| sample(out, &Sample::default()));
        assert!(text.contains("memory    used       —\n"), "{text}");
        assert!(!text.contains('0') || text.contains("10 s"), "{text}");
        assert!(!text.contains("Could not"), "{text}");
    }

    #[test]
    fn no_name_steers_the_terminal() {
        let supply = SupplySample {
            name: "A\u{1b}[31m\nC".to_owned(),
            online: None,
            capacity: None,
            status: None,
        };
        let warning = Warning {
            path: "/sys/A\u{1b}[31m/online".to_owned(),
            problem: "is missing".to_owned(),
        };
        let bad = Sample {
            supplies: vec![supply],
            warnings: vec![warning],
            ..Sample::default()
        };
        let text = screen(|out| sample(out, &bad));
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.contains("A\u{fffd}[31m\u{fffd}C"), "{text:?}");
    }

    #[test]
    fn a_warning_names_its_file() {
        let mut bad = Sample::default();
        bad.memory.mem_total = Some(Bytes(8 << 30));
        bad.zones = vec![ZoneSample {
            id: 3,
            kind: Some("acpitz".to_owned()),
            temp: None,
        }];
        bad.warnings = vec![Warning {
            path: "/sys/x/temp".to_owned(),
            problem: "is missing".to_owned(),
        }];
        let text = screen(|out| sample(out, &bad));
        assert!(text.contains("8.0 GiB"), "{text}");
        assert!(text.contains("zone      3 acpitz   —"), "{text}");
        assert!(
            text.ends_with("Could not be read or believed:\n  /sys/x/temp is missing\n"),
            "{text}"
        );
    }
}
