//! What others are shown of hearthd's state: values made of other values, without any act.

mod alerts;
mod memory;
mod package_power;
mod power;
mod profiles;
mod published;
mod reaction;
mod row;
mod thermal;

pub(crate) use alerts::{Alert, Alerts};
pub(crate) use memory::memory;
pub(crate) use package_power::PackagePower;
pub(crate) use power::{PowerFacts, power};
pub(crate) use profiles::{Dictionary, Profiles};
pub(crate) use published::{Changes, Published, Readings};
pub(crate) use reaction::Reactions;
pub(crate) use row::row;
pub(crate) use thermal::{ThermalFacts, thermal};
