//! hwmon temperature and fan channels. Source: the kernel's `hwmon/sysfs-interface.rst`.

use crate::parse;
use crate::problem::Problem;
use crate::reader::{Entry, Reader};
use machine::{HwmonChannel, HwmonKind, HwmonSample, MilliCelsius};

pub(crate) const DIR: &str = "/sys/class/hwmon";

pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<HwmonChannel> {
    let ids = reader.numbered(DIR, "hwmon", "");
    ids.into_iter().flat_map(|id| chip(reader, id)).collect()
}

fn chip(reader: &mut Reader<'_>, hwmon: u32) -> Vec<HwmonChannel> {
    let mut entry = reader.entry(format!("{DIR}/hwmon{hwmon}"));
    // A chip without a name still has sensors that matter; the folder's name stands in, beside the warning.
    let chip = entry
        .required("name", parse::name)
        .unwrap_or_else(|| format!("hwmon{hwmon}"));
    let mut channels = Vec::new();
    for kind in [HwmonKind::Temp, HwmonKind::Fan] {
        for channel in entry.numbered(prefix(kind), "_input") {
            channels.push(HwmonChannel {
                hwmon,
                chip: chip.clone(),
                kind,
                channel,
                label: label(&mut entry, kind, channel),
                temp_max: limit(&mut entry, kind, channel, "max"),
                temp_crit: limit(&mut entry, kind, channel, "crit"),
            });
        }
    }
    channels
}

fn label(chip: &mut Entry<'_, '_>, kind: HwmonKind, channel: u32) -> Option<String> {
    chip.optional(&format!("{}{channel}_label", prefix(kind)), parse::maybe_name)?
}

fn limit(chip: &mut Entry<'_, '_>, kind: HwmonKind, channel: u32, limit: &str) -> Option<MilliCelsius> {
    match kind {
        HwmonKind::Temp => chip.told(&format!("temp{channel}_{limit}"), parse::limit_temperature),
        HwmonKind::Fan => None,
    }
}

pub(crate) fn sample(reader: &mut Reader<'_>, channel: &HwmonChannel) -> HwmonSample {
    let mut entry = reader.entry(format!("{DIR}/hwmon{}", channel.hwmon));
    let file = format!("{}{}_input", prefix(channel.kind), channel.channel);
    HwmonSample {
        hwmon: channel.hwmon,
        channel: channel.channel,
        chip: channel.chip.clone(),
        label: channel.label.clone(),
        kind: channel.kind,
        input: entry.required(&file, parser(channel.kind)),
    }
}

fn prefix(kind: HwmonKind) -> &'static str {
    match kind {
        HwmonKind::Temp => "temp",
        HwmonKind::Fan => "fan",
    }
}

fn parser(kind: HwmonKind) -> fn(&str) -> Result<i64, Problem> {
    match kind {
        HwmonKind::Temp => |text| parse::temperature(text).map(|temp| temp.0),
        HwmonKind::Fan => parse::fan_speed,
    }
}
