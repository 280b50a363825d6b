use super::super::tests::{Weights, activations, floats, mapped, settings};
use super::stretch::heads_together;
use super::*;
use crate::activations::quantise;
use crate::attention::{self, History};
use crate::kind::Kind;
use crate::kv::{KvKind, KvShape, POSITIONS};
use crate::ops::RopeScaling;

const COLUMNS: usize = 96;
const DIMS: usize = 32;

/// A layer's weights: `kv_heads` of 32 dimensions, `group` query heads for each.
struct Layer {
    group: usize,
    kv_heads: usize,
    maps: [Weights; 3],
    bias: Vec<f32>,
    norm: Option<Vec<f32>>,
    convention: Convention,
}

impl Layer {
    fn new(kv_heads: usize, group: usize, norm: bool, convention: Convention) -> Self {
        let (keys, queries) = (kv_heads * DIMS, kv_heads * group * DIMS);
        Self {
            group,
            kv_heads,
            maps: [
                Weights::new(Kind::Q4_1, queries, COLUMNS, 1),
                Weights::new(Kind::Q8_0, keys, COLUMNS, 2),
                Weights::new(Kind::F16, keys, COLUMNS, 3),
            ],
            bias: floats(queries, 4),
            norm: norm.then(|| floats(DIMS, 5)),
            convention,
        }
    }

    fn attention(&self) -> Attention<'_> {
        let [query, key, value] = self.maps.each_ref().map(|weights| Linear::from(weights.matrix()));
        let norm = self.norm.as_deref().map(|weight| Norm {
            weight,
            epsilon: 1e-6,
        });
        Attention {
            layer: 1,
            query: Linear {
                bias: Some(&self.bias),
                ..query
            },
            key,
            value,
            query_norm: norm,
            key_norm: norm,
            convention: self.convention,
            scale: 0.2,
        }
    }

    fn blocks(&self, kind: KvKind, positions: usize) -> Vec<Arc<KvBlock>> {
        let shape = KvShape::new(2, self.kv_heads, DIMS, kind).unwrap();
        let block = |_| Arc::new(KvBlock::new(shape));
        (0..positions.div_ceil(POSITIONS)).map(block).collect()
    }

    /// Attention of one sequence row by row and step by step, `[rows, heads · 32]`.
    fn plainly(&self, kind: KvKind, rope: &Rope, input: &Activations) -> Activations {
        let how = self.attention();
        let [mut queries, mut keys, values] = [how.query, how.key, how.value].map(|map| mapped(&map, input));
        let mut blocks = self.blocks(kind, input.rows());
        let (q_width, kv_width) = (self.kv_heads * self.group * DIMS, self.kv_heads * DIMS);
        let mut output = Activations::default();
        output.reset(input.rows(), q_width);
        for (row, mut output) in output.rows_mut().enumerate() {
            let (mut cosines, mut sines) = ([0.0; DIMS / 2], [0.0; DIMS / 2]);
            rope.angles(row, &mut cosines, &mut sines);
            let query = &mut queries[row * q_width..][..q_width];
            let key = &mut keys[row * kv_width..][..kv_width];
            for row in [&mut *query, &mut *key] {
                if let Some(norm) = &self.norm {
                    ops::rms_norm_heads(Path::SCALAR, row, norm, 1e-6);
                }
                ops::rotate(Path::SCALAR, self.convention, &cosines, &sines, DIMS, row);
            }
            let value = &values[row * kv_width..][..kv_width];
            let block = Arc::get_mut(&mut blocks[row / POSITIONS]).unwrap();
            let heads = key.chunks(DIMS).zip(value.chunks(DIMS));
            for (mut kept, (key, value)) in block.layer_mut(1).zip(heads) {
                kept.write(Path::SCALAR, row % POSITIONS, key, value);
            }
            for kv_head in 0..self.kv_heads {
                let width = self.group * DIMS;
                let history = History {
                    blocks: &blocks[..],
                    layer: 1,
                    kv_head,
                };
                let partials: Vec<f32> = (0..attention::ranges(row + 1))
                    .flat_map(|range| {
                        let mut partial = vec![0.0; attention::partial_len(self.group, DIMS)];
                        let query = &query[kv_head * width..][..width];
                        attention::decode_range(
                            Path::SCALAR,
                            history,
                            row + 1,
                            range,
                            0.2,
                            query,
                            &mut partial,
                        );
                        partial
                    })
                    .collect();
                let output = &mut output.values[kv_head * width..][..width];
                attention::combine(Path::SCALAR, DIMS, &partials, output);
            }
            quantise(Path::SCALAR, &mut output);
        }
        output
    }
}

