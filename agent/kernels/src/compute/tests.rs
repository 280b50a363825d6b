use super::*;
use crate::kind::Kind;
use crate::layout::{AlignedBytes, pack, packed_bytes};

/// A packed matrix that owns its bytes.
pub(super) struct Weights {
    kind: Kind,
    rows: usize,
    columns: usize,
    bytes: AlignedBytes,
}

impl Weights {
    /// Any weights, of scales about 0.01.
    pub(super) fn new(kind: Kind, rows: usize, columns: usize, seed: u32) -> Self {
        let mut random = random(seed);
        let blocks = rows * columns / kind.block_columns();
        let scale = |random: &mut dyn FnMut() -> u32| {
            half::f16::from_f32(0.01 + (random() % 100) as f32 * 1e-4).to_le_bytes()
        };
        let mut source = Vec::new();
        for _ in 0..blocks {
            let block = source.len();
            source.extend((0..kind.block_bytes()).map(|_| random() as u8));
            match kind {
                Kind::F16 => source[block..].copy_from_slice(&scale(&mut random)),
                Kind::Q8_0 => source[block..][..2].copy_from_slice(&scale(&mut random)),
                Kind::Q4_1 => {
                    source[block..][..2].copy_from_slice(&scale(&mut random));
                    source[block + 2..][..2].copy_from_slice(&scale(&mut random));
                }
                _ => unreachable!("no other kind is tested here"),
            }
        }
        let mut bytes = AlignedBytes::zeros(packed_bytes(kind, rows, columns));
        pack(kind, rows, columns, &source, &mut bytes);
        Self {
            kind,
            rows,
            columns,
            bytes,
        }
    }

    pub(super) fn matrix(&self) -> Matrix<'_> {
        Matrix::new(self.kind, self.rows, self.columns, &self.bytes).unwrap()
    }
}

fn random(seed: u32) -> impl FnMut() -> u32 {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state >> 8
    }
}

pub(super) fn floats(count: usize, seed: u32) -> Vec<f32> {
    let mut random = random(seed);
    (0..count)
        .map(|_| (random() % 2001) as f32 / 1000.0 - 1.0)
        .collect()
}

fn rows(count: usize, columns: usize, seed: u32) -> Rows {
    let mut rows = Rows::new(count, columns);
    rows.as_mut_slice()
        .copy_from_slice(&floats(count * columns, seed));
    rows
}

pub(super) fn activations(count: usize, columns: usize, seed: u32) -> Activations {
    let values = rows(count, columns, seed);
    let mut activations = Activations::default();
    activations.reset(count, columns);
    for (index, mut row) in activations.rows_mut().enumerate() {
        row.values.copy_from_slice(values.row(index));
        quantise(Path::SCALAR, &mut row);
    }
    activations
}

/// Each setting that must not change a bit: threads, and each fusion left out.
pub(super) fn settings() -> impl Iterator<Item = Compute> {
    let without = Fusions::each().map(|(_, fusion)| (3, Fusions::ALL.without(fusion)));
    let all = [
        (1, Fusions::ALL),
        (2, Fusions::ALL),
        (4, Fusions::ALL),
        (4, Fusions::NONE),
    ];
    all.into_iter().chain(without).flat_map(|(threads, fused)| {
        Path::offered()
            .into_iter()
            .map(move |path| Compute::new(path, Pool::new(threads).unwrap(), fused))
    })
}

/// What a map gives by definition, `[rows, outputs]`.
pub(super) fn mapped(map: &Linear<'_>, input: &Activations) -> Vec<f32> {
    let matrix = map.weight;
    let width = matrix.tiles() * ROWS;
    let mut product = vec![0.0; input.rows() * width];
    product::multiply(Path::SCALAR, &matrix, 0..matrix.tiles(), input, &mut product);
    let rows = product.chunks_exact(width).flat_map(|row| {
        let biased = |(index, &value): (usize, &f32)| map.bias.map_or(value, |bias| value + bias[index]);
        row[..matrix.rows()]
            .iter()
            .enumerate()
            .map(biased)
            .collect::<Vec<_>>()
    });
    rows.collect()
}

const BATCHES: [usize; 3] = [1, 3, 70];

