//! Products of random weights and activations.

use half::f16;
use kernels::activations::{Activations, quantise};
use kernels::kind::Kind;
use kernels::layout::{AlignedBytes, BLOCK, ROWS, pack, packed_bytes};
use kernels::matrix::Matrix;
use kernels::path::Path;
use kernels::product::{multiply, twin};

use crate::signs::Quants;

/// A product to be computed.
pub(crate) struct Case {
    kind: Kind,
    rows: usize,
    columns: usize,
    packed: AlignedBytes,
    input: Activations,
}

impl Case {
    /// A matrix of `rows` rows of `blocks` blocks, or of a third as many blocks of 256, and `m` rows of activations.
    pub(crate) fn new(
        kind: Kind,
        (rows, blocks, m): (usize, usize, usize),
        quants: Quants,
        random: &mut Random,
    ) -> Self {
        let columns = match kind.block_columns() {
            256 => 256 * blocks.div_ceil(3),
            _ => BLOCK * blocks,
        };
        let weights = weights(kind, rows, columns, quants, random);
        let activations = activations(m, columns, quants, random);
        Self::of(kind, (rows, columns), &weights, activations)
    }

    /// Those weights, rows in ggml's layout, and those activations.
    pub(crate) fn of(
        kind: Kind,
        (rows, columns): (usize, usize),
        weights: &[u8],
        input: Activations,
    ) -> Self {
        let mut packed = AlignedBytes::zeros(packed_bytes(kind, rows, columns));
        pack(kind, rows, columns, weights, &mut packed);
        Self {
            kind,
            rows,
            columns,
            packed,
            input,
        }
    }

    /// What a path makes of it.
    pub(crate) fn product(&self, path: Path) -> Vec<f32> {
        let (matrix, mut output) = (self.matrix(), self.room());
        multiply(path, &matrix, 0..matrix.tiles(), &self.input, &mut output);
        output
    }

    /// What it is.
    pub(crate) fn by_definition(&self) -> Vec<f32> {
        let (matrix, mut output) = (self.matrix(), self.room());
        twin::multiply(&matrix, 0..matrix.tiles(), &self.input, &mut output);
        output
    }

    fn room(&self) -> Vec<f32> {
        vec![f32::NAN; self.input.rows() * self.rows.next_multiple_of(ROWS)]
    }

    fn matrix(&self) -> Matrix<'_> {
        match Matrix::new(self.kind, self.rows, self.columns, &self.packed) {
            Ok(matrix) => matrix,
            Err(error) => unreachable!("the shape that was packed: {error}"),
        }
    }
}

/// Rows in ggml's layout whose floats are finite.
fn weights(kind: Kind, rows: usize, columns: usize, quants: Quants, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; rows * kind.row_bytes(columns)];
    bytes.fill_with(|| random.next() as u8);
    for block in bytes.chunks_exact_mut(kind.block_bytes()) {
        quants.restrict_weights(kind, block);
        for &first in halves(kind) {
            let half = f16::from_f32(random.float());
            block[first..first + 2].copy_from_slice(&half.to_le_bytes());
        }
        if kind == Kind::F32 {
            block.copy_from_slice(&random.float().to_le_bytes());
        }
        if kind == Kind::BF16 {
            block.copy_from_slice(&half::bf16::from_f32(random.float()).to_le_bytes());
        }
    }
    bytes
}

/// Where a block has 16-bit floats.
fn halves(kind: Kind) -> &'static [usize] {
    match kind {
        Kind::F32 | Kind::BF16 => &[],
        Kind::F16 | Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 => &[0],
        Kind::Q4_1 | Kind::Q4K | Kind::Q5K => &[0, 2],
        Kind::Q6K => &[208],
    }
}

fn activations(rows: usize, columns: usize, quants: Quants, random: &mut Random) -> Activations {
    let mut input = Activations::default();
    input.reset(rows, columns);
    for mut row in input.rows_mut() {
        row.values
            .fill_with(|| quants.restrict_activation(random.float()));
        quantise(Path::SCALAR, &mut row);
    }
    input
}

/// xorshift64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From −1 to 1.
    fn float(&mut self) -> f32 {
        (self.next() >> 32) as i32 as f32 / 2_147_483_648.0
    }
}
