//! A look at a GGUF file's head before anything believes it.
//!
//! candle's reader trusts the lengths it finds as far as the file's size; a crafted file of a few megabytes can
//! still make it allocate gigabytes, or divide by an alignment of zero. [`check`] walks the whole head in constant
//! memory, and refuses what no model needs. What passes is safe to hand to candle.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::collections::HashSet;
use std::io::{self, Read};

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

const FIXED_HEAD_BYTES: u64 = 24;
const DEFAULT_ALIGNMENT: u64 = 32;

/// What is wrong with a file's head.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// It cannot be read, or ends within the head.
    #[error("the file ends or cannot be read within its head: {0}")]
    Read(#[from] io::Error),
    /// It is another kind of file.
    #[error("not a GGUF file: it does not begin with `GGUF`")]
    Magic,
    /// Its version is not known.
    #[error("GGUF version {0} is not supported; 2 and 3 are")]
    Version(u32),
    /// A count or a length is beyond its limit.
    #[error("{what} is {found}; at most {limit} is allowed")]
    Limit {
        /// Which count or length.
        what: String,
        /// What the file says.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A value has a type that the format does not have, or that candle cannot hold.
    #[error("{what}: unknown type {found}")]
    Type {
        /// The key or the tensor.
        what: String,
        /// The number found.
        found: u32,
    },
    /// A name appears twice.
    #[error("`{0}` appears twice")]
    Twice(String),
    /// A value is not what it must be.
    #[error("{what}: {problem}")]
    Value {
        /// The key or the tensor.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The first 24 bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedHead {
    /// The format's version, 2 or 3.
    pub version: u32,
    /// How many tensors the file has.
    pub tensors: u64,
    /// How many metadata entries the file has.
    pub entries: u64,
}

/// What [`check`] learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The format's version, 2 or 3.
    pub version: u32,
    /// Where the tensors' bytes begin.
    pub data_offset: u64,
    /// Bytes of all tensors together; no more than the file has.
    pub tensor_bytes: u64,
}

/// Reads the fixed part of the head, enough to say whether a file is meant to be a model.
pub fn check_fixed(reader: &mut impl Read) -> Result<FixedHead, HeadError> {
    let mut magic = [0; 4];
    reader.read_exact(&mut magic)?;
    if &magic != b"GGUF" {
        return Err(HeadError::Magic);
    }
    let version = u32::from_le_bytes(array(reader)?);
    if !(2..=3).contains(&version) {
        return Err(HeadError::Version(version));
    }
    let tensors = limited(
        "the number of tensors",
        u64::from_le_bytes(array(reader)?),
        MAX_TENSORS,
    )?;
    let entries = limited(
        "the number of metadata entries",
        u64::from_le_bytes(array(reader)?),
        MAX_ENTRIES,
    )?;
    Ok(FixedHead {
        version,
        tensors,
        entries,
    })
}

/// Walks the whole head of a file of `file_bytes` bytes and checks every length, type and offset in it.
///
/// Memory use does not depend on what the file claims, apart from its names' total.
pub fn check(reader: impl Read, file_bytes: u64) -> Result<Head, HeadError> {
    let mut walk = Walk {
        reader: reader.take(MAX_HEAD_BYTES),
        position: 0,
        elements: 0,
        alignment: DEFAULT_ALIGNMENT,
    };
    let fixed = check_fixed(&mut walk.reader)?;
    walk.position = FIXED_HEAD_BYTES;
    walk.entries(fixed.entries)?;
    let tensors = walk.tensors(fixed.tensors)?;
    let data_offset = walk.position.next_multiple_of(walk.alignment);
    let data_bytes = file_bytes.saturating_sub(data_offset);
    let mut tensor_bytes = 0;
    for tensor in &tensors {
        tensor.check(data_bytes, walk.alignment)?;
        tensor_bytes += tensor.bytes;
    }
    // Each tensor is read into memory of its own: tensors that share their bytes would take many times the file's.
    limited("the number of bytes of all tensors", tensor_bytes, data_bytes)?;
    Ok(Head {
        version: fixed.version,
        data_offset,
        tensor_bytes,
    })
}

struct Tensor {
    name: String,
    offset: u64,
    bytes: u64,
}

impl Tensor {
    fn check(&self, data_bytes: u64, alignment: u64) -> Result<(), HeadError> {
        if !self.offset.is_multiple_of(alignment) {
            return Err(value(
                &self.name,
                format!("its offset {} is not a multiple of {alignment}", self.offset),
            ));
        }
        match self.offset.checked_add(self.bytes) {
            Some(end) if end <= data_bytes => Ok(()),
            _ => Err(value(
                &self.name,
                format!(
                    "needs {} bytes at offset {}, of {data_bytes} in the file",
                    self.bytes, self.offset
                ),
            )),
        }
    }
}

struct Walk<R> {
    reader: io::Take<R>,
    position: u64,
    elements: u64,
    alignment: u64,
}

impl<R: Read> Walk<R> {
    fn entries(&mut self, count: u64) -> Result<(), HeadError> {
        let mut seen = HashSet::new();
        for _ in 0..count {
            let key = self.name()?;
            let kind = self.u32()?;
            match key.as_str() {
                "general.alignment" => self.read_alignment(kind)?,
                _ => self.value(&key, kind)?,
            }
            if !seen.insert(key.clone()) {
                return Err(HeadError::Twice(key));
            }
        }
        Ok(())
    }

    fn read_alignment(&mut self, kind: u32) -> Result<(), HeadError> {
        let key = "general.alignment";
        if kind != 4 {
            return Err(HeadError::Type {
                what: key.to_owned(),
                found: kind,
            });
        }
        let alignment = self.u32()?;
        if !alignment.is_power_of_two() || !(8..=65_536).contains(&alignment) {
            return Err(value(
                key,
                format!("is {alignment}; a power of two from 8 to 65536 is allowed"),
            ));
        }
        self.alignment = u64::from(alignment);
        Ok(())
    }

    fn value(&mut self, key: &str, kind: u32) -> Result<(), HeadError> {
        match kind {
            7 => self.boolean(key),
            8 => self.string(key),
            9 => self.array(key),
            _ => self.skip(scalar_bytes(key, kind)?),
        }
    }

    fn array(&mut self, key: &str) -> Result<(), HeadError> {
        let kind = self.u32()?;
        let count = self.u64()?;
        self.elements = self.elements.saturating_add(count);
        limited(
            "the number of elements of all arrays",
            self.elements,
            MAX_ELEMENTS,
        )?;
        match kind {
            7 => (0..count).try_for_each(|_| self.boolean(key)),
            8 => (0..count).try_for_each(|_| self.string(key)),
            9 => Err(value(
                key,
                "is an array of arrays, which no supported model has".to_owned(),
            )),
            _ => self.skip(count * scalar_bytes(key, kind)?),
        }
    }

    fn boolean(&mut self, key: &str) -> Result<(), HeadError> {
        match self.bytes::<1>()? {
            [0 | 1] => Ok(()),
            [other] => Err(value(key, format!("is {other}, neither true nor false"))),
        }
    }

    fn string(&mut self, key: &str) -> Result<(), HeadError> {
        let length = self.u64()?;
        limited(key, length, MAX_STRING_BYTES)?;
        self.skip(length)
    }

    fn tensors(&mut self, count: u64) -> Result<Vec<Tensor>, HeadError> {
        let mut seen = HashSet::new();
        let mut tensors = Vec::new();
        for _ in 0..count {
            let tensor = self.tensor()?;
            if !seen.insert(tensor.name.clone()) {
                return Err(HeadError::Twice(tensor.name));
            }
            tensors.push(tensor);
        }
        Ok(tensors)
    }

    fn tensor(&mut self) -> Result<Tensor, HeadError> {
        let name = self.name()?;
        let rank = self.u32()?;
        if !(1..=4).contains(&rank) {
            return Err(value(&name, format!("has {rank} dimensions; 1 to 4 are allowed")));
        }
        let mut elements = 1_u64;
        let mut row = 0;
        for dimension in 0..rank {
            let length = self.u64()?;
            row = if dimension == 0 { length } else { row };
            elements = elements
                .checked_mul(length)
                .filter(|&n| n > 0 && n < 1 << 40)
                .ok_or_else(|| {
                    value(
                        &name,
                        "has a dimension of 0, or more elements than any model".to_owned(),
                    )
                })?;
        }
        let (block, block_bytes) = block(&name, self.u32()?)?;
        if !row.is_multiple_of(block) {
            return Err(value(
                &name,
                format!("has rows of {row} elements, not a multiple of its type's {block}"),
            ));
        }
        Ok(Tensor {
            name,
            offset: self.u64()?,
            bytes: elements / block * block_bytes,
        })
    }

    fn name(&mut self) -> Result<String, HeadError> {
        let length = limited("the length of a name", self.u64()?, MAX_NAME_BYTES)?;
        let mut bytes = Vec::new();
        (&mut self.reader).take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        self.position += length;
        String::from_utf8(bytes).map_err(|error| value("a name", format!("is not UTF-8: {error}")))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), HeadError> {
        let skipped = io::copy(&mut (&mut self.reader).take(bytes), &mut io::sink())?;
        self.position += skipped;
        if skipped < bytes {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    fn u32(&mut self) -> Result<u32, HeadError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, HeadError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], HeadError> {
        let bytes = array(&mut self.reader)?;
        self.position += N as u64;
        Ok(bytes)
    }
}

fn array<const N: usize>(reader: &mut impl Read) -> Result<[u8; N], HeadError> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn limited(what: &str, found: u64, limit: u64) -> Result<u64, HeadError> {
    if found > limit {
        return Err(HeadError::Limit {
            what: what.to_owned(),
            found,
            limit,
        });
    }
    Ok(found)
}

fn value(what: &str, problem: String) -> HeadError {
    HeadError::Value {
        what: format!("`{what}`"),
        problem,
    }
}

fn scalar_bytes(key: &str, kind: u32) -> Result<u64, HeadError> {
    match kind {
        0 | 1 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(HeadError::Type {
            what: format!("`{key}`"),
            found: kind,
        }),
    }
}

/// Elements and bytes of one block of a tensor type that candle reads. Source: ggml's `enum ggml_type`.
fn block(name: &str, kind: u32) -> Result<(u64, u64), HeadError> {
    match kind {
        0 => Ok((1, 4)),      // F32
        1 | 30 => Ok((1, 2)), // F16, BF16
        2 => Ok((32, 18)),    // Q4_0
        3 => Ok((32, 20)),    // Q4_1
        6 => Ok((32, 22)),    // Q5_0
        7 => Ok((32, 24)),    // Q5_1
        8 => Ok((32, 34)),    // Q8_0
        10 => Ok((256, 84)),  // Q2_K
        11 => Ok((256, 110)), // Q3_K
        12 => Ok((256, 144)), // Q4_K
        13 => Ok((256, 176)), // Q5_K
        14 => Ok((256, 210)), // Q6_K
        _ => Err(HeadError::Type {
            what: format!("tensor `{name}`"),
            found: kind,
        }),
    }
}

#[cfg(test)]
mod tests;