#[test]
fn linear_maps_are_the_same_in_every_setting() {
    let (q, k, v) = (
        Weights::new(Kind::Q4_1, 100, 96, 1),
        Weights::new(Kind::Q8_0, 32, 96, 2),
        Weights::new(Kind::F16, 33, 96, 3),
    );
    let bias = floats(33, 4);
    for batch in BATCHES {
        let input = activations(batch, 96, 5);
        let maps = [
            q.matrix().into(),
            k.matrix().into(),
            Linear {
                weight: v.matrix(),
                bias: Some(&bias),
            },
        ];
        for mut compute in settings() {
            let mut outputs = [Rows::default(), Rows::default(), Rows::default()];
            let [a, b, c] = &mut outputs;
            compute.linear(&maps, &input, &mut [a, b, c]);
            for (map, output) in maps.iter().zip(&outputs) {
                assert_eq!(output.as_slice(), mapped(map, &input), "{compute:?}");
            }
        }
    }
}

#[test]
fn a_residual_is_added_to_alike_in_every_setting() {
    let down = Weights::new(Kind::Q4_1, 100, 96, 1);
    let bias = floats(100, 2);
    for (batch, bias) in BATCHES.into_iter().zip([None, Some(&*bias), None]) {
        let (input, before) = (activations(batch, 96, 3), rows(batch, 100, 4));
        let map = Linear {
            weight: down.matrix(),
            bias,
        };
        let added = before.as_slice().iter().zip(mapped(&map, &input));
        let expected: Vec<_> = added.map(|(before, value)| before + value).collect();
        for mut compute in settings() {
            let mut residual = Rows::new(batch, 100);
            residual.as_mut_slice().copy_from_slice(before.as_slice());
            compute.linear_add(map, &input, &mut residual);
            assert_eq!(residual.as_slice(), expected, "{compute:?}");
        }
    }
}

#[test]
fn gate_and_up_are_the_same_in_every_setting() {
    let (gate, up) = (
        Weights::new(Kind::Q4_1, 160, 96, 1),
        Weights::new(Kind::Q8_0, 160, 96, 2),
    );
    for batch in BATCHES {
        let input = activations(batch, 96, 3);
        let (gates, ups) = (
            mapped(&gate.matrix().into(), &input),
            mapped(&up.matrix().into(), &input),
        );
        let mut expected = Activations::default();
        expected.reset(batch, 160);
        let pairs = gates.chunks_exact(160).zip(ups.chunks_exact(160));
        for ((gates, ups), mut row) in pairs.zip(expected.rows_mut()) {
            ops::silu_multiply_quantise(Path::SCALAR, gates, ups, &mut row);
        }
        for mut compute in settings() {
            let mut output = Activations::default();
            compute.gate_up(&gate.matrix(), &up.matrix(), &input, &mut output);
            assert_eq!(output, expected, "{compute:?}");
        }
    }
}

#[test]
fn norms_are_the_same_in_every_setting() {
    let weight = floats(96, 1);
    let norm = Norm {
        weight: &weight,
        epsilon: 1e-5,
    };
    for batch in [1, 3, 400] {
        let values = rows(batch, 96, 2);
        let mut expected = Activations::default();
        expected.reset(batch, 96);
        for (index, mut row) in expected.rows_mut().enumerate() {
            ops::rms_norm_quantise(Path::SCALAR, values.row(index), &weight, 1e-5, &mut row);
        }
        for mut compute in settings() {
            let mut output = Activations::default();
            compute.norm(&values, norm, &mut output);
            assert_eq!(output, expected, "{compute:?}");
        }
    }
}

#[test]
fn a_batch_of_nothing_is_nothing() {
    let weights = Weights::new(Kind::Q8_0, 64, 64, 1);
    for mut compute in settings() {
        let (mut rows, mut output) = (Rows::new(0, 64), Activations::default());
        let input = activations(0, 64, 1);
        compute.gate_up(&weights.matrix(), &weights.matrix(), &input, &mut output);
        compute.linear_add(weights.matrix().into(), &input, &mut rows);
        assert_eq!((rows.rows(), output.rows()), (0, 0));
    }
}

#[test]
#[should_panic(expected = "an output for each map")]
fn outputs_are_counted() {
    let weights = Weights::new(Kind::Q8_0, 64, 64, 1);
    let mut compute = Compute::new(Path::SCALAR, Pool::new(1).unwrap(), Fusions::ALL);
    compute.linear(&[weights.matrix().into()], &activations(1, 64, 1), &mut []);
}
