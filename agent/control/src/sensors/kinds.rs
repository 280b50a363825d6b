//! Which sensors sit on the processor, and which other things know what they bear.

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

/// hwmon chips, by the beginnings of their names, that stand for one thing and tell its own limit: disks, radios, network
/// and graphics cards, memory modules. A board's monitoring chip (`nct6775`, `it87`) does not: its limits are defaults, and
/// a header without a thermistor reads 120 °C for ever.
const THINGS: [&str; 15] = [
    "nvme",
    "drivetemp",
    "iwlwifi",
    "ath1",
    "mt79",
    "mt76",
    "rtw",
    "r8169",
    "enp",
    "amdgpu",
    "i915",
    "xe",
    "nouveau",
    "jc42",
    "spd5118",
];

/// Whether a hwmon chip's limits are its own thing's, and to be kept.
pub(super) fn knows_its_limit(chip: &str) -> bool {
    THINGS.iter().any(|beginning| chip.starts_with(beginning))
}

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

    #[test]
    fn a_disk_knows_what_it_bears_and_a_boards_chip_does_not() {
        assert!(knows_its_limit("nvme") && knows_its_limit("iwlwifi_1"));
        assert!(!knows_its_limit("nct6775") && !knows_its_limit("it8786"));
    }
}
