//! The plausibility filter: what the sensors say, and what of it is believed.

mod kinds;

use machine::{HwmonKind, MilliCelsius, Sample};

/// The hottest reading of the processor's sensors.
pub(crate) fn hottest(sample: &Sample, ignored: &[alloc::string::String]) -> Option<MilliCelsius> {
    let counts = |kind: &str| kinds::is_processor(kind) && !ignored.iter().any(|other| other == kind);
    let zones = sample
        .zones
        .iter()
        .filter(|zone| zone.kind.as_deref().is_some_and(counts));
    let chips = sample
        .hwmon
        .iter()
        .filter(|chip| chip.kind == HwmonKind::Temp && counts(&chip.chip));
    let temps = zones
        .filter_map(|zone| zone.temp)
        .chain(chips.filter_map(|chip| chip.input.map(MilliCelsius)));
    temps.filter(|temp| temp.is_plausible()).max()
}
