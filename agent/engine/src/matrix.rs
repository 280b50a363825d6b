//! Multiplication with quantised weights: `x · wᵀ`, `x` being `[rows, in]` and `w` `[out, in]`.
//!
//! Two types are computed here in plain code, the rest by candle. Q4_1 because candle has nothing faster for it on
//! x86 and because its threads wait for one another at every multiplication, which on a machine with other work to
//! do costs far more than the arithmetic; ours take pieces of work and wait for nobody who has none. Q8_0 only where
//! that is faster: candle uses AVX2, which in an emulated machine is about a thousand times slower than on a
//! processor while plain integer code is five times slower. So a short measurement decides, not what the processor
//! says that it has.
//!
//! The arithmetic is ggml's: the inputs of a row are quantised in blocks of 32 to a scale and signed bytes, products
//! are summed as integers block by block and then scaled. For Q4_1 the result is candle's, bit for bit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device, Module, Result, Tensor};
use rayon::prelude::*;

/// Elements of a block in the types computed here.
const BLOCK: usize = 32;
/// Pieces of work for each thread: more even out threads of which something else takes time.
const PIECES_PER_THREAD: usize = 4;

/// Which way to compute what can be computed in more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Q8_0 in plain code.
    pub plain_q8_0: bool,
}

impl Ways {
    /// Measures. Takes microseconds on a processor and a few milliseconds under emulation.
    pub fn measure() -> Result<Self> {
        Ok(Self {
            plain_q8_0: plain_q8_0_is_faster()?,
        })
    }
}

/// A matrix of weights.
pub(crate) enum Matrix {
    Candle(QMatMul),
    Plain(Arc<QTensor>, Blocks),
}

impl Matrix {
    pub(crate) fn new(weight: Arc<QTensor>, ways: Ways) -> Result<Self> {
        match weight.dtype() {
            GgmlDType::Q4_1 => Ok(Self::Plain(weight, Blocks::Q4_1)),
            GgmlDType::Q8_0 if ways.plain_q8_0 => Ok(Self::Plain(weight, Blocks::Q8_0)),
            _ => Ok(Self::Candle(QMatMul::from_arc(weight)?)),
        }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Candle(matrix) => matrix.forward(x),
            Self::Plain(weight, blocks) => plain(weight, *blocks, x),
        }
    }
}

/// A type of blocks of 32 weights, and how a row of them is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// Scale and minimum in half precision, then 16 bytes of two weights each.
    Q4_1,
    /// Scale in half precision, then 32 signed bytes.
    Q8_0,
}

impl Blocks {
    fn dot(self, row: &[u8], x: &Quantised) -> f32 {
        match self {
            Self::Q4_1 => dot_q4_1(row, x),
            Self::Q8_0 => dot_q8_0(row, x),
        }
    }
}

fn plain(weight: &QTensor, blocks: Blocks, x: &Tensor) -> Result<Tensor> {
    let (outputs, inputs) = weight.shape().dims2()?;
    let (rows, width) = x.dims2()?;
    if width != inputs {
        candle_core::bail!("a matrix of {inputs} inputs cannot take {width}")
    }
    let x: Vec<f32> = x.flatten_all()?.to_vec1()?;
    let x: Vec<Quantised> = x.chunks_exact(inputs).map(Quantised::new).collect();
    let bytes = weight.data()?;
    let row_bytes = bytes.len() / outputs;
    let piece = outputs.div_ceil(rayon::current_num_threads() * PIECES_PER_THREAD);
    // Output-major at first, so that each piece of work writes to one place.
    let mut products = vec![0_f32; outputs * rows];
    let pieces = products
        .par_chunks_mut(piece * rows)
        .zip(bytes.par_chunks(piece * row_bytes));
    pieces.for_each(|(products, bytes)| {
        for (products, row) in products.chunks_exact_mut(rows).zip(bytes.chunks_exact(row_bytes)) {
            products
                .iter_mut()
                .zip(&x)
                .for_each(|(product, x)| *product = blocks.dot(row, x));
        }
    });
    if rows == 1 {
        return Tensor::from_vec(products, (1, outputs), &Device::Cpu);
    }
    Tensor::from_vec(products, (outputs, rows), &Device::Cpu)?
        .t()?
        .contiguous()
}

/// A row of inputs, quantised as ggml's Q8_0 and Q8_1: in each block the largest magnitude becomes 127.
struct Quantised {
    /// Widened, because processors multiply and add pairs of 16 bits.
    quants: Vec<i16>,
    /// Scale of each block, rounded to half precision.
    scales: Vec<f32>,
    /// Sum of each block's inputs as quantised, rounded to half precision as candle rounds it.
    sums: Vec<f32>,
}

impl Quantised {
    fn new(x: &[f32]) -> Self {
        let blocks = x.len() / BLOCK;
        let mut quantised = Self {
            quants: Vec::with_capacity(x.len()),
            scales: Vec::with_capacity(blocks),
            sums: Vec::with_capacity(blocks),
        };
        x.chunks_exact(BLOCK).for_each(|block| quantised.push(block));
        quantised
    }

