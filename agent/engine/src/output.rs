//! The output layer: from the last residual to one logit for each token of the vocabulary.
//!
//! It is the largest matrix of a small model, most often Q8_0, and candle computes that type with AVX2. In an emulated
//! machine AVX2 is about a thousand times slower than on a processor while plain integer code is five times slower,
//! so the way is chosen by a short measurement, not by what the processor says that it has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Result, Tensor};
use rayon::prelude::*;

/// A Q8_0 block: its scale in half precision, then 32 signed bytes.
const BLOCK_BYTES: usize = 34;
const BLOCK: usize = 32;
/// Rows of the matrix that one piece of parallel work takes.
const ROWS_PER_PIECE: usize = 512;

/// The output matrix, `[vocabulary, width]`.
pub(crate) struct Output {
    weight: Arc<QTensor>,
    way: Way,
}

enum Way {
    Candle(QMatMul),
    Scalar,
}

impl Output {
    pub(crate) fn new(weight: Arc<QTensor>) -> Result<Self> {
        let scalar = weight.dtype() == GgmlDType::Q8_0 && scalar_is_faster()?;
        let way = if scalar {
            Way::Scalar
        } else {
            Way::Candle(QMatMul::from_arc(Arc::clone(&weight))?)
        };
        Ok(Self { weight, way })
    }

    pub(crate) fn path_name(&self) -> &'static str {
        match self.way {
            Way::Candle(_) => "candle",
            Way::Scalar => "scalar",
        }
    }

    /// Logits of `x`, `[1, width]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Vec<f32>> {
        match &self.way {
            Way::Candle(matrix) => matrix.forward(x)?.flatten_all()?.to_vec1(),
            Way::Scalar => scalar(&self.weight, &x.flatten_all()?.to_vec1()?),
        }
    }
}

/// Whether plain integer code beats candle's kernel on this machine. Takes microseconds on a processor and a few
/// milliseconds under emulation.
///
/// candle computes a matrix of three rows on the calling thread alone, so that the answer does not depend on what
/// other processes do to its threads.
fn scalar_is_faster() -> Result<bool> {
    let (rows, width) = (3, 16_384);
    let values = Tensor::arange(0, (rows * width) as u32, &Device::Cpu)?;
    let values = (values.to_dtype(candle_core::DType::F32)?.reshape((rows, width))? / 16_384.0)?;
    let weight = Arc::new(QTensor::quantize(&values, GgmlDType::Q8_0)?);
    let x = values.narrow(0, 1, 1)?.contiguous()?;
    let matrix = QMatMul::from_arc(Arc::clone(&weight))?;
    let candle = fastest_of(5, || matrix.forward(&x).map(drop))?;
    let (row, bytes) = (x.flatten_all()?.to_vec1()?, weight.data()?);
    let plain = fastest_of(5, || {
        let (scales, quants) = quantise(&row);
        let rows = bytes.chunks_exact(bytes.len() / rows);
        std::hint::black_box(rows.map(|row| dot(row, &scales, &quants)).sum::<f32>());
        Ok(())
    })?;
    Ok(plain < candle)
}

fn fastest_of(times: u32, mut run: impl FnMut() -> Result<()>) -> Result<Duration> {
    run()?;
    let mut fastest = Duration::MAX;
    for _ in 0..times {
        let start = Instant::now();
        run()?;
        fastest = fastest.min(start.elapsed());
    }
    Ok(fastest)
}

/// Multiplies in plain code: each row's blocks of 32 products are summed as integers, then scaled.
fn scalar(weight: &QTensor, x: &[f32]) -> Result<Vec<f32>> {
    let (rows, _) = weight.shape().dims2()?;
    let bytes = weight.data()?;
    let row_bytes = bytes.len() / rows;
    let (scales, quants) = quantise(x);
    let mut logits = vec![0_f32; rows];
    candle_core::utils::with_threadpool(|| {
        let pieces = logits
            .par_chunks_mut(ROWS_PER_PIECE)
            .zip(bytes.par_chunks(row_bytes * ROWS_PER_PIECE));
        pieces.for_each(|(logits, bytes)| {
            for (logit, row) in logits.iter_mut().zip(bytes.chunks_exact(row_bytes)) {
                *logit = dot(row, &scales, &quants);
            }
        });
    });
    Ok(logits)
}

fn dot(row: &[u8], scales: &[f32], quants: &[i8]) -> f32 {
    let blocks = row
        .chunks_exact(BLOCK_BYTES)
        .zip(scales)
        .zip(quants.chunks_exact(BLOCK));
    blocks
        .map(|((block, scale), quants)| {
            let sum: i32 = block[2..]
                .iter()
                .zip(quants)
                .map(|(&w, &q)| i32::from(w as i8) * i32::from(q))
                .sum();
            sum as f32 * half_to_f32([block[0], block[1]]) * scale
        })
        .sum()
}

/// Quantises as ggml's Q8_0 does: blocks of 32, the largest magnitude becomes 127, the scale is kept in half
/// precision.
fn quantise(x: &[f32]) -> (Vec<f32>, Vec<i8>) {
    let mut quants = Vec::with_capacity(x.len());
    let scale = |block: &[f32]| {
        let largest = block
            .iter()
            .fold(0_f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        quants.extend(block.iter().map(|value| (value * inverse).round() as i8));
        f32_through_half(scale)
    };
    let scales = x.chunks_exact(BLOCK).map(scale).collect();
    (scales, quants)
}

fn half_to_f32(bytes: [u8; 2]) -> f32 {
    half::f16::from_le_bytes(bytes).to_f32_const()
}

fn f32_through_half(value: f32) -> f32 {
    half::f16::from_f32(value).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_code_and_candle_agree() {
        let (rows, width) = (700, 96);
        let wave = |i: u32| (i as f32 * 0.7).sin() * (1.0 + (i % 13) as f32);
        let values: Vec<f32> = (0..rows * width).map(wave).collect();
        let values = Tensor::from_vec(values, (rows as usize, width as usize), &Device::Cpu).unwrap();
        let weight = Arc::new(QTensor::quantize(&values, GgmlDType::Q8_0).unwrap());
        let x = values.narrow(0, 3, 1).unwrap();
        let candle = QMatMul::from_arc(Arc::clone(&weight))
            .unwrap()
            .forward(&x)
            .unwrap();
        let candle: Vec<f32> = candle.flatten_all().unwrap().to_vec1().unwrap();
        let plain = scalar(&weight, &x.flatten_all().unwrap().to_vec1().unwrap()).unwrap();
        for (plain, candle) in plain.iter().zip(&candle) {
            assert!(
                (plain - candle).abs() <= 1e-5 * candle.abs().max(1.0),
                "{plain} {candle}"
            );
        }
    }
}
