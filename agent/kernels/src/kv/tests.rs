use super::*;
use crate::path::Path;

fn shape(kind: KvKind) -> KvShape {
    KvShape::new(2, 3, 64, kind).unwrap()
}

fn wave(seed: usize) -> Vec<f32> {
    (0..64)
        .map(|i| ((i * 7 + seed * 13) as f32 * 0.37).sin() * (1 + seed % 5) as f32)
        .collect()
}

/// A block with every element of one layer written.
fn written(path: Path, kind: KvKind) -> KvBlock {
    let mut block = KvBlock::new(shape(kind));
    for (index, mut head) in block.layer_mut(1).enumerate() {
        for position in 0..POSITIONS {
            head.write(
                path,
                position,
                &wave(3 * position + index),
                &wave(500 + position + index),
            );
        }
    }
    block
}

#[test]
fn what_was_written_is_read_within_the_rounding() {
    for (kind, relative) in [(KvKind::F16, 1.0 / 2048.0), (KvKind::Q8, 0.52 / 127.0)] {
        let block = written(Path::SCALAR, kind);
        for index in 0..3 {
            let head = block.head(1, index);
            for position in 0..POSITIONS {
                let (key, value) = (wave(3 * position + index), wave(500 + position + index));
                let largest = |of: &[f32]| of.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
                for dimension in 0..64 {
                    let error = (head.key(position, dimension) - key[dimension]).abs();
                    assert!(
                        error <= largest(&key) * relative,
                        "{kind:?} key {position} {dimension}"
                    );
                    let error = (head.value(position, dimension) - value[dimension]).abs();
                    assert!(
                        error <= largest(&value) * relative,
                        "{kind:?} value {position} {dimension}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_path_writes_alike_and_only_its_layer() {
    for kind in [KvKind::F16, KvKind::Q8] {
        let expected = written(Path::SCALAR, kind);
        for path in Path::offered() {
            assert_eq!(
                written(path, kind).bytes(),
                expected.bytes(),
                "{}",
                path.instructions()
            );
        }
        let layer = expected.shape().block_bytes() / 2;
        assert!(expected.bytes()[..layer].iter().all(|&byte| byte == 0));
        assert!(expected.bytes()[layer..].iter().any(|&byte| byte != 0));
    }
}

#[test]
fn bytes_bring_a_block_back() {
    let block = written(Path::SCALAR, KvKind::Q8);
    let mut other = KvBlock::new(block.shape());
    other.bytes_mut().copy_from_slice(block.bytes());
    assert_eq!(other.head(1, 2).key(63, 63), block.head(1, 2).key(63, 63));
}

#[test]
fn heads_begin_on_cache_lines() {
    for kind in [KvKind::F16, KvKind::Q8] {
        for head_dim in [32, 64, 96, 128, 256] {
            let block = KvBlock::new(KvShape::new(2, 3, head_dim, kind).unwrap());
            assert!(block.bytes().as_ptr().addr().is_multiple_of(ALIGNMENT));
            assert!(
                block.shape().head_bytes().is_multiple_of(ALIGNMENT),
                "{kind:?} {head_dim}"
            );
        }
    }
}

#[test]
fn zeros_tiny_and_huge_values_are_kept_in_q8() {
    let mut block = KvBlock::new(KvShape::new(1, 1, 32, KvKind::Q8).unwrap());
    let mut write = |position, key: f32, value: f32| {
        for mut head in block.layer_mut(0) {
            head.write(Path::SCALAR, position, &[key; 32], &[value; 32]);
        }
    };
    write(0, 0.0, -0.0);
    write(1, 1e-12, 1e7);
    let head = block.head(0, 0);
    assert_eq!((head.key(0, 5), head.value(0, 5)), (0.0, 0.0));
    assert_eq!(head.key(1, 5), 0.0);
    assert!(
        (head.value(1, 5) - 8_319_008.0).abs() < 1.0,
        "{}",
        head.value(1, 5)
    );
}

/// In f16 one dimension, in q8 the 32 that share its scale.
#[test]
fn nan_stays_nan_and_infinity_becomes_the_largest_on_every_path() {
    for kind in [KvKind::F16, KvKind::Q8] {
        for path in Path::offered() {
            let mut block = KvBlock::new(KvShape::new(1, 1, 64, kind).unwrap());
            let (mut key, mut value) = ([0.5; 64], [0.25; 64]);
            (key[40], value[7], value[33]) = (f32::NAN, -f32::NAN, f32::NEG_INFINITY);
            for mut head in block.layer_mut(0) {
                head.write(path, 9, &key, &value);
            }
            let head = block.head(0, 0);
            let what = format!("{kind:?} {}", path.instructions());
            assert!(head.key(9, 40).is_nan() && head.value(9, 7).is_nan(), "{what}");
            assert!(
                (head.key(9, 3) - 0.5).abs() < 0.01,
                "{what}: the other 32 dimensions"
            );
            assert!(
                head.value(9, 33) <= -65504.0 && head.value(9, 33).is_finite(),
                "{what}"
            );
            assert!(
                !head.key(8, 40).is_nan() && !head.key(10, 40).is_nan(),
                "{what}: other positions"
            );
        }
    }
}

#[test]
fn shapes_without_kernels_are_refused() {
    let new = |layers, heads, dim| KvShape::new(layers, heads, dim, KvKind::F16);
    for head_dim in [80, 288] {
        assert_eq!(new(1, 1, head_dim), Err(KvShapeError::HeadDim(head_dim)));
    }
    assert!(matches!(new(0, 1, 64), Err(KvShapeError::Size { .. })));
    assert!(matches!(
        new(usize::MAX / 2, 2, 64),
        Err(KvShapeError::Size { .. })
    ));
}
