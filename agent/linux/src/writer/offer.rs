//! What a machine offers for a file: a wish beyond a range is clamped, and one for a name that is not on offer is
//! refused.

use super::attribute::{Attribute, PolicyFile};
use crate::problem::Problem;
use crate::reader::Reader;
use crate::{cpufreq, parse, platform_profile, powercap};

/// Drivers that choose the clock themselves, and whose governor `performance` allows no other preference: the kernel's
/// `admin-guide/pm/intel_pstate.rst`, "Energy vs Performance Hints", and `admin-guide/pm/amd-pstate.rst`.
const ACTIVE_DRIVERS: [&str; 2] = ["intel_pstate", "amd-pstate-epp"];

/// The name of both a governor and a preference.
pub(super) const PERFORMANCE: &str = "performance";

/// What may be written for a wish; `None` with a warning in `reader` if nothing may.
pub(super) fn offered(reader: &mut Reader<'_>, attribute: &Attribute, wish: &str) -> Option<String> {
    match attribute {
        Attribute::CpufreqBoost | Attribute::IntelNoTurbo => Some(wish.to_owned()),
        Attribute::PlatformProfile => {
            let choices = reader.required(platform_profile::CHOICES, parse::names)?;
            choice(reader, attribute, choices, wish)
        }
        Attribute::Policy { id, file } => {
            let policy = format!("{}/policy{id}", cpufreq::DIR);
            match file {
                PolicyFile::Governor => {
                    let governors = format!("{policy}/scaling_available_governors");
                    let choices = reader.required(&governors, parse::names)?;
                    choice(reader, attribute, choices, wish)
                }
                PolicyFile::Preference => preference(reader, attribute, &policy, wish),
                PolicyFile::MinFreq | PolicyFile::MaxFreq => clock(reader, &policy, wish),
            }
        }
        Attribute::PowerLimit { domain, constraint } => power(reader, domain, *constraint, wish),
    }
}

fn choice(
    reader: &mut Reader<'_>,
    attribute: &Attribute,
    choices: Vec<String>,
    wish: &str,
) -> Option<String> {
    if choices.iter().any(|choice| choice == wish) {
        return Some(wish.to_owned());
    }
    let choices = choices.join(" ");
    let wish = wish.to_owned();
    reader.warn(&attribute.to_string(), &Problem::NotOffered { wish, choices });
    None
}

/// Besides the names, `intel_pstate` takes the bare numbers that it shows for a preference that has no name.
fn preference(reader: &mut Reader<'_>, attribute: &Attribute, policy: &str, wish: &str) -> Option<String> {
    if wish.parse::<u8>().is_ok() {
        return Some(wish.to_owned());
    }
    let names = format!("{policy}/energy_performance_available_preferences");
    let choices = reader.required(&names, parse::names)?;
    choice(reader, attribute, choices, wish)
}

/// Whether the governor in force allows no preference but `performance`.
pub(super) fn is_fixed(reader: &mut Reader<'_>, policy: &str) -> bool {
    let mut is = |file: &str, names: &[&str]| {
        let name = reader.optional(&format!("{policy}/{file}"), parse::name);
        name.is_some_and(|name| names.contains(&name.as_str()))
    };
    is("scaling_driver", &ACTIVE_DRIVERS) && is("scaling_governor", &[PERFORMANCE])
}

fn clock(reader: &mut Reader<'_>, policy: &str, wish: &str) -> Option<String> {
    let lowest = reader.required(&format!("{policy}/cpuinfo_min_freq"), parse::clock)?;
    let highest = reader.required(&format!("{policy}/cpuinfo_max_freq"), parse::clock)?;
    let wish: u64 = wish.parse().ok()?;
    Some(wish.max(lowest.0).min(highest.0).to_string())
}

/// Many domains tell no highest limit, or 0. A limit of nought would be the slowest machine there is.
fn power(reader: &mut Reader<'_>, domain: &str, constraint: u32, wish: &str) -> Option<String> {
    let highest = powercap::max_power(reader, domain, constraint);
    let wish: u64 = wish.parse().ok()?;
    Some(
        highest
            .map_or(wish, |highest| wish.min(highest.0))
            .max(1)
            .to_string(),
    )
}
