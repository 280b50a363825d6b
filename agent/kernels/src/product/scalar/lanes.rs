//! Sums of products of small integers in 64-bit multiplications.
//!
//! A number of 64 bits is taken for a polynomial in 2¹⁶, four lanes of 16 bits. Of two rows of weights, `v` and `w`,
//! lanes `[v₀, v₂, w₀, w₂]` times activations in lanes `[a₂, a₀]` give `v₀·a₀ + v₂·a₂` in lane 1 and
//! `w₀·a₀ + w₂·a₂` in lane 3: four multiplications in one. Coefficients may be negative as long as each stays within
//! 16 bits; sums begin at 2¹⁵ in each lane, so that none borrows from the next. With weights of 4 bits a product is at
//! most 2 · 15 · 127, and eight of them stay below 2¹⁵; wider weights are taken apart, `q = low + 16 · high`.

use crate::activations::Row;
use crate::layout::BLOCK;

/// The activations of a block as multiplicands: columns `4h + p` and `4h + p + 2` at `2h + p`.
pub(super) type Spread = [u64; 16];

/// Sums over columns 0–15 and over columns 16–31, of two rows in 32-bit lanes, off by a bias.
type Halves = [u64; 2];

/// Where sums begin: 2¹⁵ in each lane of 16 bits.
const BEGIN: u64 = 0x8000_8000_8000_8000;
/// What that is in a lane that is read.
const BIAS: i32 = 1 << 15;

/// Spreads the blocks of a row.
pub(super) fn spread(row: Row<'_>) -> impl Iterator<Item = Spread> {
    let (blocks, _) = row.quants.as_chunks::<BLOCK>();
    blocks.iter().map(|block| {
        std::array::from_fn(|index| {
            let first = 4 * (index / 2) + index % 2;
            let lane = |column: usize| i64::from(block[column]).cast_unsigned();
            (lane(first) << 16).wrapping_add(lane(first + 2))
        })
    })
}

/// The integers of a kind: how its quants become sums.
pub(super) trait Quants {
    /// Bytes of a block of 16 rows in the plane of quants.
    const LOW: usize = 256;
    /// Bytes of a block of 16 rows in the plane of high bits.
    const HIGH: usize;
    /// What stands for zero.
    const ZERO: i32;
    /// What a half is off by.
    const BIAS: i32 = BIAS + 16 * BIAS;

    /// The sums of rows `2 · pair` and `2 · pair + 1` with `R` rows of activations.
    fn halves<const R: usize>(low: &[u8], high: &[u8], pair: usize, input: &[Spread; R]) -> [Halves; R];
}

/// 4 bits around `ZERO`.
pub(super) struct Bits4<const ZERO: i32>;
/// 5 bits around `ZERO`.
pub(super) struct Bits5<const ZERO: i32>;
/// 6 bits around 32.
pub(super) struct Bits6;
/// 8 bits with sign.
pub(super) struct Bits8;

impl<const ZERO: i32> Quants for Bits4<ZERO> {
    const HIGH: usize = 0;
    const ZERO: i32 = ZERO;
    const BIAS: i32 = BIAS;

    #[inline(always)]
    fn halves<const R: usize>(low: &[u8], _: &[u8], pair: usize, input: &[Spread; R]) -> [Halves; R] {
        nibbles(low, pair, input)
    }
}

impl<const ZERO: i32> Quants for Bits5<ZERO> {
    const HIGH: usize = 64;
    const ZERO: i32 = ZERO;

    #[inline(always)]
    fn halves<const R: usize>(low: &[u8], high: &[u8], pair: usize, input: &[Spread; R]) -> [Halves; R] {
        let mut sums = Sums::new();
        let word = word(high, pair);
        for h in 0..8 {
            sums.add(word >> h, 0x0001_0001_0001_0001, h, input);
        }
        sixteen_times(sums, nibbles(low, pair, input))
    }
}

