//! Keys and values of a sequence.
//!
//! A sequence is a list of [`KvBlock`]s of 64 positions each, for all its layers. A full one never changes, so that
//! sequences can share it and it can be parked. Inside, each layer has its KV heads one after the other, and each head
//! its keys and then its values, as attention reads them:
//!
//! | part | f16 | q8 |
//! |---|---|---|
//! | keys | four tiles of 16 positions, `[head_dim, 16]` | four tiles of 16 positions, `[head_dim / 4, 16, 4]`, so that 4 dimensions of a position lie together |
//! | scales of keys | | four tiles, `[head_dim / 32, 16]` f16 |
//! | values | `[64, head_dim]` | `[64, head_dim]` |
//! | scales of values | | `[head_dim / 32, 64]` f16 |
//!
//! q8 is a signed byte from −127 to 127 and an f16 scale for each position and 32 dimensions. Every head begins on 64
//! bytes.

pub(crate) mod float16;
mod write;

use crate::layout::{ALIGNMENT, BLOCK};
pub use write::KvHeadMut;

/// Positions of a block.
pub const POSITIONS: usize = 64;
/// Positions of a tile of keys.
pub const TILE: usize = 16;
/// Tiles of a block.
pub const TILES: usize = POSITIONS / TILE;

/// Most dimensions of a head.
pub const MOST_DIMENSIONS: usize = 256;

/// How an element is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvKind {
    /// 16-bit float of IEEE 754; what is larger becomes the largest there is.
    F16,
    /// 8 bits, and an f16 scale for each position and 32 dimensions.
    Q8,
}

impl KvKind {
    /// Bytes that `elements` neighbouring dimensions take, a multiple of 32.
    pub fn bytes(self, elements: usize) -> usize {
        match self {
            Self::F16 => 2 * elements,
            Self::Q8 => elements + 2 * (elements / BLOCK),
        }
    }
}

/// What the blocks of a model's sequences hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvShape {
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
    kind: KvKind,
}

/// Why there are no such blocks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvShapeError {
    /// Heads are taken in parts of 32 dimensions, and kernels have room for 256.
    #[error("heads of {0} dimensions have no kernels: it must be a multiple of 32 up to {MOST_DIMENSIONS}")]
    HeadDim(usize),
    /// There is nothing to keep, or more than can be counted.
    #[error("{layers} layers of {kv_heads} KV heads of {head_dim} dimensions are no model")]
    Size {
        /// The layers.
        layers: usize,
        /// The KV heads of a layer.
        kv_heads: usize,
        /// The dimensions of a head.
        head_dim: usize,
    },
}

impl KvShape {
    /// A shape that there are kernels for.
    pub fn new(layers: usize, kv_heads: usize, head_dim: usize, kind: KvKind) -> Result<Self, KvShapeError> {
        if !head_dim.is_multiple_of(BLOCK) || head_dim > MOST_DIMENSIONS {
            return Err(KvShapeError::HeadDim(head_dim));
        }
        let elements = [layers, kv_heads, head_dim, 4 * POSITIONS]
            .into_iter()
            .try_fold(1_usize, usize::checked_mul);
        match elements {
            None | Some(0) => Err(KvShapeError::Size {
                layers,
                kv_heads,
                head_dim,
            }),
            Some(_) => Ok(Self {
                layers,
                kv_heads,
                head_dim,
                kind,
            }),
        }
    }

    /// Layers.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// KV heads of a layer.
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Dimensions of a head, a multiple of 32.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// How an element is written.
    pub fn kind(&self) -> KvKind {
        self.kind
    }

    /// Bytes of a [`KvBlock`].
    pub fn block_bytes(&self) -> usize {
        self.layers * self.layer_bytes()
    }

    fn layer_bytes(&self) -> usize {
        self.kv_heads * self.head_bytes()
    }

    fn head_bytes(&self) -> usize {
        2 * self.part_bytes()
    }

    /// Bytes of a head's keys, and of its values.
    fn part_bytes(&self) -> usize {
        POSITIONS * self.kind.bytes(self.head_dim)
    }
}

/// Keys and values of 64 positions of one sequence, for all layers.
#[derive(Debug)]
pub struct KvBlock {
    shape: KvShape,
    /// With as much in front as alignment needs.
    memory: Vec<u8>,
    front: usize,
}

impl KvBlock {
    /// Zeros, which take no memory before they are written.
    pub fn new(shape: KvShape) -> Self {
        // An allocation that is asked to be aligned would be cleared by writing it.
        let memory = vec![0; shape.block_bytes() + ALIGNMENT - 1];
        let front = memory.as_ptr().addr().next_multiple_of(ALIGNMENT) - memory.as_ptr().addr();
        Self { shape, memory, front }
    }

