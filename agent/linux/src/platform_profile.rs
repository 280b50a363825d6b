//! The ACPI platform profile. Source: the kernel's `userspace-api/sysfs-platform_profile.rst`.

use crate::parse;
use crate::reader::Reader;

/// The profile in force.
pub(crate) const FILE: &str = "/sys/firmware/acpi/platform_profile";
/// The profiles that can be chosen.
pub(crate) const CHOICES: &str = "/sys/firmware/acpi/platform_profile_choices";

/// What can be chosen; nothing on a machine whose firmware has no profiles.
pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<String> {
    reader.optional(CHOICES, parse::names).unwrap_or_default()
}

/// The profile in force, on a machine that has some. It may be `custom`, which cannot be chosen.
pub(crate) fn sample(reader: &mut Reader<'_>, choices: &[String]) -> Option<String> {
    if choices.is_empty() {
        return None;
    }
    reader.required(FILE, parse::name)
}
