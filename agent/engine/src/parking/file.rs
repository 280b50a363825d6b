//! The file of a parked session. Numbers are little-endian.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `HearthKV` |
//! | 4 | the version, [`VERSION`] |
//! | 1 | how keys and values are kept: 0 in f16, 1 in q8 |
//! | 3 | zeros |
//! | 32 | the root hash of the model |
//! | 3 × 4 | layers, KV heads of a layer, dimensions of a head |
//! | 4 | how many tokens |
//! | 4 each | the tokens |
//! | | for each 64 tokens, the last ones may be fewer: 4 bytes of length, and a [`kernels::kv::KvBlock`] in so many |
//! | 32 | BLAKE3 of all before |

use std::io::{self, Read, Write};
use std::sync::Arc;

use kernels::kv::{KvBlock, KvKind, KvShape, KvShapeError, POSITIONS};
use store::Hash;

use super::codec::{Codec, Held};

/// The version of files. It is to be raised with their format, and also when the engine computes other keys and values
/// than before from the same tokens.
pub(crate) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"HearthKV";
/// Most tokens of a session: as many as `--context` allows.
const MOST_TOKENS: u32 = 1 << 20;
const HASH: usize = 32;

/// Whose keys and values they are, and of which tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The model.
    pub(crate) root: Hash,
    /// What a block holds.
    pub(crate) shape: KvShape,
    /// At least one.
    pub(crate) tokens: Arc<[u32]>,
}

/// Why a file is no parked session, or not the one that is wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileProblem {
    #[error("it ends too early")]
    Short,
    #[error("it does not begin as a parked session does")]
    Magic,
    #[error("its version is {0}, and this engine's is {VERSION}")]
    Version(u32),
    #[error("there is no KV type {0}")]
    Kind(u8),
    #[error(transparent)]
    Shape(#[from] KvShapeError),
    #[error("it claims {0} tokens; 1 to {MOST_TOKENS} are allowed")]
    Tokens(u32),
    #[error("block {block} claims {bytes} bytes; up to {most} are allowed")]
    Block { block: usize, bytes: u32, most: usize },
    #[error("block {block} {error}")]
    Decode { block: usize, error: io::Error },
    #[error("its content does not have its hash")]
    Hash,
    #[error("something follows its end")]
    Trailing,
    #[error("it is of another model, or of other tokens, than its name says")]
    Name,
    #[error("it is of another model, or has another KV type or shape, than what is computed")]
    Foreign,
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for FileProblem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Short,
            _ => Self::Io(error),
        }
    }
}

impl Header {
    /// Reads the beginning of a file. Memory is taken only for tokens that are there.
    pub(crate) fn read(file: &mut impl Read) -> Result<Self, FileProblem> {
        if &array::<8>(file)? != MAGIC {
            return Err(FileProblem::Magic);
        }
        let version = number(file)?;
        if version != VERSION {
            return Err(FileProblem::Version(version));
        }
        let kind = match array::<4>(file)? {
            [0, 0, 0, 0] => KvKind::F16,
            [1, 0, 0, 0] => KvKind::Q8,
            [other, ..] => return Err(FileProblem::Kind(other)),
        };
        let root = Hash::from(array::<HASH>(file)?);
        let [layers, kv_heads, head_dim] = [number(file)?, number(file)?, number(file)?].map(|n| n as usize);
        let shape = KvShape::new(layers, kv_heads, head_dim, kind)?;
        let tokens = read_tokens(file)?;
        Ok(Self { root, shape, tokens })
    }

    /// The inverse.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let shape = self.shape;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(match shape.kind() {
            KvKind::F16 => [0, 0, 0, 0],
            KvKind::Q8 => [1, 0, 0, 0],
        });
        bytes.extend(self.root.bytes());
        for length in [
            shape.layers(),
            shape.kv_heads(),
            shape.head_dim(),
            self.tokens.len(),
        ] {
            bytes.extend((length as u32).to_le_bytes());
        }
        bytes.extend(self.tokens.iter().flat_map(|token| token.to_le_bytes()));
        bytes
    }

    /// What the file is called: the model and the tokens.
    pub(crate) fn name(&self) -> String {
        let tokens: Vec<u8> = self.tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        format!("{}-{}.kv", self.root, Hash::of(&tokens))
    }
}

