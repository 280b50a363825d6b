//! Inputs made of others: by their bytes, which knows nothing of the format, or by its words.

use crate::noise::Noise;

/// Numbers at which checks are wrong by one, or lengths wrap around.
pub const NUMBERS: [u64; 22] = [
    0,
    1,
    2,
    7,
    31,
    32,
    33,
    63,
    127,
    255,
    1 << 10,
    65_535,
    65_537,
    (1 << 20) + 1,
    (1 << 22) + 1,
    u32::MAX as u64,
    1 << 40,
    1 << 60,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 31,
    u64::MAX,
];
/// Longest input that is made, in bytes, beside what the seeds have.
const LONGEST: usize = 64 << 10;

/// One change, or a few, of the bytes; `words` are put in as they are.
pub fn bytes(input: &[u8], others: &[Vec<u8>], words: &[&[u8]], noise: &mut Noise) -> Vec<u8> {
    let mut changed = input.to_vec();
    for _ in 0..=noise.below(3) {
        change(&mut changed, others, words, noise);
    }
    changed.truncate(LONGEST.max(input.len()));
    changed
}

fn change(bytes: &mut Vec<u8>, others: &[Vec<u8>], words: &[&[u8]], noise: &mut Noise) {
    let at = noise.below(bytes.len() + 1);
    match noise.below(9) {
        0 => bytes.truncate(at),
        1 | 2 if at < bytes.len() => bytes[at] ^= 1 << noise.below(8),
        3 if at < bytes.len() => bytes[at] = noise.draw() as u8,
        4 => {
            let end = (at + 1 + noise.below(16)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        5 => {
            let end = (at + 1 + noise.below(64)).min(bytes.len());
            let copy = bytes[at.min(end)..end].to_vec();
            let to = noise.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        6 if !words.is_empty() => {
            let word = noise.one_of(words).to_vec();
            let end = if noise.once_in(2) {
                at
            } else {
                (at + word.len()).min(bytes.len())
            };
            bytes.splice(at..end, word);
        }
        7 if !others.is_empty() => {
            let other = noise.one_of(others);
            let from = noise.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend(&other[from..]);
        }
        _ => {
            let number = noise.one_of(&NUMBERS).to_le_bytes();
            let width = 1 << noise.below(4);
            let end = (at + width).min(bytes.len());
            bytes.splice(at.min(end)..end, number[..width].iter().copied());
        }
    }
}
