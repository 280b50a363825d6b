//! That the packed layout knows ggml's formats, by the word of somebody else: candle.

use std::borrow::Cow;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use half::f16;
use kernels::kind::Kind;
use kernels::layout::{AlignedBytes, pack, packed_bytes};
use kernels::matrix::Matrix;
use proptest::prelude::*;

fn candles(kind: Kind) -> GgmlDType {
    match kind {
        Kind::F32 => GgmlDType::F32,
        Kind::F16 => GgmlDType::F16,
        Kind::BF16 => GgmlDType::BF16,
        Kind::Q4_0 => GgmlDType::Q4_0,
        Kind::Q4_1 => GgmlDType::Q4_1,
        Kind::Q5_0 => GgmlDType::Q5_0,
        Kind::Q8_0 => GgmlDType::Q8_0,
        Kind::Q4K => GgmlDType::Q4K,
        Kind::Q5K => GgmlDType::Q5K,
        Kind::Q6K => GgmlDType::Q6K,
    }
}

/// Where a block has 16-bit floats; any bits elsewhere are numbers.
fn halves(kind: Kind) -> &'static [usize] {
    match kind {
        Kind::F32 | Kind::F16 | Kind::BF16 => &[],
        Kind::Q4_0 | Kind::Q5_0 | Kind::Q8_0 => &[0],
        Kind::Q4_1 | Kind::Q4K | Kind::Q5K => &[0, 2],
        Kind::Q6K => &[208],
    }
}

/// A kind, rows, columns and rows in ggml's layout.
fn matrices() -> impl Strategy<Value = (Kind, usize, usize, Vec<u8>)> {
    let shapes = (prop::sample::select(&Kind::ALL[..]), 1..=40_usize, 1..=3_usize);
    shapes.prop_perturb(|(kind, rows, blocks), mut random| {
        let columns = blocks * kind.block_columns().max(32);
        let mut bytes = vec![0; rows * kind.row_bytes(columns)];
        random.fill_bytes(&mut bytes);
        for block in bytes.chunks_exact_mut(kind.block_bytes()) {
            for &first in halves(kind) {
                let half = f16::from_f32(random.random_range(-4.0..4.0));
                block[first..first + 2].copy_from_slice(&half.to_le_bytes());
            }
        }
        (kind, rows, columns, bytes)
    })
}

fn by_candle(kind: Kind, rows: usize, columns: usize, bytes: &[u8]) -> candle_core::Result<Vec<Vec<f32>>> {
    let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, candles(kind))?;
    QTensor::new(storage, (rows, columns))?
        .dequantize(&Device::Cpu)?
        .to_vec2()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packed_weights_have_the_values_that_candle_reads((kind, rows, columns, bytes) in matrices()) {
        let mut packed = AlignedBytes::zeros(packed_bytes(kind, rows, columns));
        pack(kind, rows, columns, &bytes, &mut packed);
        let matrix = Matrix::new(kind, rows, columns, &packed).expect("a matrix");
        let expected = by_candle(kind, rows, columns, &bytes).expect("candle's values");
        let mut values = vec![0.0; columns];
        for (row, expected) in expected.iter().enumerate() {
            matrix.dequantise(row, &mut values);
            let differing = values.iter().zip(expected).position(|(a, b)| a != b && !(a.is_nan() && b.is_nan()));
            prop_assert_eq!(differing, None, "{}, row {}", kind.name(), row);
        }
    }
}
