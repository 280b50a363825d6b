//! How a weight is written: the element types of GGUF files that have kernels.

/// The element type of a weight matrix. Names and blocks are ggml's
/// (<https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// 32-bit float.
    F32,
    /// 16-bit float of IEEE 754.
    F16,
    /// The upper half of a 32-bit float.
    BF16,
    /// Blocks of 32: `d · (q − 8)`, 4-bit `q`.
    Q4_0,
    /// Blocks of 32: `d · q + m`, 4-bit `q`.
    Q4_1,
    /// Blocks of 32: `d · (q − 16)`, 5-bit `q`.
    Q5_0,
    /// Blocks of 32: `d · q`, signed 8-bit `q`.
    Q8_0,
    /// Blocks of 256 in eight parts of 32: `d · scale · q − dmin · min`, 4-bit `q`, 6-bit `scale` and `min`.
    Q4K,
    /// As [`Kind::Q4K`] with 5-bit `q`.
    Q5K,
    /// Blocks of 256 in sixteen parts of 16: `d · scale · (q − 32)`, 6-bit `q`, signed 8-bit `scale`.
    Q6K,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Its name in ggml's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// Its number in ggml's `enum ggml_type`.
    pub fn ggml(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q8_0 => 8,
            Self::Q4K => 12,
            Self::Q5K => 13,
            Self::Q6K => 14,
            Self::BF16 => 30,
        }
    }

    /// The kind of a number of ggml's `enum ggml_type`, if it has kernels.
    pub fn from_ggml(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.ggml() == number)
    }

    /// Columns that share a block in ggml's layout; the columns of a matrix are a multiple of it.
    pub fn block_columns(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of such a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Whether weights are floats, which are multiplied with activations as they are; others are multiplied with
    /// activations rounded to 8 bits.
    pub fn is_float(self) -> bool {
        self.block_columns() == 1
    }

    /// Bytes of a row of `columns` elements in ggml's layout; `usize::MAX` where that is more than can be counted.
    /// `columns` is a multiple of [`Self::block_columns`].
    pub fn row_bytes(self, columns: usize) -> usize {
        (columns / self.block_columns()).saturating_mul(self.block_bytes())
    }
}
