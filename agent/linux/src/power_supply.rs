//! Mains adapters and batteries. Source: the kernel's `ABI/testing/sysfs-class-power`.

use crate::parse;
use crate::problem::Problem;
use crate::reader::{Entry, Reader};
use machine::{Supply, SupplySample};

pub(crate) const DIR: &str = "/sys/class/power_supply";

pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<Supply> {
    let names = reader.list(DIR);
    names
        .into_iter()
        .filter_map(|name| supply(reader, name))
        .collect()
}

/// A supply of `scope` `Device` feeds only a mouse or a keyboard.
fn supply(reader: &mut Reader<'_>, name: String) -> Option<Supply> {
    let mut entry = reader.entry(format!("{DIR}/{name}"));
    if entry.optional("scope", parse::name).as_deref() == Some("Device") {
        return None;
    }
    let kind = entry.required("type", parse::name);
    Some(Supply { name, kind })
}

pub(crate) fn sample(reader: &mut Reader<'_>, supply: &Supply) -> SupplySample {
    let kind = supply.kind.as_deref();
    let (mains, battery) = (kind == Some("Mains"), kind == Some("Battery"));
    let mut entry = reader.entry(format!("{DIR}/{}", supply.name));
    SupplySample {
        name: supply.name.clone(),
        online: attribute(&mut entry, mains, "online", parse::online),
        capacity: attribute(&mut entry, battery, "capacity", parse::percent),
        status: attribute(&mut entry, battery, "status", parse::name),
    }
}

fn attribute<T>(
    entry: &mut Entry<'_, '_>,
    required: bool,
    file: &str,
    parse: fn(&str) -> Result<T, Problem>,
) -> Option<T> {
    if required {
        entry.required(file, parse)
    } else {
        entry.optional(file, parse)
    }
}
