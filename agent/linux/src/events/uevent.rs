//! Uevents of kobjects: `action@path`, then `KEY=value` strings, each ended by a zero byte. Source: the kernel's
//! `lib/kobject_uevent.c`.

use super::KernelEvent;
use crate::parse;

/// What a uevent tells, if it is worth a look.
pub(super) fn event(datagram: &[u8]) -> Option<KernelEvent> {
    let mut strings = datagram.split(|byte| *byte == 0).map(std::str::from_utf8);
    let (action, path) = strings.next()?.ok()?.split_once('@')?;
    let subsystem = strings.find_map(|text| text.ok()?.strip_prefix("SUBSYSTEM="))?;
    let came_or_went = matches!(
        action,
        "add" | "remove" | "online" | "offline" | "bind" | "unbind" | "move"
    );
    match subsystem {
        "power_supply" if came_or_went => Some(KernelEvent::Devices),
        "power_supply" => Some(KernelEvent::PowerSupply),
        "cpu" | "hwmon" | "powercap" | "thermal" if came_or_went => Some(KernelEvent::Devices),
        "thermal" => Some(KernelEvent::Thermal { zone: zone(path) }),
        _ => None,
    }
}

fn zone(path: &str) -> Option<u32> {
    parse::index(path.rsplit('/').next()?, "thermal_zone", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(action: &str, path: &str, subsystem: &str) -> Option<KernelEvent> {
        let datagram =
            format!("{action}@{path}\0ACTION={action}\0DEVPATH={path}\0SUBSYSTEM={subsystem}\0SEQNUM=1\0");
        event(datagram.as_bytes())
    }

    #[test]
    fn what_concerns_power_and_heat_is_told() {
        let zone = "/devices/virtual/thermal/thermal_zone2";
        assert_eq!(
            told("change", zone, "thermal"),
            Some(KernelEvent::Thermal { zone: Some(2) })
        );
        assert_eq!(told("remove", zone, "thermal"), Some(KernelEvent::Devices));
        let adapter = "/devices/LNXSYSTM:00/ACPI0003:00/power_supply/AC";
        assert_eq!(
            told("change", adapter, "power_supply"),
            Some(KernelEvent::PowerSupply)
        );
        assert_eq!(told("add", adapter, "power_supply"), Some(KernelEvent::Devices));
        for action in ["online", "offline"] {
            assert_eq!(
                told(action, "/devices/system/cpu/cpu1", "cpu"),
                Some(KernelEvent::Devices)
            );
        }
    }

    #[test]
    fn everything_else_is_not() {
        assert_eq!(told("add", "/devices/virtual/block/loop0", "block"), None);
        assert_eq!(told("change", "/devices/system/cpu/cpu1", "cpu"), None);
        assert_eq!(event(b""), None);
        assert_eq!(
            event(b"libudev\0SUBSYSTEM=thermal\0"),
            None,
            "not the kernel's layout"
        );
        assert_eq!(
            event(b"add@/x\0\xff\xfe\0SUBSYSTEM=hwmon\0"),
            Some(KernelEvent::Devices)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = event(&bytes);
        }

        #[test]
        fn no_strings_panic(text in "[a-z@/=\u{0}é]{0,60}", subsystem in "(thermal|cpu|power_supply)?") {
            let _ = event(format!("{text}\0SUBSYSTEM={subsystem}\0").as_bytes());
        }
    }
}
