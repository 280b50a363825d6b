//! Reads the head of a GGUF file, and believes nothing in it before it is checked.
//!
//! Memory grows with what was really read, never with what a length in the file claims: a crafted head takes at most
//! a small multiple of its own bytes, and [`MAX_HEAD_BYTES`] of those.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod error;
mod types;
mod walk;
mod write;

use std::collections::HashSet;
use std::io::BufRead;

use kernels::kind::Kind;

pub use crate::gguf::error::{HeadError, Problem};
use crate::gguf::walk::Walk;
pub(crate) use crate::gguf::write::head;
use crate::metadata::{Metadata, Value};

/// Most tensors that a file may have.
pub const MAX_TENSORS: u64 = 65_536;
/// Most metadata entries that a file may have.
pub const MAX_ENTRIES: u64 = 65_536;
/// Longest key or tensor name, in bytes.
pub const MAX_NAME_BYTES: u64 = 1_024;
/// Longest string value, in bytes: chat templates are the longest that are real.
pub const MAX_STRING_BYTES: u64 = 1 << 20;
/// Most elements of all arrays together: a vocabulary has three arrays of up to a few hundred thousand.
pub const MAX_ELEMENTS: u64 = 1 << 22;
/// Longest head, in bytes.
pub const MAX_HEAD_BYTES: u64 = 256 << 20;
/// Most dimensions of a tensor.
pub const MAX_RANK: u32 = 4;
/// Most elements of a tensor.
pub const MAX_TENSOR_ELEMENTS: u64 = 1 << 40;

/// The key of what tensors are aligned to.
pub const ALIGNMENT_KEY: &str = "general.alignment";
/// What tensors are aligned to where the file does not say it, in bytes.
pub const DEFAULT_ALIGNMENT: u64 = 32;
/// What keys begin with that say which part of a model a file is.
pub const SPLIT_PREFIX: &str = "split.";

/// The head of a file, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The format's version, 2 or 3.
    pub version: u32,
    /// Keys and values.
    pub metadata: Metadata,
    /// The same, as they stand in the file.
    pub entries: Entries,
    /// What tensors are aligned to, in bytes.
    pub alignment: u64,
    /// Where the tensors' bytes begin in the file.
    pub data_offset: u64,
    /// Tensors in the file's order. Each lies in the file, and no two share a byte.
    pub tensors: Vec<TensorInfo>,
}

/// Metadata entries in the bytes of the format, in the file's order, without those of [`SPLIT_PREFIX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// How many they are.
    pub count: u64,
    /// Their bytes.
    pub bytes: Vec<u8>,
}

/// A tensor, as the head tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub kind: Kind,
    /// Lengths of its 1 to 4 dimensions, columns first; none is 0.
    pub dimensions: Vec<u64>,
    /// Where its bytes begin, from the head's `data_offset`.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Reads the head of a file of `file_bytes` bytes and checks every length, type and offset in it.
pub fn read(reader: impl BufRead, file_bytes: u64) -> Result<Head, HeadError> {
    let mut walk = Walk::new(reader.take(MAX_HEAD_BYTES));
    let (version, tensors, count) = fixed(&mut walk)?;
    walk.keep();
    let metadata = read_entries(&mut walk, count)?;
    let alignment = alignment(&metadata);
    let entries = Entries {
        count: metadata
            .keys()
            .filter(|key| !key.starts_with(SPLIT_PREFIX))
            .count() as u64,
        bytes: walk.kept(),
    };
    let tensors = read_tensors(&mut walk, tensors)?;
    let data_offset = walk.position().next_multiple_of(alignment);
    check_places(&tensors, file_bytes.saturating_sub(data_offset), alignment)?;
    Ok(Head {
        version,
        metadata,
        entries,
        alignment,
        data_offset,
        tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect(),
    })
}

/// Where a file's head tells of a key or a tensor, if it does: the byte that the name's length begins at. Reads the head
/// again, for messages about what was found wrong after it was read.
pub(crate) fn place(reader: impl BufRead, name: &str) -> Option<u64> {
    let mut walk = Walk::new(reader.take(MAX_HEAD_BYTES));
    let (_, tensors, entries) = fixed(&mut walk).ok()?;
    for _ in 0..entries {
        let start = walk.position();
        let key = walk.name().ok()?;
        if key == name {
            return Some(start);
        }
        walk.value(&key).ok()?;
    }
    for _ in 0..tensors {
        let start = walk.position();
        if read_tensor(&mut walk).ok()?.name == name {
            return Some(start);
        }
    }
    None
}

impl Entries {
    /// Reads them again.
    pub fn metadata(&self) -> Result<Metadata, HeadError> {
        let mut walk = Walk::new(self.bytes.as_slice());
        let count = walk.limited("the number of metadata entries", self.count, MAX_ENTRIES)?;
        read_entries(&mut walk, count)
    }
}

/// What tensors are aligned to by that metadata, which [`read`] has checked.
pub(crate) fn alignment(metadata: &Metadata) -> u64 {
    match metadata.get(ALIGNMENT_KEY) {
        Some(&Value::Integer(alignment)) => alignment as u64,
        _ => DEFAULT_ALIGNMENT,
    }
}

