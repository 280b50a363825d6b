//! Whether this process may use AMX: its tiles are 8 KiB for each thread, which Linux keeps room for only where a
//! process has asked for them (Documentation/arch/x86/xstate.rst).
#![allow(
    unsafe_code,
    reason = "a system call and a register that tells what the kernel has enabled"
)]

use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc::{SYS_arch_prctl, c_long, syscall};

/// In EDX of leaf 7: AMX-TILE and AMX-INT8.
const TILES_OF_BYTES: u32 = 1 << 24 | 1 << 25;
/// The tiles' configuration and the tiles themselves, in XCR0.
const TILE_STATES: u64 = 1 << 17 | 1 << 18;
/// In ECX of leaf 1: the kernel lets states be asked for.
const OSXSAVE: u32 = 1 << 27;
/// `ARCH_REQ_XCOMP_PERM`, of `arch/x86/include/uapi/asm/prctl.h`.
const REQUEST_PERMISSION: c_long = 0x1023;
/// `XFEATURE_XTILEDATA`.
const TILE_DATA: c_long = 18;

/// Whether the processor has AMX for bytes and the kernel lets this process, all its threads, use it: it is asked for
/// that once.
pub(super) fn permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| has_tiles_of_bytes() && kernel_keeps_tiles() && request().is_ok())
}

fn has_tiles_of_bytes() -> bool {
    let [shapes, palettes] = [7, 0x1D].map(|leaf| __cpuid(0).eax >= leaf);
    shapes && palettes && __cpuid_count(7, 0).edx & TILES_OF_BYTES == TILES_OF_BYTES && palette_is_known()
}

/// Whether the one palette that there is has 8 tiles of 16 rows of 64 bytes.
fn palette_is_known() -> bool {
    let palette = __cpuid_count(0x1D, 1);
    let [tiles, row_bytes, rows] = [palette.ebx >> 16, palette.ebx & 0xFFFF, palette.ecx & 0xFFFF];
    tiles >= 8 && row_bytes >= 64 && rows >= 16
}

fn kernel_keeps_tiles() -> bool {
    #[target_feature(enable = "xsave")]
    fn states() -> u64 {
        // SAFETY: whoever calls this knows that the kernel has enabled the instruction.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: the bit tells that the processor has XSAVE and that the kernel has enabled it.
    __cpuid(1).ecx & OSXSAVE != 0 && unsafe { states() } & TILE_STATES == TILE_STATES
}

fn request() -> nix::Result<()> {
    // SAFETY: the call takes two numbers and changes nothing but what this process may use.
    Errno::result(unsafe { syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amx_is_offered_only_where_processor_and_kernel_have_it() {
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
        if has("amx_tile") && has("amx_int8") {
            assert!(has_tiles_of_bytes() && kernel_keeps_tiles());
        } else {
            assert!(!permitted());
        }
    }
}
