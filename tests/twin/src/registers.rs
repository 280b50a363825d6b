//! The page that host and guest share: 32-bit words, little-endian, read and written by the ACPI table's methods.
//!
//! It is the memory of QEMU's `ivshmem-plain` device, backed by a file on the host.

/// Where a word lies, in bytes from the page's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u32);

impl Register {
    /// Told by the host: the temperature, in tenths of a kelvin as `_TMP` has it.
    pub const TEMPERATURE: Self = Self(0x04);
    /// Told by the host: the first P-state that may be used, `_PPC`; 0 allows all.
    pub const PERFORMANCE_LIMIT: Self = Self(0x08);
    /// Told by the host: whether the mains adapter feeds, 0 or 1.
    pub const MAINS: Self = Self(0x0c);
    /// Told by the guest: the fan's level.
    pub const FAN_LEVEL: Self = Self(0x10);
    /// Told by the host: the fan's revolutions per minute.
    pub const FAN_RPM: Self = Self(0x14);
    /// Told by the host: 1 while the battery discharges, 2 while it charges, `_BST`.
    pub const BATTERY_STATE: Self = Self(0x18);
    /// Told by the host: the rate of that in mW.
    pub const BATTERY_RATE: Self = Self(0x1c);
    /// Told by the host: what is left in mWh.
    pub const BATTERY_REMAINING: Self = Self(0x20);
    /// Told by the host: 1 while `_TMP` shall fail, as of a sensor that has come loose.
    pub const SENSOR_FAULT: Self = Self(0x24);
    /// Told by the guest: how often `_TMP` was asked.
    pub const TEMPERATURE_READS: Self = Self(0x28);
    /// Told by the host: what has changed, for the next interrupt; a sum of [`Event`]s.
    pub const EVENTS: Self = Self(0x2c);

    /// The offset in bytes.
    pub const fn offset(self) -> u32 {
        self.0
    }
}

/// Length of the shared memory in bytes: the least that QEMU makes a device of.
pub const LENGTH: u64 = 1 << 20;
/// PCI slot of the shared memory's device on bus 0.
pub const PCI_SLOT: u32 = 0x1e;
/// I/O port to which processor 0 writes its P-state, a byte of MHz / 100; the next processors' follow.
pub const PSTATE_PORT: u32 = 0x5c0;
/// Interrupt of the Generic Event Device.
pub const EVENT_INTERRUPT: u32 = 5;

/// What an interrupt tells the guest, a bit in [`Register::EVENTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The temperature has crossed something.
    Temperature = 1,
    /// The firmware's limit on P-states has changed.
    PerformanceLimit = 2,
    /// The mains adapter was plugged or pulled.
    Mains = 4,
    /// The battery has changed.
    Battery = 8,
}

/// A temperature as [`Register::TEMPERATURE`] has it. The kernel takes 273.2 K for 0 °C.
pub fn deci_kelvin(celsius: f64) -> u32 {
    (celsius * 10.0 + 2732.0).round().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temperature_is_whole_tenths_of_a_kelvin() {
        assert_eq!(deci_kelvin(40.0), 3132);
        assert_eq!(deci_kelvin(-300.0), 0);
    }
}
