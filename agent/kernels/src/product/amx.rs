//! Tiles of AMX with its products of 8 bits, by inline assembly: Rust has no stable intrinsics for them.
#![allow(unsafe_code, reason = "inline assembly")]

use std::arch::asm;
use std::cell::Cell;
use std::marker::PhantomData;

use super::wide::{TileSums, Tiles};
use crate::layout::ROWS;
use crate::path::{Instructions, Path};

/// The proof that the processor has AMX for bytes and that the kernel lets this process use it.
#[derive(Clone, Copy)]
pub(super) struct Amx(());

impl Amx {
    /// The proof, if the path has it.
    pub(super) fn of(path: Path) -> Option<Self> {
        (path.instructions() == Instructions::Amx).then_some(Self(()))
    }

    /// Sets this thread's tiles up.
    ///
    /// # Panics
    /// If they are set up already.
    pub(super) fn set_up(self) -> AmxTiles {
        let only = Only::on_this_thread();
        // SAFETY: a value of this type is the proof that the processor has these instructions; `SHAPES` is 64 bytes
        // and a configuration of the palette that every AMX has.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, preserves_flags, readonly))
        };
        AmxTiles { _only: only }
    }
}

thread_local! {
    static SET_UP: Cell<bool> = const { Cell::new(false) };
}

/// Of this there is at most one on a thread, on which it stays. Of two, the first that was dropped would release the
/// tiles of the other.
struct Only(PhantomData<*const ()>);

impl Only {
    fn on_this_thread() -> Self {
        assert!(!SET_UP.replace(true), "this thread's tiles are set up already");
        Self(PhantomData)
    }
}

impl Drop for Only {
    fn drop(&mut self) {
        SET_UP.set(false);
    }
}

/// This thread's tiles, with [`SHAPES`] until it is dropped.
pub(super) struct AmxTiles {
    _only: Only,
}

impl Drop for AmxTiles {
    /// Threads whose tiles are in use cost more to switch.
    fn drop(&mut self) {
        // SAFETY: there is such a value only where the processor has these instructions, and no other on this thread
        // that would still need the tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// The operand of `ldtilecfg` (Intel SDM, volume 1, 18.4 "TILECFG and XTILECFG").
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Tile 0 holds sums; tiles 1 and 2 activations and weights of a block, tiles 3 and 4 those of half a block.
static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 32, 64, 16, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 8, 16, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Multiplies what is at `rows` in steps of `stride` bytes with what is at `weights`.
macro_rules! multiply {
    ($activations:tt, $quants:tt, $rows:ident, $stride:ident, $weights:ident, $sums:ident) => {
        asm!(
            "tilezero tmm0",
            concat!("tileloadd ", $activations, ", [{rows} + {stride}]"),
            concat!("tileloadd ", $quants, ", [{weights} + {line}]"),
            concat!("tdpbssd tmm0, ", $activations, ", ", $quants),
            "tilestored [{sums} + {line}], tmm0",
            rows = in(reg) $rows.as_ptr(),
            stride = in(reg) $stride,
            weights = in(reg) $weights.as_ptr(),
            line = in(reg) 64_usize,
            sums = in(reg) &raw mut *$sums,
            out("tmm0") _,
            out($activations) _,
            out($quants) _,
            options(nostack, preserves_flags),
        )
    };
}

impl Tiles for AmxTiles {
    #[inline(always)]
    fn multiply<const N: usize>(
        &self,
        rows: &[i8],
        stride: usize,
        weights: &[[i8; 4 * ROWS]; N],
        sums: &mut TileSums,
    ) {
        assert!(
            rows.len() >= (ROWS - 1) * stride + 4 * N,
            "sixteen rows of activations"
        );
        // SAFETY: such a value has set this thread's tiles up, and nobody has released them, for it is the only one;
        // they read 16 times 4 · N bytes, `stride` apart, which `rows` was just found to have, and N lines of 64 bytes,
        // and write 16 lines of 64 bytes, which is what the references are to.
        unsafe {
            match N {
                8 => multiply!("tmm1", "tmm2", rows, stride, weights, sums),
                4 => multiply!("tmm3", "tmm4", rows, stride, weights, sums),
                _ => unreachable!("there are tiles for 8 and 4 groups of columns, not {N}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_thread_has_its_tiles_once() {
        let first = Only::on_this_thread();
        assert!(catch_unwind(Only::on_this_thread).is_err(), "two at once");
        let elsewhere = std::thread::spawn(|| drop(Only::on_this_thread()));
        elsewhere.join().expect("another thread has tiles of its own");
        assert!(catch_unwind(Only::on_this_thread).is_err(), "still two at once");
        drop(first);
        drop(Only::on_this_thread());
    }
}
