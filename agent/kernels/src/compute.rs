//! Operators over whole rows: what a model's graph is made of.
//!
//! [`Compute`] has the path and the threads. Each operator takes rows of a batch, of whatever sequences, and gives
//! the same bits whatever the path, the number of threads, the other rows in the batch and the [`Fusions`].

mod activations_grid;
mod attention;
mod chunks;
mod fusions;
mod rows;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::activations::{Activations, RowMut, quantise};
use crate::layout::{BLOCK, ROWS};
use crate::matrix::Matrix;
use crate::ops;
use crate::path::Path;
use crate::pool::Pool;
use crate::product;
use crate::shared::Grid;

use activations_grid::ActivationsGrid;
pub use attention::{Angles, Attention, Part};
use chunks::Chunks;
pub use fusions::{Fusions, UnknownFusion};
pub use rows::Rows;

/// Row tiles whose outputs are whole blocks of 32 columns.
const BLOCK_TILES: usize = BLOCK / ROWS;
/// Elements below which a row operator is computed by the caller alone: a few microseconds.
const ALONE: usize = 16_384;

/// A linear map: `W · x`, or `W · x + bias`.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// `W`, `[outputs, inputs]`.
    pub weight: Matrix<'a>,
    /// `[outputs]`
    pub bias: Option<&'a [f32]>,
}

impl<'a> From<Matrix<'a>> for Linear<'a> {
    fn from(weight: Matrix<'a>) -> Self {
        Self { weight, bias: None }
    }
}

/// A root-mean-square norm.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// `[columns]`
    pub weight: &'a [f32],
    /// What is added under the root.
    pub epsilon: f32,
}

/// A path, threads, and the memory that operators need meanwhile.
#[derive(Debug)]
pub struct Compute {
    path: Path,
    pool: Pool,
    fused: Fusions,
    scratch: Scratch,
    /// Outputs of products that are not fused with what follows.
    loose: [Rows; 2],
    between: attention::Between,
}

impl Compute {
    /// Operators on this path and these threads.
    pub fn new(path: Path, pool: Pool, fused: Fusions) -> Self {
        let scratch = Scratch::new(pool.threads());
        Self {
            path,
            pool,
            fused,
            scratch,
            loose: Default::default(),
            between: attention::Between::default(),
        }
    }

    /// The path.
    pub fn path(&self) -> Path {
        self.path
    }

    /// The threads.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What is fused.
    pub fn fused(&self) -> Fusions {
        self.fused
    }

    /// Normalises rows, and rounds them for products; `output` becomes of their shape.
    pub fn norm(&mut self, rows: &Rows, norm: Norm<'_>, output: &mut Activations) {
        output.reset(rows.rows(), rows.columns());
        let path = self.path;
        if self.fused.contains(Fusions::NORM) {
            self.each_row(output, |row, output| {
                ops::rms_norm_quantise(path, rows.row(row), norm.weight, norm.epsilon, output);
            });
        } else {
            self.each_row(output, |row, output| {
                ops::rms_norm(path, rows.row(row), norm.weight, norm.epsilon, output.values);
            });
            self.each_row(output, |_, output| quantise(path, output));
        }
    }