/// Writes a session, whose blocks are as many as its tokens need. Stops with [`io::ErrorKind::QuotaExceeded`] before it
/// writes more than `room` bytes. Gives the number of bytes. Before each block `pause` is called.
pub(crate) fn write(
    header: &Header,
    blocks: &[Held],
    room: u64,
    file: &mut impl Write,
    mut pause: impl FnMut(),
) -> io::Result<u64> {
    let mut hashing = Hashing::new(file, room);
    hashing.write(&header.bytes())?;
    for held in blocks {
        pause();
        hashing.write(&(held.bytes().len() as u32).to_le_bytes())?;
        hashing.write(held.bytes())?;
    }
    let hash = hashing.hash();
    hashing.write(&hash)?;
    Ok(hashing.bytes)
}

/// Reads the blocks of the first `length` tokens of a session that is to be this one, and checks all of it. After each
/// block `beat` is called.
pub(crate) fn read(
    file: &mut impl Read,
    wanted: &Header,
    length: usize,
    codec: &mut Codec,
    mut beat: impl FnMut(),
) -> Result<Vec<Arc<KvBlock>>, FileProblem> {
    let mut hashing = Hashing::new(file, u64::MAX);
    let header = Header::read(&mut hashing)?;
    if header != *wanted {
        return Err(FileProblem::Foreign);
    }
    let (mut blocks, mut stored) = (Vec::new(), Vec::new());
    for block in 0..header.tokens.len().div_ceil(POSITIONS) {
        read_block(&mut hashing, block, header.shape, &mut stored)?;
        if block * POSITIONS < length {
            let decoded = codec.decode(header.shape, &stored);
            blocks.push(decoded.map_err(|error| FileProblem::Decode { block, error })?);
        }
        beat();
    }
    let hash = hashing.hash();
    if array::<HASH>(&mut hashing)? != hash {
        return Err(FileProblem::Hash);
    }
    match hashing.read(&mut [0])? {
        0 => Ok(blocks),
        _ => Err(FileProblem::Trailing),
    }
}

fn read_block(
    file: &mut impl Read,
    block: usize,
    shape: KvShape,
    stored: &mut Vec<u8>,
) -> Result<(), FileProblem> {
    let (bytes, most) = (number(file)?, shape.block_bytes());
    if bytes as usize > most {
        return Err(FileProblem::Block { block, bytes, most });
    }
    stored.resize(bytes as usize, 0);
    Ok(file.read_exact(stored)?)
}

fn read_tokens(file: &mut impl Read) -> Result<Arc<[u32]>, FileProblem> {
    let count = number(file)?;
    if !(1..=MOST_TOKENS).contains(&count) {
        return Err(FileProblem::Tokens(count));
    }
    let mut bytes = Vec::new();
    let read = file.take(4 * u64::from(count)).read_to_end(&mut bytes)?;
    if read != 4 * count as usize {
        return Err(FileProblem::Short);
    }
    Ok(bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect())
}

fn array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn number(file: &mut impl Read) -> io::Result<u32> {
    array(file).map(u32::from_le_bytes)
}

/// What passes through is counted and hashed.
struct Hashing<'a, F> {
    file: &'a mut F,
    hasher: blake3::Hasher,
    bytes: u64,
    room: u64,
}

impl<'a, F> Hashing<'a, F> {
    fn new(file: &'a mut F, room: u64) -> Self {
        Self {
            file,
            hasher: blake3::Hasher::new(),
            bytes: 0,
            room,
        }
    }

    /// The hash of what has passed so far.
    fn hash(&self) -> [u8; HASH] {
        *self.hasher.finalize().as_bytes()
    }
}

impl<F: Write> Hashing<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.room {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }
}

impl<F: Read> Read for Hashing<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
