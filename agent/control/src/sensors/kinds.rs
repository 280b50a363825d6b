//! Which sensors sit on the processor.

/// Thermal zone types and hwmon chips that measure the processor, in lower case: exact names first, then beginnings.
/// Sources: `drivers/thermal/intel/x86_pkg_temp_thermal.c`, `int340x_thermal`, `drivers/acpi/thermal.c` (`acpitz`),
/// hwmon's `coretemp.rst`, `k10temp.rst`, `cpu_thermal` of the Raspberry Pi's device tree, and the names that device
/// trees of ARM boards give (`cpu-thermal`, `soc-thermal`, `cpu0-thermal`, `bigcore0-thermal`).
const EXACT: [&str; 8] = [
    "x86_pkg_temp",
    "tcpu",
    "tcpu_pci",
    "b0d4",
    "acpitz",
    "coretemp",
    "k10temp",
    "zenpower",
];
const BEGINNINGS: [&str; 5] = ["cpu", "soc", "bigcore", "littlecore", "package"];

/// Whether a thermal zone's type, or a hwmon chip's name, belongs to the processor.
pub(super) fn is_processor(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    EXACT.contains(&kind.as_str()) || BEGINNINGS.iter().any(|beginning| kind.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_radios_and_boards_are_not_the_processor() {
        for kind in [
            "x86_pkg_temp",
            "TCPU",
            "acpitz",
            "cpu-thermal",
            "soc_thermal",
            "cpu_thermal",
            "k10temp",
        ] {
            assert!(is_processor(kind), "{kind}");
        }
        for kind in [
            "nvme",
            "iwlwifi_1",
            "mt7921_phy0",
            "nct6775",
            "amdgpu",
            "INT3400 Thermal",
            "pch_cannonlake",
        ] {
            assert!(!is_processor(kind), "{kind}");
        }
    }
}
