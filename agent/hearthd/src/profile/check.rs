//! What a file must satisfy beyond its shape.

use super::fragment::{FanFragment, Fragment, IgnoredSensor, Source};
use super::problem::Fault;
use super::quantity::Quantity;
use super::{filler, pattern};
use std::collections::BTreeSet;

/// The folders whose profiles may hold numbers that nobody published, with a reason: ours and the administrator's.
const OWN_CHOICE: [&str; 2] = ["generic", "local"];

/// Everything wrong with a fragment.
pub(super) fn faults(id: &str, fragment: &Fragment) -> Vec<Fault> {
    let mut check = Check {
        fragment,
        own_choice: OWN_CHOICE.iter().any(|vendor| vendor_of(id) == *vendor),
        used: BTreeSet::new(),
        faults: Vec::new(),
    };
    check.all(id);
    check.faults
}

/// Whether a name can be part of `<vendor>/<product>`.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(allowed)
}

fn vendor_of(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

struct Check<'a> {
    fragment: &'a Fragment,
    own_choice: bool,
    used: BTreeSet<&'a str>,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn all(&mut self, id: &str) {
        let fragment = self.fragment;
        if fragment.name.trim().is_empty() {
            self.fault("name", "is empty: say what people call it");
        }
        self.extends(id);
        self.criteria();
        self.quantity("target", fragment.target.as_ref());
        self.quantity("tjmax", fragment.tjmax.as_ref());
        self.quantity("margin", fragment.margin.as_ref());
        self.quantity("tdp", fragment.tdp.as_ref());
        self.quantity("sustained", fragment.sustained.as_ref());
        self.quantity("burst", fragment.burst.as_ref());
        self.quantity("decode_loss", fragment.decode_loss.as_ref());
        if let Some(fan) = &fragment.fan {
            self.fan(fan);
        }
        for (at, sensor) in fragment.ignored_sensors.iter().enumerate() {
            self.sensor(at, sensor);
        }
        self.sources();
    }

    fn fault(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.faults.push((key.into(), problem.into()));
    }

    fn extends(&mut self, id: &str) {
        let Some(parent) = self.fragment.extends.as_deref() else {
            return;
        };
        let parts: Vec<&str> = parent.split('/').collect();
        if parts.len() != 2 || !parts.iter().all(|part| is_name(part)) {
            self.fault(
                "extends",
                format!("{parent:?} is not <vendor>/<product> in a-z, 0-9 and -"),
            );
        } else if parent == id {
            self.fault("extends", "names this very profile");
        }
    }

    fn criteria(&mut self) {
        for (at, criteria) in self.fragment.criteria.iter().enumerate() {
            let key = format!("match[{at}]");
            for (field, text) in criteria.stated() {
                self.pattern(format!("{key}.{field}"), text);
            }
            if criteria.stated().next().is_none() && !self.own_choice {
                self.fault(
                    key.as_str(),
                    "asks nothing: only a generic or local profile may fit any machine",
                );
            }
            // Whoever writes a profile for a machine of their own has seen its names there.
            let needed = criteria.names_dmi() && !self.own_choice;
            self.source(&key, criteria.source.as_deref(), None, needed);
        }
    }

    fn pattern(&mut self, key: String, text: &str) {
        if pattern::weight(text) == 0 {
            self.fault(key, "fits anything: leave the key out instead");
        } else if filler::is_filler(text) {
            self.fault(
                key,
                format!("{text:?} is filler that many machines have, and never fits"),
            );
        }
    }

    fn quantity<Q: Quantity>(&mut self, key: &str, quantity: Option<&'a Q>) {
        let Some(quantity) = quantity else { return };
        let (number, range) = (quantity.number(), Q::RANGE);
        if !range.contains(&number) {
            let (start, end, unit) = (range.start(), range.end(), Q::UNIT);
            self.fault(
                key,
                format!("{number} {unit} is not within {start} to {end} {unit}"),
            );
        }
        self.source(key, quantity.source(), quantity.why(), true);
    }

    fn fan(&mut self, fan: &'a FanFragment) {
        if fan.tachometer && !fan.present {
            self.fault("fan.tachometer", "is told of a fan that is not present");
        }
        self.source("fan", fan.source.as_deref(), fan.why.as_deref(), true);
    }

    fn sensor(&mut self, at: usize, sensor: &'a IgnoredSensor) {
        let key = format!("ignored_sensors[{at}]");
        if sensor.sensor.trim().is_empty() {
            self.fault(format!("{key}.sensor"), "is empty");
        }
        self.source(&key, sensor.source.as_deref(), sensor.why.as_deref(), true);
    }

    /// A source must be one of this file's; doing without needs a reason, and the right to give one.
    fn source(&mut self, key: &str, source: Option<&'a str>, why: Option<&str>, needed: bool) {
        match source {
            Some(name) if self.fragment.sources.contains_key(name) => {
                self.used.insert(name);
            }
            Some(name) => {
                let known: Vec<&str> = self.fragment.sources.keys().map(String::as_str).collect();
                let known = known.join(", ");
                self.fault(
                    format!("{key}.source"),
                    format!("[sources.{name}] is not in this file; it has: {known}"),
                );
            }
            None if !needed => {}
            None if !self.own_choice => self.fault(
                key,
                "has no source: only generic and local profiles may choose for themselves",
            ),
            None if why.is_none_or(|why| why.trim().is_empty()) => {
                self.fault(
                    key,
                    "has neither a source nor a why: say where it comes from or why it was chosen",
                );
            }
            None => {}
        }
    }

    fn sources(&mut self) {
        for (name, source) in &self.fragment.sources {
            let key = format!("sources.{name}");
            if !self.used.contains(name.as_str()) {
                self.fault(key.as_str(), "is used by nothing in this file");
            }
            if source.title.trim().is_empty() {
                self.fault(format!("{key}.title"), "is empty");
            }
            self.address(&key, source);
        }
    }

    fn address(&mut self, key: &str, source: &Source) {
        let url = &source.url;
        if !["https://", "http://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            self.fault(
                format!("{key}.url"),
                format!("{url:?} does not begin with https:// or http://"),
            );
        }
        if !is_day(&source.seen) {
            let seen = &source.seen;
            self.fault(
                format!("{key}.seen"),
                format!("{seen:?} is not a day written YYYY-MM-DD"),
            );
        }
    }
}

fn is_day(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number = |digits: usize, range: std::ops::RangeInclusive<u32>| {
        let part = parts.next().unwrap_or_default();
        part.len() == digits
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse().is_ok_and(|number| range.contains(&number))
    };
    number(4, 1970..=9999) && number(2, 1..=12) && number(2, 1..=31) && parts.next().is_none()
}