impl Quants for Bits6 {
    const HIGH: usize = 128;
    const ZERO: i32 = 32;

    #[inline(always)]
    fn halves<const R: usize>(low: &[u8], high: &[u8], pair: usize, input: &[Spread; R]) -> [Halves; R] {
        let mut sums = Sums::new();
        for half in 0..2 {
            let word = word(&high[64 * half..], pair);
            for i in 0..4 {
                sums.add(word >> (2 * i), 0x0003_0003_0003_0003, 4 * half + i, input);
            }
        }
        sixteen_times(sums, nibbles(low, pair, input))
    }
}

impl Quants for Bits8 {
    const LOW: usize = 512;
    const HIGH: usize = 0;
    /// The sign bit turned round makes quants of 0 to 255.
    const ZERO: i32 = 128;

    #[inline(always)]
    fn halves<const R: usize>(low: &[u8], _: &[u8], pair: usize, input: &[Spread; R]) -> [Halves; R] {
        let (mut lower, mut upper) = (Sums::new(), Sums::new());
        for h in 0..8 {
            let word = word(&low[64 * h..], pair) ^ 0x8080_8080_8080_8080;
            lower.add(word, NIBBLE, h, input);
            upper.add(word >> 4, NIBBLE, h, input);
        }
        sixteen_times(upper, lower.halves())
    }
}

/// The low four bits of each lane.
const NIBBLE: u64 = 0x000F_000F_000F_000F;

/// Sums of the low nibbles, which are columns 0–15, and of the high ones.
#[inline(always)]
fn nibbles<const R: usize>(low: &[u8], pair: usize, input: &[Spread; R]) -> [Halves; R] {
    let mut sums = Sums::new();
    for g in 0..4 {
        let word = word(&low[64 * g..], pair);
        sums.add(word, NIBBLE, g, input);
        sums.add(word >> 4, NIBBLE, 4 + g, input);
    }
    sums.halves()
}

#[inline(always)]
fn sixteen_times<const R: usize>(high: Sums<R>, low: [Halves; R]) -> [Halves; R] {
    let high = high.halves();
    std::array::from_fn(|r| std::array::from_fn(|half| low[r][half] + (high[r][half] << 4)))
}

/// Sums in lanes of 16 bits, for each row of activations and each half of the columns.
struct Sums<const R: usize>([[u64; 2]; R]);

impl<const R: usize> Sums<R> {
    #[inline(always)]
    fn new() -> Self {
        Self([[BEGIN; 2]; R])
    }

    /// Adds the columns `4h` to `4h + 3`: the bits `mask` of the even bytes of `word`, and those of the odd ones.
    #[inline(always)]
    fn add(&mut self, word: u64, mask: u64, h: usize, input: &[Spread; R]) {
        for parity in 0..2 {
            let lanes = (word >> (8 * parity)) & mask;
            for (sums, input) in self.0.iter_mut().zip(input) {
                sums[h / 4] = sums[h / 4].wrapping_add(lanes.wrapping_mul(input[2 * h + parity]));
            }
        }
    }

    /// Lanes 1 and 3, which are of 32 bits from now on.
    #[inline(always)]
    fn halves(self) -> [Halves; R] {
        self.0
            .map(|sums| sums.map(|sum| (sum >> 16) & 0x0000_FFFF_0000_FFFF))
    }
}

/// Eight bytes of a group: of quants four neighbouring columns of two rows.
#[inline(always)]
pub(super) fn word(group: &[u8], index: usize) -> u64 {
    let bytes = std::array::from_fn(|byte| group[8 * index + byte]);
    opaque(u64::from_le_bytes(bytes))
}

/// The same number, of which the compiler knows nothing: else it makes vectors of what is done with it, and an
/// emulator is eight times slower.
#[inline(always)]
fn opaque(mut number: u64) -> u64 {
    #[allow(unsafe_code, reason = "an instruction that is none")]
    // SAFETY: there is no instruction; the register is left as it is.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags));
    }
    number
}
