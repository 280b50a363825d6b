//! Units as types. Each is the kernel's own unit, so that no reading is rescaled on its way.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub $inner);
    };
}

unit! {
    /// A clock rate in kHz, as cpufreq tells it.
    KiloHertz(u64)
}
unit! {
    /// A temperature in thousandths of a degree Celsius, as the thermal and hwmon classes tell it.
    MilliCelsius(i64)
}
unit! {
    /// A count of bytes.
    Bytes(u64)
}
unit! {
    /// A count of pages of memory; how large one is depends on the machine.
    Pages(u64)
}
unit! {
    /// Energy in microjoules, as powercap's `energy_uj` tells it: a counter that wraps at `max_energy_range_uj`.
    MicroJoules(u64)
}
unit! {
    /// Power in microwatts, as powercap's limits tell it.
    MicroWatts(u64)
}
unit! {
    /// A span of time in microseconds, as PSI and cgroup statistics tell it.
    MicroSeconds(u64)
}
unit! {
    /// An instant: microseconds since the machine was started, suspended time included (`CLOCK_BOOTTIME`).
    BootTime(u64)
}

impl MilliCelsius {
    /// The coldest reading that a machine in a room can honestly give. Firmware without a sensor says −274 °C.
    pub const COLDEST_PLAUSIBLE: Self = Self(-40_000);
    /// The hottest one: silicon is switched off by its own protection well below.
    pub const HOTTEST_PLAUSIBLE: Self = Self(130_000);

    /// Whether a sensor can honestly have read this.
    pub fn is_plausible(self) -> bool {
        (Self::COLDEST_PLAUSIBLE..=Self::HOTTEST_PLAUSIBLE).contains(&self)
    }
}

impl fmt::Display for MilliCelsius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.unsigned_abs() + 50) / 100;
        let sign = if self.0 < 0 && tenths > 0 { "-" } else { "" };
        write!(f, "{sign}{}.{} °C", tenths / 10, tenths % 10)
    }
}

impl fmt::Display for KiloHertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not by adding a half first, which overflows at the top: a driver may say anything.
        write!(f, "{} MHz", self.0 / 1000 + u64::from(self.0 % 1000 >= 500))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match UNITS.iter().find(|(_, size)| self.0 >= *size) {
            Some((unit, size)) => {
                let tenths = (u128::from(self.0) * 10 + u128::from(size / 2)) / u128::from(*size);
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn temperatures_read_as_people_write_them() {
        assert_eq!(MilliCelsius(45_049).to_string(), "45.0 °C");
        assert_eq!(MilliCelsius(45_050).to_string(), "45.1 °C");
        assert_eq!(MilliCelsius(-1_500).to_string(), "-1.5 °C");
        assert_eq!(MilliCelsius(-49).to_string(), "0.0 °C");
    }

    #[test]
    fn clocks_are_rounded_and_the_highest_is_not_nought() {
        assert_eq!(KiloHertz(799_499).to_string(), "799 MHz");
        assert_eq!(KiloHertz(799_500).to_string(), "800 MHz");
        assert_eq!(KiloHertz(u64::MAX).to_string(), "18446744073709552 MHz");
    }

    #[test]
    fn absurd_temperatures_are_told_from_real_ones() {
        assert!(!MilliCelsius(-274_000).is_plausible());
        assert!(!MilliCelsius(130_001).is_plausible());
        assert!(MilliCelsius(-40_000).is_plausible());
        assert!(MilliCelsius(104_999).is_plausible());
    }

    #[test]
    fn bytes_choose_their_unit() {
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes(1 << 20).to_string(), "1.0 MiB");
        assert_eq!(Bytes(u64::MAX).to_string(), "17179869184.0 GiB");
    }
}