/// Some rows of activations.
fn some(of: &Activations, rows: impl Iterator<Item = (usize, usize)>, all: &[Activations]) -> Activations {
    let rows: Vec<_> = rows.collect();
    let mut some = Activations::default();
    some.reset(rows.len(), of.columns());
    for (&(sequence, row), output) in rows.iter().zip(some.rows_mut()) {
        let input = all[sequence].row(row);
        output.values.copy_from_slice(input.values);
        output.quants.copy_from_slice(input.quants);
        output.scales.copy_from_slice(input.scales);
        output.sums.copy_from_slice(input.sums);
        output.scaled_sums.copy_from_slice(input.scaled_sums);
    }
    some
}

/// Runs sequences in batches, of each of which is said how many rows each sequence has in it, and compares each row
/// with what it is when its sequence is computed alone, row by row.
fn check(layer: &Layer, kind: KvKind, batches: &[&[usize]]) {
    let rope = Rope::new(DIMS, 10_000.0, &RopeScaling::None).unwrap();
    let sequences = batches[0].len();
    let lengths: Vec<usize> = (0..sequences)
        .map(|sequence| batches.iter().map(|rows| rows[sequence]).sum())
        .collect();
    let inputs: Vec<_> = lengths
        .iter()
        .zip(10..)
        .map(|(&length, seed)| activations(length, COLUMNS, seed))
        .collect();
    let expected: Vec<_> = inputs
        .iter()
        .map(|input| layer.plainly(kind, &rope, input))
        .collect();
    for mut compute in settings() {
        let mut blocks: Vec<_> = lengths.iter().map(|&length| layer.blocks(kind, length)).collect();
        let mut positions = vec![0; sequences];
        let (mut angles, mut output) = (Angles::default(), Activations::default());
        for rows in batches {
            let places = || {
                let sequences = rows.iter().zip(&positions).enumerate();
                sequences.flat_map(|(sequence, (&rows, &first))| {
                    (first..first + rows).map(move |row| (sequence, row))
                })
            };
            let input = some(&inputs[0], places(), &inputs);
            let expected = some(&expected[0], places(), &expected);
            let mut parts: Vec<_> = blocks
                .iter_mut()
                .zip(rows.iter().zip(&positions))
                .map(|(blocks, (&rows, &position))| Part {
                    rows,
                    position,
                    blocks,
                })
                .collect();
            compute.angles(&rope, &parts, &mut angles);
            compute.attend(&layer.attention(), &angles, &mut parts, &input, &mut output);
            assert!(
                output == expected,
                "{rows:?} rows at {positions:?} with {compute:?}"
            );
            for (position, rows) in positions.iter_mut().zip(*rows) {
                *position += rows;
            }
        }
    }
}

#[test]
fn one_sequence_is_the_same_in_every_setting_and_cut() {
    let layer = Layer::new(2, 3, false, Convention::Interleaved);
    for kind in [KvKind::F16, KvKind::Q8] {
        check(&layer, kind, &[&[1], &[1], &[3], &[62], &[1], &[20], &[1]]);
    }
}

#[test]
fn long_sequences_are_combined_from_ranges() {
    let layer = Layer::new(1, 4, true, Convention::Halves);
    check(&layer, KvKind::F16, &[&[510], &[1], &[1], &[1], &[600], &[1]]);
}

#[test]
fn a_row_does_not_see_the_other_sequences_of_its_batch() {
    let layer = Layer::new(3, 2, true, Convention::Halves);
    let batches: [&[usize]; 5] = [&[5, 1, 0], &[1, 70, 2], &[1, 1, 1], &[40, 1, 64], &[1, 0, 9]];
    check(&layer, KvKind::F16, &batches);
    check(&layer, KvKind::Q8, &batches);
}

#[test]
#[should_panic(expected = "a block that gets positions is nobody else's")]
fn a_shared_block_is_not_written() {
    let layer = Layer::new(1, 1, false, Convention::Halves);
    let mut blocks = layer.blocks(KvKind::F16, 1);
    let _other = Arc::clone(&blocks[0]);
    let mut compute = settings().next().unwrap();
    let mut parts = [Part {
        rows: 1,
        position: 0,
        blocks: &mut blocks,
    }];
    let (mut angles, mut output) = (Angles::default(), Activations::default());
    let rope = Rope::new(DIMS, 10_000.0, &RopeScaling::None).unwrap();
    compute.angles(&rope, &parts, &mut angles);
    let input = activations(1, COLUMNS, 1);
    compute.attend(&layer.attention(), &angles, &mut parts, &input, &mut output);
}

#[test]
fn decode_is_shared_out_by_heads_where_there_are_few_ranges() {
    let shape = Shape {
        dims: 32,
        kv_heads: 2,
        group: 6,
    };
    assert_eq!(heads_together(shape, 1, 1), 6);
    assert_eq!(heads_together(shape, 1, 4), 3);
    assert_eq!(heads_together(shape, 2, 4), 6);
    assert_eq!(heads_together(shape, 1, 8), 1);
    assert_eq!(heads_together(shape, 1, 64), 1);
}
