//! ggml's blocks (<https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h>), their bytes arranged in the order
//! of the planes. Both directions lose no bit.

use crate::kind::Kind;

/// Bytes of the largest block.
pub(super) const LARGEST_BLOCK: usize = 210;

/// The 4-bit quants of 32 columns as they are packed: column `i` low and column `16 + i` high in byte `i`.
const NIBBLES: usize = 16;
/// The parts of 32 columns that a K-quant's block has.
const PARTS: usize = 8;

/// Arranges one block in the order of the planes.
pub(super) fn arrange(kind: Kind, block: &[u8], arranged: &mut [u8]) {
    match kind {
        Kind::F32 | Kind::F16 | Kind::BF16 => arranged.copy_from_slice(block),
        Kind::Q4_0 | Kind::Q8_0 => swap_ends(block, 2, arranged),
        Kind::Q4_1 => swap_ends(block, 4, arranged),
        Kind::Q5_0 => {
            let ([d, high], quants) = (parts(block, [2, 4]), &block[6..]);
            arranged[..16].copy_from_slice(quants);
            arranged[16..20].copy_from_slice(&spread(array(high)));
            arranged[20..].copy_from_slice(d);
        }
        Kind::Q4K => {
            let ([supers, scales], quants) = (parts(block, [4, 12]), &block[16..]);
            split_neighbours(quants, &mut arranged[..128]);
            arranged[128..140].copy_from_slice(&group_scales(array(scales)));
            arranged[140..].copy_from_slice(supers);
        }
        Kind::Q5K => {
            let ([supers, scales, high], quants) = (parts(block, [4, 12, 32]), &block[48..]);
            split_neighbours(quants, &mut arranged[..128]);
            transpose_bits(high, &mut arranged[128..160]);
            arranged[160..172].copy_from_slice(&group_scales(array(scales)));
            arranged[172..].copy_from_slice(supers);
        }
        Kind::Q6K => {
            let ([low, high, scales], d) = (parts(block, [128, 64, 16]), &block[208..]);
            split_halves(low, &mut arranged[..128]);
            group_pairs(high, &mut arranged[128..192]);
            arranged[192..208].copy_from_slice(scales);
            arranged[208..].copy_from_slice(d);
        }
    }
}

/// The inverse of [`arrange`].
pub(super) fn restore(kind: Kind, arranged: &[u8], block: &mut [u8]) {
    match kind {
        Kind::F32 | Kind::F16 | Kind::BF16 => block.copy_from_slice(arranged),
        Kind::Q4_0 => swap_ends(arranged, 16, block),
        Kind::Q8_0 => swap_ends(arranged, 32, block),
        Kind::Q4_1 => swap_ends(arranged, 16, block),
        Kind::Q5_0 => {
            let ([quants, high], d) = (parts(arranged, [16, 4]), &arranged[20..]);
            block[..2].copy_from_slice(d);
            block[2..6].copy_from_slice(&collect(array(high)));
            block[6..].copy_from_slice(quants);
        }
        Kind::Q4K => {
            let ([quants, scales], supers) = (parts(arranged, [128, 12]), &arranged[140..]);
            block[..4].copy_from_slice(supers);
            block[4..16].copy_from_slice(&ungroup_scales(array(scales)));
            join_neighbours(quants, &mut block[16..]);
        }
        Kind::Q5K => {
            let ([quants, high, scales], supers) = (parts(arranged, [128, 32, 12]), &arranged[172..]);
            block[..4].copy_from_slice(supers);
            block[4..16].copy_from_slice(&ungroup_scales(array(scales)));
            restore_bits(high, &mut block[16..48]);
            join_neighbours(quants, &mut block[48..]);
        }
        Kind::Q6K => {
            let ([quants, high, scales], d) = (parts(arranged, [128, 64, 16]), &arranged[208..]);
            join_halves(quants, &mut block[..128]);
            ungroup_pairs(high, &mut block[128..192]);
            block[192..208].copy_from_slice(scales);
            block[208..].copy_from_slice(d);
        }
    }
}

