//! Resource properties of a service, as systemd has them on the bus and as Hearth has them.

use super::{SERVICE_UNIT, Systemd};
use api::engine::UnitLimits;
use machine::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use zbus::{OwnedVariant, Variant};

/// A number that means no limit, and a weight that means none of its own.
const NONE: u64 = u64::MAX;

/// A property's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::upper_case_acronyms, reason = "systemd's own names")]
pub(in crate::actuators) enum Property {
    MemoryHigh,
    MemoryMax,
    CPUWeight,
    AllowedCPUs,
}

impl Property {
    pub(in crate::actuators) const ALL: [Self; 4] = [
        Self::MemoryHigh,
        Self::MemoryMax,
        Self::CPUWeight,
        Self::AllowedCPUs,
    ];

    pub(in crate::actuators) fn name(self) -> &'static str {
        match self {
            Self::MemoryHigh => "MemoryHigh",
            Self::MemoryMax => "MemoryMax",
            Self::CPUWeight => "CPUWeight",
            Self::AllowedCPUs => "AllowedCPUs",
        }
    }
}

/// A property's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::actuators) enum Value {
    /// Bytes, or a weight; all bits set for none.
    Number(u64),
    /// A bit for each processor, least significant first; none set: all of them.
    Mask(Vec<u8>),
}

impl Value {
    fn to_variant(&self) -> Variant<'_> {
        match self {
            Self::Number(number) => Variant::from(*number),
            Self::Mask(mask) => Variant::from(mask.as_slice()),
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) if *number != NONE => Some(*number),
            _ => None,
        }
    }

    fn processors(&self) -> Option<Vec<u32>> {
        let Self::Mask(mask) = self else { return None };
        let set = (0..).zip(mask).flat_map(|(byte, bits)| {
            (0..8)
                .filter(move |bit| bits >> bit & 1 == 1)
                .map(move |bit| byte * 8 + bit)
        });
        let set: Vec<u32> = set.collect();
        (!set.is_empty()).then_some(set)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.processors()) {
            (Self::Number(NONE), _) => f.write_str("none"),
            (Self::Number(number), _) => write!(f, "{number}"),
            (Self::Mask(_), None) => f.write_str("all"),
            (Self::Mask(_), Some(processors)) => write!(f, "{processors:?}"),
        }
    }
}

/// Properties and their values.
pub(in crate::actuators) type Properties = BTreeMap<Property, Value>;

/// Those that are chosen.
pub(in crate::actuators) fn chosen(limits: &UnitLimits) -> Properties {
    let number = |bytes: Bytes| Value::Number(bytes.0);
    let all = [
        (Property::MemoryHigh, limits.memory_high.map(number)),
        (Property::MemoryMax, limits.memory_max.map(number)),
        (
            Property::CPUWeight,
            limits.cpu_weight.map(|weight| Value::Number(weight.into())),
        ),
        (Property::AllowedCPUs, limits.allowed_cpus.as_deref().map(mask)),
    ];
    all.into_iter()
        .filter_map(|(property, value)| Some((property, value?)))
        .collect()
}

fn mask(processors: &[u32]) -> Value {
    let bytes = processors.iter().max().map_or(0, |last| *last as usize / 8 + 1);
    let mut mask = vec![0; bytes];
    for processor in processors {
        mask[*processor as usize / 8] |= 1 << (processor % 8);
    }
    Value::Mask(mask)
}

/// Properties as Hearth shows them.
pub(in crate::actuators) fn shown(properties: &Properties) -> UnitLimits {
    let number = |property| properties.get(&property).and_then(Value::number);
    UnitLimits {
        memory_high: number(Property::MemoryHigh).map(Bytes),
        memory_max: number(Property::MemoryMax).map(Bytes),
        cpu_weight: number(Property::CPUWeight).and_then(|weight| weight.try_into().ok()),
        allowed_cpus: properties.get(&Property::AllowedCPUs).and_then(Value::processors),
    }
}

impl Systemd {
    /// Some properties of a service.
    pub(in crate::actuators) async fn resources(
        &self,
        service: &str,
        wanted: impl IntoIterator<Item = Property>,
    ) -> zbus::Result<Properties> {
        let mut found = Properties::new();
        for property in wanted {
            let value = self.property(service, SERVICE_UNIT, property.name()).await?;
            found.insert(property, read(property, value)?);
        }
        Ok(found)
    }

    /// Sets properties of a service until the next boot.
    pub(in crate::actuators) async fn set_resources(
        &self,
        service: &str,
        wanted: &Properties,
    ) -> zbus::Result<()> {
        let properties: Vec<_> = wanted
            .iter()
            .map(|(property, value)| (property.name(), value.to_variant()))
            .collect();
        let runtime = true;
        self.manage("SetUnitProperties", &(service, runtime, properties))
            .await
            .map(drop)
    }
}

fn read(property: Property, value: OwnedVariant) -> zbus::Result<Value> {
    Ok(match property {
        Property::AllowedCPUs => Value::Mask(Vec::try_from(Variant::from(value))?),
        _ => Value::Number(u64::try_from(value)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_comes_back_as_it_was() {
        let limits = UnitLimits {
            memory_high: Some(Bytes(5)),
            memory_max: None,
            cpu_weight: Some(50),
            allowed_cpus: Some(vec![0, 3, 8, 17]),
        };
        let properties = chosen(&limits);
        assert_eq!(
            properties[&Property::AllowedCPUs],
            Value::Mask(vec![0b1001, 1, 2])
        );
        assert_eq!(properties.len(), 3, "what is not chosen is not touched");
        assert_eq!(shown(&properties), limits);
    }

    #[test]
    fn what_systemd_has_for_none_is_none() {
        let all = Property::ALL.map(|property| match property {
            Property::AllowedCPUs => (property, Value::Mask(vec![0, 0])),
            _ => (property, Value::Number(NONE)),
        });
        assert_eq!(shown(&all.into()), UnitLimits::default());
    }
}
