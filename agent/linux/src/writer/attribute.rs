//! The files that are written, and no others.

use crate::parse;
use crate::{cpufreq, platform_profile, powercap};
use machine::BoostSwitch;
use std::fmt;

/// A file that may be written. Their order is the order in which they are written: what moves the clocks' range and the
/// preferences comes before what is set within them, and of a policy the governor first, as `performance` forbids any
/// other preference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attribute {
    CpufreqBoost,
    IntelNoTurbo,
    PlatformProfile,
    Policy { id: u32, file: PolicyFile },
    PowerLimit { domain: String, constraint: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PolicyFile {
    Governor,
    Preference,
    MinFreq,
    MaxFreq,
}

impl PolicyFile {
    const ALL: [Self; 4] = [Self::Governor, Self::Preference, Self::MinFreq, Self::MaxFreq];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Governor => "scaling_governor",
            Self::Preference => "energy_performance_preference",
            Self::MinFreq => "scaling_min_freq",
            Self::MaxFreq => "scaling_max_freq",
        }
    }
}

impl Attribute {
    pub(super) fn boost(switch: BoostSwitch) -> Self {
        match switch {
            BoostSwitch::CpufreqBoost => Self::CpufreqBoost,
            BoostSwitch::IntelNoTurbo => Self::IntelNoTurbo,
        }
    }

    /// Whether the kernel may hold another number than was written: it rounds, and firmware limits.
    pub(super) fn is_number(&self) -> bool {
        match self {
            Self::CpufreqBoost | Self::IntelNoTurbo | Self::PlatformProfile => false,
            Self::Policy { file, .. } => matches!(file, PolicyFile::MinFreq | PolicyFile::MaxFreq),
            Self::PowerLimit { .. } => true,
        }
    }

    /// The attribute of a path, if it is the path of one, letter by letter.
    pub(super) fn of(path: &str) -> Option<Self> {
        [Self::CpufreqBoost, Self::IntelNoTurbo, Self::PlatformProfile]
            .into_iter()
            .find(|attribute| attribute.to_string() == path)
            .or_else(|| policy_file(path))
            .or_else(|| power_limit(path))
    }
}

fn policy_file(path: &str) -> Option<Attribute> {
    let (folder, name) = path
        .strip_prefix(cpufreq::DIR)?
        .strip_prefix('/')?
        .split_once('/')?;
    let file = PolicyFile::ALL.into_iter().find(|file| file.name() == name)?;
    let id = parse::index(folder, "policy", "")?;
    Some(Attribute::Policy { id, file })
}

fn power_limit(path: &str) -> Option<Attribute> {
    let (domain, name) = path
        .strip_prefix(powercap::DIR)?
        .strip_prefix('/')?
        .split_once('/')?;
    let constraint = parse::index(name, "constraint_", "_power_limit_uw")?;
    let domain = powercap::is_domain(domain).then(|| domain.to_owned())?;
    Some(Attribute::PowerLimit { domain, constraint })
}

impl fmt::Display for Attribute {
    /// Its path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CpufreqBoost => f.write_str(cpufreq::BOOST),
            Self::IntelNoTurbo => f.write_str(cpufreq::NO_TURBO),
            Self::PlatformProfile => f.write_str(platform_profile::FILE),
            Self::Policy { id, file } => write!(f, "{}/policy{id}/{}", cpufreq::DIR, file.name()),
            Self::PowerLimit { domain, constraint } => {
                write!(
                    f,
                    "{}/{domain}/constraint_{constraint}_power_limit_uw",
                    powercap::DIR
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> Vec<Attribute> {
        let mut all = vec![
            Attribute::CpufreqBoost,
            Attribute::IntelNoTurbo,
            Attribute::PlatformProfile,
        ];
        all.extend(PolicyFile::ALL.map(|file| Attribute::Policy { id: 12, file }));
        all.push(Attribute::PowerLimit {
            domain: "intel-rapl:0:1".into(),
            constraint: 1,
        });
        all
    }

    #[test]
    fn a_path_leads_back_to_its_attribute() {
        for attribute in all() {
            assert_eq!(Attribute::of(&attribute.to_string()), Some(attribute));
        }
    }

    #[test]
    fn no_other_path_is_one() {
        for path in [
            "",
            "/etc/shadow",
            "/sys/devices/system/cpu/cpufreq/policy0/scaling_setspeed",
            "/sys/devices/system/cpu/cpufreq/policy01/scaling_max_freq",
            "/sys/devices/system/cpu/cpufreq/policy0/../policy0/scaling_max_freq",
            "/sys/class/powercap/../powercap:0/constraint_0_power_limit_uw",
            "/sys/class/powercap/..:/constraint_0_power_limit_uw",
            "/sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw/",
            "/sys/class/powercap/intel-rapl:0/energy_uj",
        ] {
            assert_eq!(Attribute::of(path), None, "{path}");
        }
    }

    #[test]
    fn they_are_written_in_their_order() {
        assert!(all().is_sorted());
    }

    proptest! {
        #[test]
        fn no_path_panics(path in any::<String>(), end in "[a-z_0-9:/.]{0,40}") {
            for path in [path, format!("{}/{end}", cpufreq::DIR), format!("{}/{end}", powercap::DIR)] {
                if let Some(attribute) = Attribute::of(&path) {
                    prop_assert_eq!(attribute.to_string(), path);
                }
            }
        }
    }
}
