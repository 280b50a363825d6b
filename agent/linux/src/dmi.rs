//! The maker's names for the machine. Source: the kernel's `ABI/testing/sysfs-class-dmi` and `drivers/firmware/dmi-id.c`.

use crate::parse;
use crate::reader::Reader;
use machine::Dmi;

const DIR: &str = "/sys/class/dmi/id";

/// The kernel shows only what the firmware has filled in, so that a missing file is no fault.
pub(crate) fn discover(reader: &mut Reader<'_>) -> Dmi {
    let mut entry = reader.entry(DIR.to_owned());
    let mut name = |file| entry.optional(file, parse::maybe_name).flatten();
    Dmi {
        sys_vendor: name("sys_vendor"),
        product_name: name("product_name"),
        board_vendor: name("board_vendor"),
        board_name: name("board_name"),
        bios_version: name("bios_version"),
        bios_date: name("bios_date"),
    }
}
