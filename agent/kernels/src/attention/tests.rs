use super::*;
use crate::kv::{KvKind, KvShape};
use proptest::prelude::*;

/// Numbers that look random, from −1 to 1.
fn noise(seed: usize, count: usize) -> Vec<f32> {
    let mut state = seed as u64 * 2 + 1;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(seed as u64 | 1);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Blocks with `positions` positions of layer 1 written.
fn blocks(kind: KvKind, kv_heads: usize, head_dim: usize, positions: usize) -> Vec<KvBlock> {
    let shape = KvShape::new(2, kv_heads, head_dim, kind).unwrap();
    let mut blocks: Vec<_> = (0..positions.div_ceil(POSITIONS))
        .map(|_| KvBlock::new(shape))
        .collect();
    for (index, block) in blocks.iter_mut().enumerate() {
        for (kv_head, mut head) in block.layer_mut(1).enumerate() {
            for position in 0..(positions - index * POSITIONS).min(POSITIONS) {
                let seed = (index * POSITIONS + position) * 8 + kv_head;
                let (key, value) = (noise(seed, head_dim), noise(seed + 1_000_003, head_dim));
                head.write(Path::SCALAR, position, &key, &value);
            }
        }
    }
    blocks
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Decode as a thread pool would: all ranges, then their combination.
fn decode(
    path: Path,
    history: History<'_, KvBlock>,
    positions: usize,
    scale: f32,
    head_dim: usize,
    queries: &[f32],
) -> Vec<f32> {
    let partial = partial_len(queries.len() / head_dim, head_dim);
    let mut partials = vec![f32::NAN; ranges(positions) * partial];
    // Backwards, for the order must not matter.
    for (range, partial) in partials.chunks_mut(partial).enumerate().rev() {
        decode_range_by(path, history, positions, range, scale, queries, partial);
    }
    let mut output = vec![0.0; queries.len()];
    combine(path, head_dim, &partials, &mut output);
    output
}

fn shapes() -> impl Strategy<Value = (KvKind, usize, usize)> {
    (
        prop_oneof![Just(KvKind::F16), Just(KvKind::Q8)],
        1_usize..10,
        prop_oneof![Just(32_usize), Just(64), Just(96), Just(128), Just(256)],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn decode_is_the_definition_on_every_path(
        (kind, group, head_dim) in shapes(),
        positions in prop_oneof![1_usize..200, 500_usize..530, 1000_usize..1100],
        scale in 0.05_f32..2.0,
    ) {
        let blocks = blocks(kind, 2, head_dim, positions);
        let history = History { blocks: &blocks, layer: 1, kv_head: 1 };
        let queries = noise(7, group * head_dim);
        let expected: Vec<f32> = queries
            .chunks(head_dim)
            .flat_map(|query| twin::attend(history, positions, scale, query))
            .collect();
        for path in Path::offered() {
            let found = decode(path, history, positions, scale, head_dim, &queries);
            prop_assert_eq!(bits(&found), bits(&expected), "{}", path.instructions());
        }
    }

    #[test]
    fn prefill_is_decode_whatever_the_tiles(
        (kind, group, head_dim) in shapes(),
        before in prop_oneof![Just(0_usize), 1_usize..130, 440_usize..520],
        rows in 1_usize..80,
        tile in 1_usize..40,
    ) {
        let positions = before + rows;
        let blocks = blocks(kind, 2, head_dim, positions);
        let history = History { blocks: &blocks, layer: 1, kv_head: 0 };
        let (columns, stride) = (group * head_dim, group * head_dim + 5);
        let queries = noise(11, rows * stride);
        let expected: Vec<f32> = queries
            .chunks(stride)
            .enumerate()
            .flat_map(|(row, queries)| {
                decode(Path::SCALAR, history, before + row + 1, 0.25, head_dim, &queries[..columns])
            })
            .collect();
        let mut scratch = Scratch::default();
        for path in Path::offered() {
            let mut found = vec![f32::NAN; rows * columns];
            for (index, output) in found.chunks_mut(tile * columns).enumerate() {
                let queries = Queries {
                    values: &queries[index * tile * stride..],
                    stride,
                    rows: output.len() / columns,
                    group,
                    first_position: before + index * tile,
                };
                prefill::prefill_tile_by(path, history, 0.25, queries, output, &mut scratch);
            }
            prop_assert_eq!(bits(&found), bits(&expected), "{}", path.instructions());
        }
    }

    #[test]
    fn the_result_is_close_to_softmax_in_double_precision(
        (kind, _, head_dim) in shapes(),
        positions in prop_oneof![1_usize..200, 500_usize..1100],
        scale in 0.05_f32..2.0,
    ) {
        let blocks = blocks(kind, 1, head_dim, positions);
        let history = History { blocks: &blocks, layer: 1, kv_head: 0 };
        let query = noise(13, head_dim);
        let found = twin::attend(history, positions, scale, &query);
        let exact = reference::attend(history, positions, scale, &query);
        // Values are from −1 to 1. In 8 bits the query is rounded too, by up to 1/254: scores change by up to scale ·
        // √head_dim times some of that.
        let allowed = match kind {
            KvKind::F16 => 2e-6 * (1.0 + f64::from(scale) * (head_dim as f64).sqrt()),
            KvKind::Q8 => 0.01 * f64::from(scale) * (head_dim as f64).sqrt() + 1e-5,
        };
        for (dimension, (&found, &exact)) in found.iter().zip(&exact).enumerate() {
            let error = (f64::from(found) - exact).abs();
            prop_assert!(error <= allowed, "dimension {}: {} for {}", dimension, found, exact);
        }
    }
}

#[test]
fn what_is_written_later_changes_nothing() {
    for kind in [KvKind::F16, KvKind::Q8] {
        let mut blocks = blocks(kind, 1, 64, 70);
        let queries = noise(3, 3 * 64);
        let result = |blocks: &[KvBlock], path| {
            let history = History {
                blocks,
                layer: 1,
                kv_head: 0,
            };
            let mut output = vec![0.0; 3 * 64];
            let queries = Queries {
                values: &queries,
                stride: 64,
                rows: 3,
                group: 1,
                first_position: 64,
            };
            prefill::prefill_tile_by(path, history, 0.3, queries, &mut output, &mut Scratch::default());
            output
        };
        let before = result(&blocks, Path::SCALAR);
        for mut head in blocks[1].layer_mut(1) {
            for position in 3..POSITIONS {
                head.write(Path::SCALAR, position, &[f32::NAN; 64], &[f32::NAN; 64]);
            }
        }
        for path in Path::offered() {
            assert_eq!(
                bits(&result(&blocks, path)),
                bits(&before),
                "{kind:?} {}",
                path.instructions()
            );
        }
    }
}

#[test]
fn one_position_is_its_value() {
    let blocks = blocks(KvKind::F16, 1, 64, 1);
    let history = History {
        blocks: &blocks,
        layer: 1,
        kv_head: 0,
    };
    let found = decode(Path::SCALAR, history, 1, 0.125, 64, &noise(1, 64));
    for (dimension, &found) in found.iter().enumerate() {
        assert_eq!(found, blocks[0].head(1, 0).value(0, dimension));
    }
}

#[test]
fn scores_far_apart_neither_overflow_nor_vanish() {
    let mut blocks = blocks(KvKind::F16, 1, 32, 600);
    for mut head in blocks[8].layer_mut(1) {
        head.write(Path::SCALAR, 20, &[1000.0; 32], &[3.0; 32]);
    }
    let history = History {
        blocks: &blocks,
        layer: 1,
        kv_head: 0,
    };
    for path in Path::offered() {
        assert_eq!(decode(path, history, 600, 1.0, 32, &[1.0; 32]), [3.0; 32]);
        assert!(
            decode(path, history, 600, 1.0, 32, &[-1.0; 32])
                .iter()
                .all(|value| value.abs() <= 1.0)
        );
    }
}

#[test]
fn a_key_or_a_value_that_is_nan_shows_in_the_answer_however_it_is_kept() {
    for kind in [KvKind::F16, KvKind::Q8] {
        for (key, value) in [(f32::NAN, 0.5), (0.5, f32::NAN)] {
            let mut blocks = blocks(kind, 2, 64, 70);
            for mut head in blocks[0].layer_mut(1) {
                head.write(Path::SCALAR, 9, &[key; 64], &[value; 64]);
            }
            let history = History {
                blocks: &blocks,
                layer: 1,
                kv_head: 1,
            };
            for path in Path::offered() {
                let output = decode(path, history, 70, 0.1, 64, &noise(7, 64));
                assert!(
                    output.iter().all(|value| value.is_nan()),
                    "{kind:?} {key} {value} {}",
                    path.instructions()
                );
            }
        }
    }
}