/// The version, the number of tensors and the number of entries.
fn fixed(walk: &mut Walk<impl BufRead>) -> Result<(u32, u64, u64), HeadError> {
    if &walk.array()? != b"GGUF" {
        return Err(walk.problem(Problem::Magic));
    }
    let version = walk.u32()?;
    if !(2..=3).contains(&version) {
        return Err(walk.problem(Problem::Version(version)));
    }
    let tensors = walk.u64()?;
    let tensors = walk.limited("the number of tensors", tensors, MAX_TENSORS)?;
    let entries = walk.u64()?;
    let entries = walk.limited("the number of metadata entries", entries, MAX_ENTRIES)?;
    Ok((version, tensors, entries))
}

fn read_entries(walk: &mut Walk<impl BufRead>, count: u64) -> Result<Metadata, HeadError> {
    let mut metadata = Metadata::new();
    for _ in 0..count {
        let (start, kept) = (walk.position(), walk.kept_bytes());
        let key = walk.name()?;
        let value = walk.value(&key)?;
        if key == ALIGNMENT_KEY {
            check_alignment(walk, &value)?;
        }
        if key.starts_with(SPLIT_PREFIX) {
            walk.forget(kept);
        }
        if metadata.insert(key.clone(), value).is_some() {
            return Err(HeadError::at(start, Problem::Twice(key)));
        }
    }
    Ok(metadata)
}

fn check_alignment(walk: &Walk<impl BufRead>, value: &Value) -> Result<(), HeadError> {
    match value {
        Value::Integer(n) if (8..=65_536).contains(n) && (*n as u64).is_power_of_two() => Ok(()),
        other => Err(walk.problem(Problem::value(
            ALIGNMENT_KEY,
            format!("is {other:?}; a power of two from 8 to 65536 is allowed"),
        ))),
    }
}

/// Tensors, each with where the head tells of it.
fn read_tensors(walk: &mut Walk<impl BufRead>, count: u64) -> Result<Vec<(u64, TensorInfo)>, HeadError> {
    let mut seen = HashSet::new();
    let mut tensors = Vec::new();
    for _ in 0..count {
        let start = walk.position();
        let tensor = read_tensor(walk)?;
        if !seen.insert(tensor.name.clone()) {
            return Err(HeadError::at(start, Problem::Twice(tensor.name)));
        }
        tensors.push((start, tensor));
    }
    Ok(tensors)
}

fn read_tensor(walk: &mut Walk<impl BufRead>) -> Result<TensorInfo, HeadError> {
    let name = walk.name()?;
    let dimensions = read_dimensions(walk, &name)?;
    let number = walk.u32()?;
    let kind = types::kind(number).map_err(|problem| walk.problem(Problem::value(&name, problem)))?;
    let (row, block) = (dimensions[0], kind.block_columns() as u64);
    if !row.is_multiple_of(block) {
        let problem = format!(
            "has rows of {row} elements; {} needs a multiple of {block}",
            kind.name()
        );
        return Err(walk.problem(Problem::value(&name, problem)));
    }
    let elements: u64 = dimensions.iter().product();
    Ok(TensorInfo {
        name,
        kind,
        dimensions,
        offset: walk.u64()?,
        bytes: elements / block * kind.block_bytes() as u64,
    })
}

/// One to four lengths whose product is at most [`MAX_TENSOR_ELEMENTS`].
fn read_dimensions(walk: &mut Walk<impl BufRead>, name: &str) -> Result<Vec<u64>, HeadError> {
    let rank = walk.u32()?;
    if !(1..=MAX_RANK).contains(&rank) {
        let problem = format!("has {rank} dimensions; 1 to {MAX_RANK} are allowed");
        return Err(walk.problem(Problem::value(name, problem)));
    }
    let mut dimensions = Vec::new();
    let mut elements = 1_u64;
    for _ in 0..rank {
        let length = walk.u64()?;
        elements = elements
            .checked_mul(length)
            .filter(|&n| n > 0 && n <= MAX_TENSOR_ELEMENTS)
            .ok_or_else(|| {
                let problem =
                    format!("has a dimension of {length}: nothing, or more elements than any model");
                walk.problem(Problem::value(name, problem))
            })?;
        dimensions.push(length);
    }
    Ok(dimensions)
}

/// Every tensor lies aligned in the file's data, and no two share a byte.
fn check_places(tensors: &[(u64, TensorInfo)], data_bytes: u64, alignment: u64) -> Result<(), HeadError> {
    let mut ordered: Vec<_> = tensors.iter().map(|(at, tensor)| (*at, tensor)).collect();
    ordered.sort_by_key(|(_, tensor)| tensor.offset);
    let mut free = 0;
    for (at, tensor) in ordered {
        let problem = |problem| Err(HeadError::at(at, Problem::value(&tensor.name, problem)));
        let offset = tensor.offset;
        if !offset.is_multiple_of(alignment) {
            return problem(format!("its offset {offset} is not a multiple of {alignment}"));
        }
        if offset < free {
            return problem(format!(
                "its offset {offset} lies in another tensor, which ends at {free}"
            ));
        }
        match offset.checked_add(tensor.bytes) {
            Some(end) if end <= data_bytes => free = end,
            _ => {
                let bytes = tensor.bytes;
                return problem(format!(
                    "needs {bytes} bytes at offset {offset}, of {data_bytes} in the file"
                ));
            }
        }
    }
    Ok(())
}
