//! The maker's names for the machine. Sources: the kernel's `ABI/testing/sysfs-class-dmi` and
//! `drivers/firmware/dmi-id.c`; for machines without DMI the Devicetree Specification, 2.3.1 and 2.3.2.

use crate::parse;
use crate::problem::Problem;
use crate::reader::Reader;
use machine::Dmi;

const DIR: &str = "/sys/class/dmi/id";
const DEVICETREE: &str = "/sys/firmware/devicetree/base";

/// The kernel shows only what the firmware has filled in, so that a missing file is no fault.
pub(crate) fn discover(reader: &mut Reader<'_>) -> Dmi {
    let mut entry = reader.entry(DIR.to_owned());
    let mut name = |file| entry.optional(file, parse::maybe_name).flatten();
    let dmi = Dmi {
        sys_vendor: name("sys_vendor"),
        product_name: name("product_name"),
        board_vendor: name("board_vendor"),
        board_name: name("board_name"),
        bios_version: name("bios_version"),
        bios_date: name("bios_date"),
    };
    if dmi == Dmi::default() {
        devicetree(reader)
    } else {
        dmi
    }
}

/// Boards without DMI tell a `model` for people, and under `compatible` their maker's name, a comma and the board's, as
/// programs know it.
fn devicetree(reader: &mut Reader<'_>) -> Dmi {
    let mut entry = reader.entry(DEVICETREE.to_owned());
    let board = entry.optional("compatible", first_string).flatten();
    let (vendor, name) = match board.as_deref().and_then(|board| board.split_once(',')) {
        Some((vendor, name)) => (Some(vendor.to_owned()), Some(name.to_owned())),
        None => (None, board),
    };
    Dmi {
        sys_vendor: vendor.clone(),
        product_name: entry.optional("model", first_string).flatten(),
        board_vendor: vendor,
        board_name: name,
        ..Dmi::default()
    }
}

/// The first of strings that each end with a zero byte.
fn first_string(text: &str) -> Result<Option<String>, Problem> {
    parse::maybe_name(text.split('\0').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_string_ends_at_its_zero() {
        let compatible = "raspberrypi,5-model-b\0brcm,bcm2712\0";
        assert_eq!(
            first_string(compatible).unwrap().as_deref(),
            Some("raspberrypi,5-model-b")
        );
        assert_eq!(first_string("\0").unwrap(), None);
        assert!(first_string("a\nb\0").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = first_string(&text);
        }
    }
}
