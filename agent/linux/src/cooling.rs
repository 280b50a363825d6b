//! Thermal cooling devices. Source: the kernel's `driver-api/thermal/sysfs-api.rst`.

use crate::parse;
use crate::reader::Reader;
use crate::thermal::DIR;
use machine::{CoolingDevice, CoolingSample};

pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<CoolingDevice> {
    let ids = reader.numbered(DIR, "cooling_device", "");
    ids.into_iter().map(|id| device(reader, id)).collect()
}

fn device(reader: &mut Reader<'_>, id: u32) -> CoolingDevice {
    let mut entry = reader.entry(format!("{DIR}/cooling_device{id}"));
    CoolingDevice {
        id,
        kind: entry.required("type", parse::name),
        max_state: entry.required("max_state", parse::number),
    }
}

pub(crate) fn sample(reader: &mut Reader<'_>, device: &CoolingDevice) -> CoolingSample {
    let mut entry = reader.entry(format!("{DIR}/cooling_device{}", device.id));
    CoolingSample {
        id: device.id,
        cur_state: entry.required("cur_state", parse::cooling_state).flatten(),
    }
}
