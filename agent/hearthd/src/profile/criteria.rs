//! How a machine is recognised, and how closely.

use super::filler::is_filler;
use super::pattern;
use machine::Capabilities;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names that a machine must have, all of them. Each is the text itself, in any case, with `*` for any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Criteria {
    /// `/sys/class/dmi/id/sys_vendor`
    #[serde(default)]
    pub(crate) sys_vendor: Option<String>,
    /// `/sys/class/dmi/id/product_name`
    #[serde(default)]
    pub(crate) product_name: Option<String>,
    /// `/sys/class/dmi/id/board_vendor`
    #[serde(default)]
    pub(crate) board_vendor: Option<String>,
    /// `/sys/class/dmi/id/board_name`
    #[serde(default)]
    pub(crate) board_name: Option<String>,
    /// `vendor_id` in `/proc/cpuinfo`
    #[serde(default)]
    pub(crate) cpu_vendor: Option<String>,
    /// `model name` in `/proc/cpuinfo`
    #[serde(default)]
    pub(crate) cpu_model: Option<String>,
    /// The entry of `[sources]` where these names were seen.
    #[serde(default)]
    pub(crate) source: Option<String>,
}

/// How closely criteria name a machine, from the loosest to the closest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// Nothing is asked.
    Anything,
    /// A pattern for the processor's name.
    CpuClass,
    /// The processor's very name.
    CpuModel,
    /// The machine's maker.
    Vendor,
    /// The board.
    Board,
    /// The product.
    Product,
}

impl Level {
    /// As it is told to people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Anything => "nothing: it fits any machine",
            Self::CpuClass => "processor class",
            Self::CpuModel => "processor model",
            Self::Vendor => "maker",
            Self::Board => "board",
            Self::Product => "product",
        }
    }
}

/// A name that the machine tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Name {
    /// The kernel's name of the field.
    pub(crate) field: &'static str,
    /// What it holds; `null` where the machine does not tell.
    pub(crate) value: Option<String>,
    /// Whether it is filler, which fits nothing.
    pub(crate) filler: bool,
}

/// One pattern beside what the machine says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// The field compared.
    pub(crate) field: &'static str,
    /// What the profile asks.
    pub(crate) pattern: String,
    /// What the machine says; `null` where it says nothing, or filler.
    pub(crate) value: Option<String>,
    /// Whether they fit.
    pub(crate) fits: bool,
}

/// How strongly criteria bind, compared field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Closeness {
    pub(crate) level: Level,
    fields: usize,
    characters: usize,
}

impl Criteria {
    /// The patterns that are stated, by field.
    pub(crate) fn stated(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("sys_vendor", &self.sys_vendor),
            ("product_name", &self.product_name),
            ("board_vendor", &self.board_vendor),
            ("board_name", &self.board_name),
            ("cpu_vendor", &self.cpu_vendor),
            ("cpu_model", &self.cpu_model),
        ];
        fields
            .into_iter()
            .filter_map(|(field, pattern)| Some((field, pattern.as_deref()?)))
    }

    /// Whether the names come from the firmware's DMI table, and so must be told where they were seen.
    pub(crate) fn names_dmi(&self) -> bool {
        self.stated().any(|(field, _)| !field.starts_with("cpu_"))
    }

    pub(crate) fn closeness(&self) -> Closeness {
        Closeness {
            level: self.level(),
            fields: self.stated().count(),
            characters: self.stated().map(|(_, text)| pattern::weight(text)).sum(),
        }
    }

    fn level(&self) -> Level {
        if self.product_name.is_some() {
            Level::Product
        } else if self.board_name.is_some() {
            Level::Board
        } else if self.sys_vendor.is_some() || self.board_vendor.is_some() {
            Level::Vendor
        } else if self.cpu_model.as_deref().is_some_and(pattern::is_exact) {
            Level::CpuModel
        } else if self.cpu_model.is_some() || self.cpu_vendor.is_some() {
            Level::CpuClass
        } else {
            Level::Anything
        }
    }

    /// Every stated pattern beside what the machine says.
    pub(crate) fn compare(&self, machine: &[Name]) -> Vec<Comparison> {
        self.stated()
            .map(|(field, text)| {
                let name = machine.iter().find(|name| name.field == field && !name.filler);
                let value = name.and_then(|name| name.value.clone());
                let fits = value.as_deref().is_some_and(|value| pattern::fits(text, value));
                Comparison {
                    field,
                    pattern: text.to_owned(),
                    value,
                    fits,
                }
            })
            .collect()
    }
}

/// What the machine says of itself.
pub(crate) fn names(machine: &Capabilities) -> Vec<Name> {
    let (dmi, cpu) = (&machine.dmi, &machine.features);
    let name = |field, value: &Option<String>| Name {
        field,
        value: value.clone(),
        filler: value.as_deref().is_some_and(is_filler),
    };
    vec![
        name("sys_vendor", &dmi.sys_vendor),
        name("product_name", &dmi.product_name),
        name("board_vendor", &dmi.board_vendor),
        name("board_name", &dmi.board_name),
        name("cpu_vendor", &cpu.vendor_id),
        name("cpu_model", &cpu.model_name),
    ]
}
