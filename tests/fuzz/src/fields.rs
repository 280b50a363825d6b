//! Changes of a GGUF head by its fields: a length, a count, a type or an offset becomes another number, a whole entry or
//! tensor goes, comes twice or changes places. Most inputs made so are heads up to the field that was changed.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. It is read here without the parser that is
//! tested, and as far as it can be: the rest of a broken head is one field.

use std::ops::Range;

use crate::mutate::{self, NUMBERS};
use crate::noise::Noise;

/// Bytes before the first entry.
const FIRST: usize = 24;
/// Most elements of a list that are fields of their own.
const ELEMENTS: u64 = 8;

/// Where the fields of a head are.
#[derive(Debug, Default)]
struct Fields {
    /// Numbers of four or eight bytes.
    numbers: Vec<Range<usize>>,
    /// Texts, without their lengths.
    texts: Vec<Range<usize>>,
    /// Whole entries.
    entries: Vec<Range<usize>>,
    /// What is told of a tensor, whole.
    tensors: Vec<Range<usize>>,
}

/// A changed head.
pub fn change(head: &[u8], others: &[Vec<u8>], noise: &mut Noise) -> Vec<u8> {
    if noise.once_in(8) {
        return mutate::bytes(head, others, &[], noise);
    }
    let mut changed = head.to_vec();
    for _ in 0..=noise.below(2) {
        let fields = Fields::of(&changed);
        change_one(&mut changed, &fields, others, noise);
    }
    changed
}

fn change_one(head: &mut Vec<u8>, fields: &Fields, others: &[Vec<u8>], noise: &mut Noise) {
    match noise.below(10) {
        0..=4 => number(head, fields, noise),
        5 => text(head, fields, noise),
        6 => part(head, &fields.entries, 16, noise),
        7 => part(head, &fields.tensors, 8, noise),
        8 => borrow(head, fields, others, noise),
        _ => {
            if let Some(field) = some(&fields.numbers, noise) {
                head.truncate(field.start + noise.below(9));
            }
        }
    }
}

fn some(ranges: &[Range<usize>], noise: &mut Noise) -> Option<Range<usize>> {
    (!ranges.is_empty()).then(|| noise.one_of(ranges).clone())
}

/// A number becomes one at which checks are wrong, or one near to what it was.
fn number(head: &mut [u8], fields: &Fields, noise: &mut Noise) {
    let Some(field) = some(&fields.numbers, noise) else {
        return;
    };
    let width = field.len();
    let mut was = [0; 8];
    was[..width].copy_from_slice(&head[field.clone()]);
    let was = u64::from_le_bytes(was);
    let becomes = match noise.below(4) {
        0 => was.wrapping_add(1 + noise.below(64) as u64),
        1 => was.wrapping_sub(1 + noise.below(64) as u64),
        2 => was ^ 1 << noise.below(8 * width),
        _ => *noise.one_of(&NUMBERS),
    };
    head[field].copy_from_slice(&becomes.to_le_bytes()[..width]);
}

/// A byte of a text becomes another, which may be no UTF-8.
fn text(head: &mut [u8], fields: &Fields, noise: &mut Noise) {
    if let Some(field) = some(&fields.texts, noise).filter(|field| !field.is_empty()) {
        let at = field.start + noise.below(field.len());
        head[at] = if noise.once_in(2) {
            noise.draw() as u8
        } else {
            b'0' + noise.below(10) as u8
        };
    }
}

/// An entry or a tensor goes, comes twice, or takes the place of another; the count at `count` may follow.
fn part(head: &mut Vec<u8>, parts: &[Range<usize>], count: usize, noise: &mut Noise) {
    let (Some(one), Some(other)) = (some(parts, noise), some(parts, noise)) else {
        return;
    };
    let bytes = head[one.clone()].to_vec();
    let more: i64 = match noise.below(3) {
        0 => {
            head.drain(one);
            -1
        }
        1 => {
            head.splice(other.start..other.start, bytes);
            1
        }
        _ => {
            head.splice(other, bytes);
            0
        }
    };
    if !noise.once_in(4) {
        let told = count..count + 8;
        let mut was = [0; 8];
        was.copy_from_slice(&head[told.clone()]);
        let now = u64::from_le_bytes(was).wrapping_add_signed(more);
        head[told].copy_from_slice(&now.to_le_bytes());
    }
}

/// An entry becomes one of another head.
fn borrow(head: &mut Vec<u8>, fields: &Fields, others: &[Vec<u8>], noise: &mut Noise) {
    let Some(here) = some(&fields.entries, noise) else {
        return;
    };
    if others.is_empty() {
        return;
    }
    let other = noise.one_of(others);
    if let Some(there) = some(&Fields::of(other).entries, noise) {
        head.splice(here, other[there].iter().copied());
    }
}

impl Fields {
    fn of(head: &[u8]) -> Self {
        let mut reader = Reader {
            head,
            at: 4,
            fields: Self::default(),
        };
        // What is broken ends the reading: the fields before it are those that there are.
        let _broken = reader.all();
        reader.fields
    }
}

struct Reader<'a> {
    head: &'a [u8],
    at: usize,
    fields: Fields,
}

impl Reader<'_> {
    fn all(&mut self) -> Option<()> {
        self.number(4)?;
        let (tensors, entries) = (self.number(8)?, self.number(8)?);
        debug_assert_eq!(self.at, FIRST);
        for _ in 0..entries {
            let start = self.at;
            self.text()?;
            let kind = self.number(4)?;
            self.value(kind)?;
            self.fields.entries.push(start..self.at);
        }
        for _ in 0..tensors {
            let start = self.at;
            self.text()?;
            let rank = self.number(4)?;
            for _ in 0..rank {
                self.number(8)?;
            }
            self.number(4)?;
            self.number(8)?;
            self.fields.tensors.push(start..self.at);
        }
        Some(())
    }

    fn value(&mut self, kind: u64) -> Option<()> {
        match kind {
            8 => self.text(),
            9 => {
                let (kind, count) = (self.number(4)?, self.number(8)?);
                for element in 0..count {
                    let numbers = self.fields.numbers.len();
                    self.value(kind)?;
                    if element >= ELEMENTS {
                        self.fields.numbers.truncate(numbers);
                    }
                }
                Some(())
            }
            0 | 1 | 7 => self.skip(1),
            2 | 3 => self.skip(2),
            4..=6 => self.number(4).map(drop),
            10..=12 => self.number(8).map(drop),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<()> {
        let length = usize::try_from(self.number(8)?).ok()?;
        let start = self.at;
        self.skip(length)?;
        self.fields.texts.push(start..self.at);
        Some(())
    }

    fn number(&mut self, width: usize) -> Option<u64> {
        let start = self.at;
        self.skip(width)?;
        self.fields.numbers.push(start..self.at);
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(&self.head[start..self.at]);
        Some(u64::from_le_bytes(bytes))
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        let end = self.at.checked_add(bytes).filter(|&end| end <= self.head.len())?;
        self.at = end;
        Some(())
    }
}
