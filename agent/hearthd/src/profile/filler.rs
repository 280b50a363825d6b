//! DMI strings that name nothing: what a board's maker has left as the firmware's maker delivered it.

use super::pattern::fits;

/// As patterns. Each was seen in `/sys/class/dmi/id` of machines sold to people.
const FILLER: &[&str] = &[
    "*default string*",
    "to be filled by o.e.m.*",
    "to be filled by oem",
    "o.e.m.",
    "oem",
    "oem default string*",
    "system manufacturer",
    "system product name",
    "system name",
    "system version",
    "base board*",
    "type1*",
    "type2*",
    "not applicable",
    "not available",
    "not specified",
    "n/a",
    "none",
    "null",
    "empty",
    "unknown*",
    "undefined",
    "invalid",
    "default",
    "product name",
    "manufacturer",
    "x.x",
    "xxx*",
    "000000*",
    "123456789*",
    "0123456789*",
];

/// Whether a name from the firmware says nothing about the machine.
pub(super) fn is_filler(name: &str) -> bool {
    !name.chars().any(char::is_alphanumeric) || FILLER.iter().any(|filler| fits(filler, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makers_leave_unfilled_is_no_name() {
        for name in [
            "Default string",
            "To Be Filled By O.E.M.",
            "To be filled by O.E.M. ",
            "System Product Name",
            "  ",
            "...",
            "Type2 - Board Product Name1",
            "Not Applicable",
        ] {
            assert!(is_filler(name), "{name}");
        }
    }

    #[test]
    fn names_are_names() {
        for name in [
            "MINI S",
            "EQ",
            "QEMU",
            "AZW",
            "20VHS00000",
            "OEMgroup X1",
            "NUC12WSHi5",
        ] {
            assert!(!is_filler(name), "{name}");
        }
    }
}
