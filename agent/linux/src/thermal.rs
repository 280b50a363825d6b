//! Thermal zones and their trip points. Source: the kernel's `driver-api/thermal/sysfs-api.rst`.

use crate::parse;
use crate::reader::{Entry, Reader};
use machine::{TripPoint, Zone, ZoneSample};

pub(crate) const DIR: &str = "/sys/class/thermal";

pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<Zone> {
    let ids = reader.numbered(DIR, "thermal_zone", "");
    ids.into_iter().map(|id| zone(reader, id)).collect()
}

fn zone(reader: &mut Reader<'_>, id: u32) -> Zone {
    let mut entry = reader.entry(format!("{DIR}/thermal_zone{id}"));
    let kind = entry.required("type", parse::name);
    let trips = entry.numbered("trip_point_", "_temp");
    let trip_points = trips
        .into_iter()
        .filter_map(|id| trip_point(&mut entry, id))
        .collect();
    Zone {
        id,
        kind,
        trip_points,
    }
}

fn trip_point(zone: &mut Entry<'_, '_>, id: u32) -> Option<TripPoint> {
    let kind = zone.required(&format!("trip_point_{id}_type"), parse::name)?;
    let temp = zone.required(&format!("trip_point_{id}_temp"), parse::trip_temperature)??;
    Some(TripPoint { id, kind, temp })
}

pub(crate) fn sample(reader: &mut Reader<'_>, zone: &Zone) -> ZoneSample {
    let mut entry = reader.entry(format!("{DIR}/thermal_zone{}", zone.id));
    ZoneSample {
        id: zone.id,
        kind: zone.kind.clone(),
        temp: entry.required("temp", parse::temperature),
    }
}