    /// Multiplies `input` `[rows, inputs]` with each of `maps`; each output becomes `[rows, outputs]` of its map.
    ///
    /// # Panics
    /// If there are more or fewer outputs than maps, or a map takes other columns than `input` has.
    pub fn linear(&mut self, maps: &[Linear<'_>], input: &Activations, outputs: &mut [&mut Rows]) {
        assert_eq!(maps.len(), outputs.len(), "an output for each map");
        if self.fused.contains(Fusions::PRODUCTS) {
            self.linear_together(maps, input, outputs);
        } else {
            for (map, output) in maps.iter().zip(outputs) {
                self.linear_together(std::slice::from_ref(map), input, &mut [&mut **output]);
            }
        }
    }

    fn linear_together(&mut self, maps: &[Linear<'_>], input: &Activations, outputs: &mut [&mut Rows]) {
        let rows = input.rows();
        let length = chunks::length(maps.iter().map(|map| &map.weight), rows, self.pool.threads());
        let mut first = 0;
        let parts: Vec<_> = maps
            .iter()
            .zip(outputs)
            .map(|(map, output)| {
                output.reset(rows, map.weight.rows());
                let chunks = Chunks::new(&[&map.weight], rows, length, 1);
                let part = (first, chunks, map, grid(output, chunks));
                first += chunks.count();
                part
            })
            .collect();
        let (path, scratch) = (self.path, &self.scratch);
        self.pool.run(first, |chunk, thread| {
            let part = parts.partition_point(|&(first, ..)| first <= chunk) - 1;
            let (first, chunks, map, grid) = &parts[part];
            let chunk = chunk - first;
            let mut product = scratch.of(thread);
            let mut block = grid.take(0, chunk);
            for (row, values) in product.map(path, map, *chunks, chunk, input).enumerate() {
                let output = block.row(row);
                output.copy_from_slice(&values[..output.len()]);
            }
        });
    }

    /// `residual += map(input)`; `residual` is `[rows, outputs]`, `input` `[rows, inputs]`.
    pub fn linear_add(&mut self, map: Linear<'_>, input: &Activations, residual: &mut Rows) {
        assert_eq!(
            (residual.rows(), residual.columns()),
            (input.rows(), map.weight.rows()),
            "the shape of the residual"
        );
        if !self.fused.contains(Fusions::RESIDUAL) {
            return self.linear_then_add(map, input, residual);
        }
        let chunks = self.chunks(&[&map.weight], input.rows(), 1);
        let grid = grid(residual, chunks);
        let (path, scratch) = (self.path, &self.scratch);
        self.pool.run(chunks.count(), |chunk, thread| {
            let mut product = scratch.of(thread);
            let mut block = grid.take(0, chunk);
            for (row, values) in product.map(path, &map, chunks, chunk, input).enumerate() {
                let residual = block.row(row);
                ops::add(path, residual, &values[..residual.len()]);
            }
        });
    }

    fn linear_then_add(&mut self, map: Linear<'_>, input: &Activations, residual: &mut Rows) {
        let [mut loose, _] = std::mem::take(&mut self.loose);
        self.linear_together(&[map], input, &mut [&mut loose]);
        let path = self.path;
        self.each_float_row(residual, |row, values| ops::add(path, values, loose.row(row)));
        self.loose[0] = loose;
    }

    /// The first half of a feed-forward part: `silu(gate · x) · (up · x)`, rounded for the next product; `output`
    /// becomes `[rows, outputs]`.
    ///
    /// # Panics
    /// If the matrices have different shapes, or outputs that are no whole blocks of 32.
    pub fn gate_up(
        &mut self,
        gate: &Matrix<'_>,
        up: &Matrix<'_>,
        input: &Activations,
        output: &mut Activations,
    ) {
        assert_eq!(
            (gate.rows(), gate.columns()),
            (up.rows(), up.columns()),
            "the shapes of gate and up"
        );
        output.reset(input.rows(), gate.rows());
        if !self.fused.contains(Fusions::SWIGLU) {
            return self.gate_then_up(gate, up, input, output);
        }
        let chunks = self.chunks(&[gate, up], input.rows(), BLOCK_TILES);
        let output = ActivationsGrid::new(output, usize::MAX, chunks.step() * ROWS);
        let (path, scratch) = (self.path, &self.scratch);
        self.pool.run(chunks.count(), |chunk, thread| {
            let (mut gates, mut ups) = (scratch.of(thread), scratch.second_of(thread));
            let gates = gates.multiply(path, gate, chunks, chunk, input);
            let ups = ups.multiply(path, up, chunks, chunk, input);
            let mut block = output.take(0, chunk);
            for (row, (gates, ups)) in gates.zip(ups).enumerate() {
                let mut output = block.row(row);
                let columns = output.values.len();
                ops::silu_multiply_quantise(path, &gates[..columns], &ups[..columns], &mut output);
            }
        });
    }

    fn gate_then_up(
        &mut self,
        gate: &Matrix<'_>,
        up: &Matrix<'_>,
        input: &Activations,
        output: &mut Activations,
    ) {
        let [mut gates, mut ups] = std::mem::take(&mut self.loose);
        self.linear_together(&[(*gate).into()], input, &mut [&mut gates]);
        self.linear_together(&[(*up).into()], input, &mut [&mut ups]);
        let path = self.path;
        self.each_row(output, |row, output| {
            ops::silu_multiply(path, gates.row(row), ups.row(row), output.values);
        });
        self.each_row(output, |_, output| quantise(path, output));
        self.loose = [gates, ups];
    }

    fn chunks(&self, matrices: &[&Matrix<'_>], rows: usize, multiple: usize) -> Chunks {
        let length = chunks::length(matrices.iter().copied(), rows, self.pool.threads());
        Chunks::new(matrices, rows, length, multiple)
    }

    /// Computes each row of floats from its index.
    fn each_float_row(&mut self, output: &mut Rows, operator: impl Fn(usize, &mut [f32]) + Sync) {
        let columns = output.columns();
        let step = each_alone(columns, output.rows());
        let output = Grid::new(output.as_mut_slice(), columns, step, columns.max(1));
        self.pool.run(output.down(), |chunk, _| {
            let mut block = output.take(chunk, 0);
            for row in 0..block.rows() {
                operator(chunk * step + row, block.row(row));
            }
        });
    }

    /// Computes each row of activations from its index.
    fn each_row(&mut self, output: &mut Activations, operator: impl Fn(usize, &mut RowMut<'_>) + Sync) {
        let step = each_alone(output.columns(), output.rows());
        let output = ActivationsGrid::new(output, step, usize::MAX);
        self.pool.run(output.down(), |chunk, _| {
            let mut block = output.take(chunk, 0);
            for row in 0..block.rows() {
                operator(chunk * step + row, &mut block.row(row));
            }
        });
    }
}

/// Rows of so many columns that make a chunk.
fn each_alone(columns: usize, rows: usize) -> usize {
    (ALONE / columns.max(1))
        .max(rows.div_ceil(crate::shared::BLOCKS))
        .max(1)
}

/// The outputs of a product, a block for each chunk.
fn grid(output: &mut Rows, chunks: Chunks) -> Grid<'_, f32> {
    let (rows, columns) = (output.rows(), output.columns());
    Grid::new(output.as_mut_slice(), columns, rows.max(1), chunks.step() * ROWS)
}

/// Memory of each thread's own.
#[derive(Debug)]
struct Scratch(Vec<ThreadScratch>);

#[derive(Debug, Default)]
struct ThreadScratch {
    products: [Mutex<Product>; 2],
    attention: Mutex<attention::Room>,
}

/// The outputs of one chunk, `[rows, tiles · 16]`.
#[derive(Debug, Default)]
struct Product(Vec<f32>);

impl Scratch {
    fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| ThreadScratch::default()).collect())
    }