    /// Its shape.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// All it holds, [`KvShape::block_bytes`].
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.front..][..self.shape.block_bytes()]
    }

    /// All it holds, to be filled with what [`Self::bytes`] of a block of the same shape gave.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.front..][..self.shape.block_bytes()]
    }

    /// One KV head of one layer, to read.
    pub fn head(&self, layer: usize, kv_head: usize) -> KvHead<'_> {
        let shape = self.shape;
        assert!(
            layer < shape.layers && kv_head < shape.kv_heads,
            "head {kv_head} of layer {layer} of {shape:?}"
        );
        let index = layer * shape.kv_heads + kv_head;
        let bytes = &self.bytes()[index * shape.head_bytes()..][..shape.head_bytes()];
        KvHead::new(shape, bytes)
    }

    /// The KV heads of one layer in their order, to write; they may be given to threads.
    pub fn layer_mut(&mut self, layer: usize) -> impl ExactSizeIterator<Item = KvHeadMut<'_>> {
        let shape = self.shape;
        assert!(layer < shape.layers, "layer {layer} of {shape:?}");
        self.bytes_mut()[layer * shape.layer_bytes()..][..shape.layer_bytes()]
            .chunks_exact_mut(shape.head_bytes())
            .map(move |bytes| KvHeadMut::new(shape, bytes))
    }
}

/// The bytes of an f16, lowest first.
pub(crate) type Half = [u8; 2];

/// One KV head of one layer in a block, as it is read.
#[derive(Clone, Copy, Debug)]
pub struct KvHead<'a> {
    /// Dimensions.
    pub(crate) head_dim: usize,
    /// The elements.
    pub(crate) elements: Elements<'a>,
}

/// The elements of a head, as the module's table says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Elements<'a> {
    F16 {
        /// `[4, head_dim, 16]`
        keys: &'a [[Half; 16]],
        /// `[64, head_dim / 16, 16]`
        values: &'a [[Half; 16]],
    },
    Q8(Quants<'a>),
}

/// The elements of a head in 8 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quants<'a> {
    /// `[4, head_dim / 4]` groups of 16 positions × 4 dimensions.
    pub(crate) keys: &'a [[u8; 64]],
    /// `[4, head_dim / 32, 16]`
    pub(crate) key_scales: &'a [[Half; 16]],
    /// `[64, head_dim / 16, 16]`
    pub(crate) values: &'a [[u8; 16]],
    /// `[head_dim / 32, 4, 16]`
    pub(crate) value_scales: &'a [[Half; 16]],
}

impl<'a> KvHead<'a> {
    fn new(shape: KvShape, bytes: &'a [u8]) -> Self {
        let elements = POSITIONS * shape.head_dim;
        let (keys, values) = bytes.split_at(shape.part_bytes());
        let elements = match shape.kind {
            KvKind::F16 => Elements::F16 {
                keys: halves(keys),
                values: halves(values),
            },
            KvKind::Q8 => Elements::Q8(Quants {
                keys: keys[..elements].as_chunks().0,
                key_scales: halves(&keys[elements..]),
                values: values[..elements].as_chunks().0,
                value_scales: halves(&values[elements..]),
            }),
        };
        Self {
            head_dim: shape.head_dim,
            elements,
        }
    }

    /// Bytes from another head's elements to these, wrapping.
    pub(crate) fn distance_from(&self, other: Self) -> usize {
        self.address().wrapping_sub(other.address())
    }

    fn address(&self) -> usize {
        match self.elements {
            Elements::F16 { keys, .. } => keys.as_ptr().addr(),
            Elements::Q8(quants) => quants.keys.as_ptr().addr(),
        }
    }

    /// Dimensions of the head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// One dimension of the key of one of the 64 positions, as it was rounded.
    pub fn key(&self, position: usize, dimension: usize) -> f32 {
        let (factor, scale) = self.key_parts(position, dimension);
        factor * scale
    }

    /// One dimension of the value of one of the 64 positions, as it was rounded.
    pub fn value(&self, position: usize, dimension: usize) -> f32 {
        let (factor, scale) = self.value_parts(position, dimension);
        factor * scale
    }

    /// [`Self::key`] as what is kept of the dimension and the scale of its 32, which is 1 for floats.
    pub(crate) fn key_parts(&self, position: usize, dimension: usize) -> (f32, f32) {
        let (tile, lane) = (position / TILE, position % TILE);
        let index = tile * self.head_dim + dimension;
        match self.elements {
            Elements::F16 { keys, .. } => (float16::to_f32(keys[index][lane]), 1.0),
            Elements::Q8(quants) => {
                let byte = quants.keys[index / 4][lane * 4 + dimension % 4];
                (
                    quant(byte),
                    float16::to_f32(quants.key_scales[index / BLOCK][lane]),
                )
            }
        }
    }

    /// [`Self::value`] as what is kept of the dimension and the scale of its 32, which is 1 for floats.
    pub(crate) fn value_parts(&self, position: usize, dimension: usize) -> (f32, f32) {
        let index = position * self.head_dim + dimension;
        match self.elements {
            Elements::F16 { values, .. } => (float16::to_f32(values[index / 16][index % 16]), 1.0),
            Elements::Q8(quants) => {
                let scales = quants.value_scales[dimension / BLOCK * TILES + position / TILE];
                let byte = quants.values[index / 16][index % 16];
                (quant(byte), float16::to_f32(scales[position % TILE]))
            }
        }
    }
}

/// The number that a byte of q8 stands for.
#[inline(always)]
pub(crate) fn quant(byte: u8) -> f32 {
    f32::from(byte.cast_signed())
}

fn halves(bytes: &[u8]) -> &[[Half; 16]] {
    bytes.as_chunks().0.as_chunks().0
}

#[cfg(test)]
mod tests;
