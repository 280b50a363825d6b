use super::*;
use crate::activations::{Activations, quantise};
use crate::path::Path;
use proptest::prelude::*;

/// Rows of any length, so that every remainder of 16 lanes is met.
fn rows() -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(-8.0_f32..8.0, 1..200)
}

fn close(found: &[f32], exact: &[f64], relative: f64) {
    let largest = exact.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    for (i, (&found, &exact)) in found.iter().zip(exact).enumerate() {
        let error = (f64::from(found) - exact).abs();
        assert!(
            error <= relative * largest.max(1e-30),
            "column {i}: {found} for {exact}"
        );
    }
}

/// The same bits on every path.
fn same_bits(operator: impl Fn(Path) -> Vec<f32>) -> Vec<f32> {
    let bits = |path| operator(path).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let expected = bits(Path::SCALAR);
    for path in Path::offered() {
        assert_eq!(bits(path), expected, "{}", path.instructions());
    }
    operator(Path::SCALAR)
}

fn double(values: &[f32]) -> impl Iterator<Item = f64> + Clone {
    values.iter().map(|&value| f64::from(value))
}

proptest! {
    #[test]
    fn rms_norm_is_its_formula(values in rows(), epsilon in 1e-6_f32..1e-3) {
        let weight: Vec<f32> = (0..values.len()).map(|i| 0.5 + (i % 9) as f32 * 0.3).collect();
        let found = same_bits(|path| {
            let mut output = vec![0.0; values.len()];
            rms_norm(path, &values, &weight, epsilon, &mut output);
            output
        });
        let mean = double(&values).map(|value| value * value).sum::<f64>() / values.len() as f64;
        let exact: Vec<f64> = double(&values)
            .zip(double(&weight))
            .map(|(value, weight)| value / (mean + f64::from(epsilon)).sqrt() * weight)
            .collect();
        close(&found, &exact, 1e-6);
    }

    #[test]
    fn heads_are_normalised_one_by_one(heads in 1_usize..5, dims in 1_usize..70) {
        let row: Vec<f32> = (0..heads * dims).map(|i| (i as f32 * 0.7).sin() + 0.1).collect();
        let weight: Vec<f32> = (0..dims).map(|i| 1.0 + i as f32 * 0.01).collect();
        let found = same_bits(|path| {
            let mut row = row.clone();
            rms_norm_heads(path, &mut row, &weight, 1e-6);
            row
        });
        let mut expected = vec![0.0; row.len()];
        for (head, output) in row.chunks(dims).zip(expected.chunks_mut(dims)) {
            rms_norm(Path::SCALAR, head, &weight, 1e-6, output);
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn silu_multiply_is_its_formula(gate in rows()) {
        let up: Vec<f32> = gate.iter().rev().map(|value| value * 0.3 + 1.0).collect();
        let found = same_bits(|path| {
            let mut output = vec![0.0; gate.len()];
            silu_multiply(path, &gate, &up, &mut output);
            output
        });
        let exact: Vec<f64> = double(&gate)
            .zip(double(&up))
            .map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
            .collect();
        close(&found, &exact, 5e-7);
    }

    #[test]
    fn add_is_a_sum(values in rows()) {
        let others: Vec<f32> = values.iter().rev().copied().collect();
        let found = same_bits(|path| {
            let mut sums = values.clone();
            add(path, &mut sums, &others);
            sums
        });
        let expected: Vec<f32> = values.iter().zip(&others).map(|(a, b)| a + b).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn softmax_is_its_formula(mut values in rows(), shift in -1e4_f32..1e4) {
        values.iter_mut().for_each(|value| *value += shift);
        let found = same_bits(|path| {
            let mut values = values.clone();
            softmax(path, &mut values);
            values
        });
        let largest = double(&values).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = double(&values).map(|value| (value - largest).exp()).sum();
        let exact: Vec<f64> = double(&values).map(|value| (value - largest).exp() / sum).collect();
        close(&found, &exact, 1e-6);
    }

    #[test]
    fn rotation_is_its_formula(
        heads in 1_usize..4,
        pairs in 1_usize..40,
        rest in 0_usize..5,
        position in 0_usize..100_000,
        halves in any::<bool>(),
    ) {
        let head_dim = 2 * pairs + rest;
        let convention = if halves { Convention::Halves } else { Convention::Interleaved };
        let rope = Rope::new(2 * pairs, 10_000.0, &RopeScaling::None).unwrap();
        let (mut cosines, mut sines) = (vec![0.0; pairs], vec![0.0; pairs]);
        rope.angles(position, &mut cosines, &mut sines);
        let row: Vec<f32> = (0..heads * head_dim).map(|i| (i as f32 * 1.3).cos()).collect();
        let found = same_bits(|path| {
            let mut row = row.clone();
            rotate(path, convention, &cosines, &sines, head_dim, &mut row);
            row
        });
        let mut exact: Vec<f64> = double(&row).collect();
        for head in exact.chunks_mut(head_dim) {
            for pair in 0..pairs {
                let (a, b) = if halves { (pair, pairs + pair) } else { (2 * pair, 2 * pair + 1) };
                let angle = position as f64 * 10_000_f64.powf(-(pair as f64) / pairs as f64);
                let (x, y) = (head[a], head[b]);
                head[a] = x * angle.cos() - y * angle.sin();
                head[b] = y * angle.cos() + x * angle.sin();
            }
        }
        close(&found, &exact, 3e-7);
    }
}

#[test]
fn what_ends_in_quantise_is_the_operator_and_its_rounding() {
    let values: Vec<f32> = (0..96).map(|i| (i as f32 * 0.9).sin() * 3.0).collect();
    let weight = vec![1.5; 96];
    for path in Path::offered() {
        let row = |fill: &dyn Fn(&mut crate::activations::RowMut<'_>)| {
            let mut activations = Activations::default();
            activations.reset(1, 96);
            activations.rows_mut().for_each(|mut row| fill(&mut row));
            activations
        };
        let fused = row(&|row| rms_norm_quantise(path, &values, &weight, 1e-5, row));
        let apart = row(&|row| {
            rms_norm(path, &values, &weight, 1e-5, row.values);
            quantise(path, row);
        });
        assert_eq!(fused, apart);
        let fused = row(&|row| silu_multiply_quantise(path, &values, &weight, row));
        let apart = row(&|row| {
            silu_multiply(path, &values, &weight, row.values);
            quantise(path, row);
        });
        assert_eq!(fused, apart);
    }
}

/// Radians for each position of the pairs, read back from the angles of position 1.
fn frequencies(rope: &Rope) -> Vec<f64> {
    let pairs = rope.dimensions() / 2;
    let (mut cosines, mut sines) = (vec![0.0; pairs], vec![0.0; pairs]);
    rope.angles(1, &mut cosines, &mut sines);
    sines
        .iter()
        .zip(&cosines)
        .map(|(&sine, &cosine)| f64::from(sine).atan2(f64::from(cosine)))
        .collect()
}

#[test]
fn linear_scaling_and_factors_divide_frequencies() {
    let plain = frequencies(&Rope::new(8, 10_000.0, &RopeScaling::None).unwrap());
    let linear = frequencies(&Rope::new(8, 10_000.0, &RopeScaling::Linear { factor: 4.0 }).unwrap());
    let factors = RopeScaling::Factors(vec![1.0, 2.0, 8.0, 32.0]);
    let factors = frequencies(&Rope::new(8, 10_000.0, &factors).unwrap());
    for (pair, factor) in [1.0, 2.0, 8.0, 32.0].into_iter().enumerate() {
        assert!(
            (plain[pair] - 10_f64.powi(-(pair as i32))).abs() < 1e-7,
            "pair {pair}"
        );
        assert!((linear[pair] * 4.0 - plain[pair]).abs() < 1e-6, "pair {pair}");
        assert!((factors[pair] * factor - plain[pair]).abs() < 1e-6, "pair {pair}");
    }
}

#[test]
fn yarn_keeps_fast_frequencies_and_divides_slow_ones() {
    // Qwen2.5's own numbers: base 1e6, 128 dimensions, from 32768 positions by 4.
    let scaling = RopeScaling::Yarn {
        factor: 4.0,
        original_context: 32_768.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        attention_factor: 1.0,
    };
    let plain = frequencies(&Rope::new(128, 1e6, &RopeScaling::None).unwrap());
    let yarn = Rope::new(128, 1e6, &scaling).unwrap();
    let scaled = frequencies(&yarn);
    // log(32768 / (32 · 2π)) / log(1e6) · 64 = 23.6 and log(32768 / 2π) / log(1e6) · 64 = 39.7.
    for pair in 0..=23 {
        assert!((scaled[pair] - plain[pair]).abs() < 1e-6, "pair {pair}");
    }
    for pair in 40..64 {
        assert!((scaled[pair] * 4.0 - plain[pair]).abs() < 1e-9, "pair {pair}");
    }
    let middle = 31;
    let slow = (31.0 - 23.0) / (40.0 - 23.0);
    let expected = plain[middle] * (slow / 4.0 + 1.0 - slow);
    assert!((scaled[middle] - expected).abs() < 1e-9, "{}", scaled[middle]);
    let (mut cosines, mut sines) = ([0.0; 64], [0.0; 64]);
    yarn.angles(0, &mut cosines, &mut sines);
    assert!((f64::from(cosines[0]) - (1.0 + 0.1 * 4_f64.ln())).abs() < 1e-7);
    assert_eq!(sines[0], 0.0);
}

#[test]
fn angles_that_make_no_sense_are_refused() {
    assert_eq!(Rope::new(7, 1e4, &RopeScaling::None), Err(RopeError::Odd(7)));
    let few = RopeScaling::Factors(vec![1.0]);
    assert_eq!(
        Rope::new(8, 1e4, &few),
        Err(RopeError::Factors { pairs: 4, found: 1 })
    );
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = Rope::new(8, 1e4, &RopeScaling::Linear { factor }).unwrap_err();
        assert!(error.to_string().starts_with("the scaling factor"), "{error}");
    }
    assert!(Rope::new(8, f64::NAN, &RopeScaling::None).is_err());
}