    fn of(&self, thread: usize) -> MutexGuard<'_, Product> {
        own(&self.0[thread].products[0])
    }

    fn second_of(&self, thread: usize) -> MutexGuard<'_, Product> {
        own(&self.0[thread].products[1])
    }

    fn attention_of(&self, thread: usize) -> MutexGuard<'_, attention::Room> {
        own(&self.0[thread].attention)
    }
}

/// What one thread alone locks; what a panic left is written anew anyway.
fn own<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Product {
    /// Computes a chunk; gives its rows.
    fn multiply(
        &mut self,
        path: Path,
        matrix: &Matrix<'_>,
        chunks: Chunks,
        chunk: usize,
        input: &Activations,
    ) -> impl Iterator<Item = &mut [f32]> {
        let tiles = chunks.tiles(chunk);
        let columns = tiles.len() * ROWS;
        self.0.resize(input.rows() * columns, 0.0);
        product::multiply(path, matrix, tiles, input, &mut self.0);
        self.0.chunks_exact_mut(columns)
    }

    /// Computes a chunk of a linear map; gives its rows.
    fn map(
        &mut self,
        path: Path,
        map: &Linear<'_>,
        chunks: Chunks,
        chunk: usize,
        input: &Activations,
    ) -> impl Iterator<Item = &mut [f32]> {
        let columns = chunks.tiles(chunk).len() * ROWS;
        for values in self.multiply(path, &map.weight, chunks, chunk, input) {
            if let Some(bias) = map.bias {
                let bias = &bias[chunk * chunks.step() * ROWS..];
                let outputs = columns.min(bias.len());
                ops::add(path, &mut values[..outputs], &bias[..outputs]);
            }
        }
        self.0.chunks_exact_mut(columns)
    }
}

#[cfg(test)]
mod tests;