/// The first parts of a block, of the given lengths.
fn parts<const N: usize>(block: &[u8], lengths: [usize; N]) -> [&[u8]; N] {
    let mut rest = block;
    lengths.map(|length| {
        let (part, after) = rest.split_at(length);
        rest = after;
        part
    })
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

/// Puts the first `length` bytes behind the others.
fn swap_ends(from: &[u8], length: usize, to: &mut [u8]) {
    let (first, rest) = from.split_at(length);
    to[..rest.len()].copy_from_slice(rest);
    to[rest.len()..].copy_from_slice(first);
}

/// Q5_0's fifth bits, bit `i` of column `i`, as bit `h` of byte `j` of column `4h + j`.
fn spread(high: [u8; 4]) -> [u8; 4] {
    let bit = |column: usize| high[column / 8] >> (column % 8) & 1;
    std::array::from_fn(|j| (0..8).fold(0, |byte, h| byte | bit(4 * h + j) << h))
}

/// The inverse of [`spread`].
fn collect(high: [u8; 4]) -> [u8; 4] {
    let bit = |column: usize| high[column % 4] >> (column / 4) & 1;
    std::array::from_fn(|i| (0..8).fold(0, |byte, h| byte | bit(8 * i + h) << h))
}

/// 32 bytes whose low four bits are one part and whose high four are another: both parts as they are packed.
fn split(both: &[u8]) -> ([u8; NIBBLES], [u8; NIBBLES]) {
    let low = std::array::from_fn(|i| both[i] & 15 | both[NIBBLES + i] << 4);
    let high = std::array::from_fn(|i| both[i] >> 4 | both[NIBBLES + i] & 0xF0);
    (low, high)
}

/// The inverse of [`split`].
fn join(low: &[u8], high: &[u8]) -> [u8; 2 * NIBBLES] {
    std::array::from_fn(|i| match i.checked_sub(NIBBLES) {
        None => low[i] & 15 | high[i] << 4,
        Some(i) => low[i] >> 4 | high[i] & 0xF0,
    })
}

/// Q4_K and Q5_K keep parts `2i` and `2i + 1` in the same bytes.
const NEIGHBOURS: [(usize, usize); PARTS / 2] = [(0, 1), (2, 3), (4, 5), (6, 7)];
/// Q6_K keeps part `i` of each half and part `i + 2` in the same bytes.
const HALVES: [(usize, usize); PARTS / 2] = [(0, 2), (1, 3), (4, 6), (5, 7)];

fn split_neighbours(quants: &[u8], to: &mut [u8]) {
    split_pairs(NEIGHBOURS, quants, to);
}

fn join_neighbours(quants: &[u8], to: &mut [u8]) {
    join_pairs(NEIGHBOURS, quants, to);
}

fn split_halves(quants: &[u8], to: &mut [u8]) {
    split_pairs(HALVES, quants, to);
}

fn join_halves(quants: &[u8], to: &mut [u8]) {
    join_pairs(HALVES, quants, to);
}

fn split_pairs(pairs: [(usize, usize); PARTS / 2], quants: &[u8], to: &mut [u8]) {
    for ((one, other), both) in pairs.into_iter().zip(quants.chunks_exact(2 * NIBBLES)) {
        let (low, high) = split(both);
        to[one * NIBBLES..][..NIBBLES].copy_from_slice(&low);
        to[other * NIBBLES..][..NIBBLES].copy_from_slice(&high);
    }
}

fn join_pairs(pairs: [(usize, usize); PARTS / 2], quants: &[u8], to: &mut [u8]) {
    for ((one, other), both) in pairs.into_iter().zip(to.chunks_exact_mut(2 * NIBBLES)) {
        let part = |index: usize| &quants[index * NIBBLES..][..NIBBLES];
        both.copy_from_slice(&join(part(one), part(other)));
    }
}

/// Q5_K's fifth bits, bit `part` of byte `column`, as bit `h` of byte `4 · part + j` of column `4h + j`.
fn transpose_bits(high: &[u8], to: &mut [u8]) {
    for (index, byte) in to.iter_mut().enumerate() {
        let (part, j) = (index / 4, index % 4);
        *byte = (0..8).fold(0, |byte, h| byte | (high[4 * h + j] >> part & 1) << h);
    }
}

/// The inverse of [`transpose_bits`].
fn restore_bits(high: &[u8], to: &mut [u8]) {
    for (column, byte) in to.iter_mut().enumerate() {
        let (h, j) = (column / 4, column % 4);
        *byte = (0..PARTS).fold(0, |byte, part| byte | (high[4 * part + j] >> h & 1) << part);
    }
}

/// Q6_K's two high bits, bits `2i` of byte `32 · half + column` of part `4 · half + i`, as bits `2i` of byte
/// `4 · group + j` of column `4i + j`, a group being 16 columns.
fn group_pairs(high: &[u8], to: &mut [u8]) {
    for (index, byte) in to.iter_mut().enumerate() {
        let (group, j) = (index / 4, index % 4);
        let (half, part, first) = (group / 8, group / 2 % 4, group % 2 * 16);
        let pair = |i: usize| high[32 * half + first + 4 * i + j] >> (2 * part) & 3;
        *byte = (0..4).fold(0, |byte, i| byte | pair(i) << (2 * i));
    }
}

/// The inverse of [`group_pairs`].
fn ungroup_pairs(high: &[u8], to: &mut [u8]) {
    for (index, byte) in to.iter_mut().enumerate() {
        let (half, column) = (index / 32, index % 32);
        let (i, j) = (column % 16 / 4, column % 4);
        let pair = |part: usize| high[4 * (8 * half + 2 * part + column / 16) + j] >> (2 * i) & 3;
        *byte = (0..4).fold(0, |byte, part| byte | pair(part) << (2 * part));
    }
}

/// Scales and mins of Q4_K and Q5_K. ggml's first eight bytes have those of parts 0–3 in bits 0–5, its last four the low
/// four bits of those of parts 4–7, whose upper two are in bits 6–7 of the first eight.
fn group_scales(ggml: [u8; 12]) -> [u8; 12] {
    let scale = |i: usize| match i.checked_sub(4) {
        None => ggml[i] & 63,
        Some(rest) => ggml[8 + rest] & 15 | ggml[rest] >> 6 << 4,
    };
    let min = |i: usize| ggml[8 + i] >> 4 | ggml[4 + i] >> 6 << 4;
    std::array::from_fn(|group| match group.checked_sub(8) {
        None => scale(group) | min(group / 2) >> (group % 2 * 2) << 6,
        Some(i) => ggml[4 + i] & 63 | min(i) >> 4 << 6,
    })
}

/// The inverse of [`group_scales`].
fn ungroup_scales(groups: [u8; 12]) -> [u8; 12] {
    let min = |i: usize| groups[2 * i] >> 6 | groups[2 * i + 1] >> 6 << 2 | groups[8 + i] >> 6 << 4;
    let scale = |i: usize| groups[4 + i] & 63;
    std::array::from_fn(|i| match i {
        0..4 => groups[i] & 63 | scale(i) >> 4 << 6,
        4..8 => groups[4 + i] & 63 | min(i - 4) >> 4 << 6,
        _ => scale(i - 8) & 15 | min(i - 8) << 4,
    })
}