    fn push(&mut self, block: &[f32]) {
        let largest = block
            .iter()
            .fold(0_f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let mut sum = 0_i32;
        for value in block {
            let quant = (value * inverse).round() as i8;
            sum += i32::from(quant);
            self.quants.push(i16::from(quant));
        }
        let scale = through_half(scale);
        self.scales.push(scale);
        self.sums.push(through_half(through_half(sum as f32) * scale));
    }

    fn blocks(&self) -> impl Iterator<Item = (&[i16; BLOCK], (f32, f32))> {
        let (quants, _) = self.quants.as_chunks();
        quants
            .iter()
            .zip(self.scales.iter().copied().zip(self.sums.iter().copied()))
    }
}

fn dot_q4_1(row: &[u8], x: &Quantised) -> f32 {
    let (blocks, _) = row.as_chunks::<20>();
    let mut total = 0_f32;
    for (block, (quants, (scale, sum))) in blocks.iter().zip(x.blocks()) {
        let (low, high) = quants.split_at(BLOCK / 2);
        let mut products = 0_i32;
        for ((&pair, &low), &high) in block[4..].iter().zip(low).zip(high) {
            products += i32::from(pair & 0x0F) * i32::from(low) + i32::from(pair >> 4) * i32::from(high);
        }
        let (weight_scale, minimum) = (half([block[0], block[1]]), half([block[2], block[3]]));
        total += products as f32 * weight_scale * scale + minimum * sum;
    }
    total
}

fn dot_q8_0(row: &[u8], x: &Quantised) -> f32 {
    let (blocks, _) = row.as_chunks::<34>();
    let mut total = 0_f32;
    for (block, (quants, (scale, _))) in blocks.iter().zip(x.blocks()) {
        let products: i32 = block[2..]
            .iter()
            .zip(quants)
            .map(|(&weight, &quant)| i32::from(weight as i8) * i32::from(quant))
            .sum();
        total += products as f32 * half([block[0], block[1]]) * scale;
    }
    total
}

/// Half precision to single, exact for all finite numbers: the exponent is moved by a multiplication, which also
/// brings numbers below the normal range to where they belong.
fn half(bytes: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bytes));
    let magnitude = f32::from_bits((bits & 0x7FFF) << 13) * f32::from_bits(0x7780_0000);
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

fn through_half(value: f32) -> f32 {
    half::f16::from_f32(value).to_f32()
}

/// Compares plain code with candle's kernel. candle computes a matrix of three rows on the calling thread alone, so
/// what other processes do to its threads does not count.
fn plain_q8_0_is_faster() -> Result<bool> {
    let (rows, width) = (3, 16_384);
    let values = Tensor::arange(0, (rows * width) as u32, &Device::Cpu)?;
    let values = (values.to_dtype(DType::F32)?.reshape((rows, width))? / width as f64)?;
    let weight = Arc::new(QTensor::quantize(&values, GgmlDType::Q8_0)?);
    let x = values.narrow(0, 1, 1)?.contiguous()?;
    let matrix = QMatMul::from_arc(Arc::clone(&weight))?;
    let candle = fastest_of(5, || matrix.forward(&x).map(drop))?;
    let (row, bytes) = (x.flatten_all()?.to_vec1()?, weight.data()?);
    let plain = fastest_of(5, || {
        let x = Quantised::new(&row);
        let rows = bytes.chunks_exact(bytes.len() / rows);
        std::hint::black_box(rows.map(|row| dot_q8_0(row, &x)).sum::<f32>());
        Ok(())
    })?;
    Ok(plain < candle)
}

fn fastest_of(times: u32, mut run: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut fastest = Duration::MAX;
    for _ in 0..times {
        let start = Instant::now();
        run()?;
        fastest = fastest.min(start.elapsed());
    }
    Ok(fastest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products of an odd number of rows, by candle and in plain code.
    fn both(kind: GgmlDType) -> (Vec<f32>, Vec<f32>) {
        let (outputs, width) = (701, 192);
        let wave = |i: u32| (i as f32 * 0.7).sin() * (0.01 + (i % 13) as f32);
        let values: Vec<f32> = (0..outputs * width).map(wave).collect();
        let values = Tensor::from_vec(values, (outputs as usize, width as usize), &Device::Cpu).unwrap();
        let weight = Arc::new(QTensor::quantize(&values, kind).unwrap());
        let x = values.narrow(0, 3, 5).unwrap().contiguous().unwrap();
        let flat = |matrix: &Matrix| {
            matrix
                .forward(&x)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap()
        };
        let plain = Matrix::new(Arc::clone(&weight), Ways { plain_q8_0: true }).unwrap();
        assert!(matches!(plain, Matrix::Plain(..)));
        (
            flat(&Matrix::Candle(QMatMul::from_arc(weight).unwrap())),
            flat(&plain),
        )
    }

    #[test]
    fn q4_1_is_candles_bit_for_bit() {
        let (candle, plain) = both(GgmlDType::Q4_1);
        assert!(
            candle
                .iter()
                .zip(&plain)
                .all(|(candle, plain)| candle.to_bits() == plain.to_bits())
        );
    }

    #[test]
    fn q8_0_is_candles_but_for_rounding() {
        let (candle, plain) = both(GgmlDType::Q8_0);
        for (plain, candle) in plain.iter().zip(&candle) {
            assert!(
                (plain - candle).abs() <= 1e-5 * candle.abs().max(1.0),
                "{plain} {candle}"
            );
        }
    }

    #[test]
    fn half_precision_is_read_exactly() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits);
            if expected.is_finite() {
                assert_eq!(
                    half(bits.to_le_bytes()).to_bits(),
                    expected.to_f32().to_bits(),
                    "{bits:#x}"
                );
            }
        }
    }
}
