//! Why a machine got the profile it got, as data.

use super::criteria::{Comparison, Level, Name};
use super::fragment::Source;
use serde::Serialize;
use std::path::PathBuf;

/// Which profile was chosen for a machine, why, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Explanation {
    /// What the machine says of itself.
    pub(crate) machine: Vec<Name>,
    /// The chosen profile's name.
    pub(crate) profile: String,
    /// How it fits; `null` where none did and the built-in values count.
    pub(crate) fit: Option<Fit>,
    /// The chosen profile and those it extends, nearest first.
    pub(crate) chain: Vec<String>,
    /// Every resolved value and where it comes from.
    pub(crate) values: Vec<Value>,
    /// The profiles that were not chosen.
    pub(crate) others: Vec<Other>,
}

/// How the chosen profile fits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Fit {
    /// What people call the machine.
    pub(crate) name: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// How closely it names the machine.
    pub(crate) level: Level,
    /// Each name it asks, beside the machine's.
    pub(crate) comparisons: Vec<Comparison>,
    /// Where those names were seen.
    pub(crate) source: Option<Source>,
}

/// One resolved value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Value {
    /// The key in the file.
    pub(crate) key: &'static str,
    /// The value with its unit, as people write it; `null` where nobody has published one.
    pub(crate) value: Option<String>,
    /// The profile it was written in; `null` where it was written in none.
    pub(crate) profile: Option<String>,
    /// Where it was published.
    pub(crate) source: Option<Source>,
    /// Why it is so, where the file says it.
    pub(crate) why: Option<String>,
}

/// A profile that was not chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Other {
    /// Its name.
    pub(crate) profile: String,
    /// Whether it fits all the same.
    pub(crate) fits: bool,
    /// Whether anything of it fits.
    pub(crate) near: bool,
    /// Why it was not chosen.
    pub(crate) why_not: String,
}
