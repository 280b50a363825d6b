//! Events of the generic netlink families `thermal` and `acpi_event`. Sources: the kernel's
//! `include/uapi/linux/thermal.h`, `drivers/thermal/thermal_netlink.c` and `drivers/acpi/event.c`.

use super::KernelEvent;
use super::family::{GENERIC_HEADER, Kind};
use super::netlink::{Attribute, u32_at};

/// `THERMAL_GENL_ATTR_TZ_ID`
const ATTR_ZONE: u16 = 2;
/// `ACPI_GENL_ATTR_EVENT`
const ATTR_ACPI_EVENT: u16 = 1;
/// `device_class` of a `struct acpi_genl_event`, filled up with zeros.
const DEVICE_CLASS_BYTES: usize = 20;

/// What a message of a family tells, if it is worth a look.
pub(super) fn event(family: Kind, payload: &[u8]) -> Option<KernelEvent> {
    let (header, attributes) = payload.split_first_chunk::<GENERIC_HEADER>()?;
    match family {
        Kind::Thermal => thermal(header[0], attributes),
        Kind::Acpi => acpi(attributes),
    }
}

/// States of cooling devices, governors of zones and the capacities that Intel's firmware tells many times a second are
/// no reason to look.
fn thermal(command: u8, attributes: &[u8]) -> Option<KernelEvent> {
    let zone = || Attribute::find(attributes, ATTR_ZONE).and_then(|id| u32_at(id, 0));
    match command {
        // A zone was disabled or enabled, a trip point crossed upwards or downwards.
        3..=6 => Some(KernelEvent::Thermal { zone: zone() }),
        // A zone came or went, a trip point was changed, added or removed, a cooling device came or went.
        1 | 2 | 7..=11 => Some(KernelEvent::Devices),
        _ => None,
    }
}

/// What a processor's driver tells is mostly `_PPC`, firmware's limit of the clock.
fn acpi(attributes: &[u8]) -> Option<KernelEvent> {
    let event = Attribute::find(attributes, ATTR_ACPI_EVENT)?;
    let class = event.first_chunk::<DEVICE_CLASS_BYTES>()?;
    match class.split(|byte| *byte == 0).next()? {
        b"processor" | b"thermal_zone" => Some(KernelEvent::Thermal { zone: None }),
        b"ac_adapter" | b"battery" => Some(KernelEvent::PowerSupply),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::netlink::push_attribute;
    use super::*;
    use proptest::prelude::*;

    fn thermal_event(command: u8) -> Vec<u8> {
        let mut payload = vec![command, 2, 0, 0];
        push_attribute(&mut payload, ATTR_ZONE, &3u32.to_ne_bytes());
        push_attribute(&mut payload, 5, &0u32.to_ne_bytes());
        payload
    }

    fn acpi_event(class: &[u8]) -> Vec<u8> {
        let mut event = class.to_vec();
        event.resize(44, 0);
        let mut payload = vec![1, 1, 0, 0];
        push_attribute(&mut payload, ATTR_ACPI_EVENT, &event);
        payload
    }

    #[test]
    fn a_crossed_trip_point_names_its_zone() {
        for command in [5, 6] {
            let event = event(Kind::Thermal, &thermal_event(command));
            assert_eq!(event, Some(KernelEvent::Thermal { zone: Some(3) }));
        }
        assert_eq!(
            event(Kind::Thermal, &[5, 2, 0, 0]),
            Some(KernelEvent::Thermal { zone: None })
        );
    }

    #[test]
    fn what_comes_and_goes_is_told_and_chatter_is_not() {
        for (command, told) in [
            (1, Some(KernelEvent::Devices)),
            (7, Some(KernelEvent::Devices)),
            (11, Some(KernelEvent::Devices)),
            (0, None),
            (12, None),
            (14, None),
            (200, None),
        ] {
            assert_eq!(event(Kind::Thermal, &thermal_event(command)), told, "{command}");
        }
    }

    #[test]
    fn firmware_tells_of_limits_and_supplies() {
        for (class, told) in [
            (&b"processor"[..], Some(KernelEvent::Thermal { zone: None })),
            (b"ac_adapter", Some(KernelEvent::PowerSupply)),
            (b"battery", Some(KernelEvent::PowerSupply)),
            (b"button/power", None),
            (b"processor2", None),
        ] {
            assert_eq!(event(Kind::Acpi, &acpi_event(class)), told, "{class:?}");
        }
        assert_eq!(event(Kind::Acpi, &[1, 1, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (event(Kind::Thermal, &bytes), event(Kind::Acpi, &bytes));
        }

        #[test]
        fn no_truncation_panics(cut in 0usize..60, at in 0usize..60, byte: u8) {
            let mut bytes = acpi_event(b"battery");
            bytes[at.min(51)] = byte;
            bytes.truncate(cut);
            let _ = (event(Kind::Thermal, &bytes), event(Kind::Acpi, &bytes));
        }
    }
}
