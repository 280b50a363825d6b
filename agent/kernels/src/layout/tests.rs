use super::*;
use proptest::prelude::*;

/// A kind, rows, columns and bytes of rows in ggml's layout; every bit is as likely as not.
fn matrices() -> impl Strategy<Value = (Kind, usize, usize, Vec<u8>)> {
    (prop::sample::select(&Kind::ALL[..]), 1..=40_usize, 1..=5_usize).prop_flat_map(|(kind, rows, blocks)| {
        let columns = blocks * kind.block_columns();
        let bytes = prop::collection::vec(any::<u8>(), rows * kind.row_bytes(columns));
        (Just(kind), Just(rows), Just(columns), bytes)
    })
}

proptest! {
    #[test]
    fn unpacking_gives_every_bit_back((kind, rows, columns, source) in matrices()) {
        let mut packed = vec![0xAA; packed_bytes(kind, rows, columns)];
        pack(kind, rows, columns, &source, &mut packed);
        let mut restored = vec![0; source.len()];
        unpack(kind, rows, columns, &packed, &mut restored);
        prop_assert_eq!(restored, source);
    }

    #[test]
    fn no_shape_is_too_absurd_to_count(rows: usize, columns: usize) {
        for kind in Kind::ALL {
            let bytes = packed_bytes(kind, rows, columns);
            let exact = (columns / kind.block_columns()) as u128
                * (kind.block_bytes() * ROWS) as u128;
            let exact = exact.next_multiple_of(ALIGNMENT as u128).saturating_mul(rows.div_ceil(ROWS) as u128);
            prop_assert_eq!(bytes, usize::try_from(exact).unwrap_or(usize::MAX));
        }
    }
}

#[test]
fn the_planes_of_a_tile_are_all_of_it_but_its_padding() {
    for kind in Kind::ALL {
        let columns = 768;
        let tile = vec![0; tile_bytes(kind, columns)];
        let planes = Planes::of(kind, columns, &tile);
        let lengths = [planes.quants, planes.high, planes.scales, planes.supers].map(<[u8]>::len);
        assert_eq!(
            lengths.iter().sum::<usize>(),
            ROWS * kind.row_bytes(columns),
            "{}",
            kind.name()
        );
    }
}

#[test]
fn missing_rows_are_zeros() {
    let columns = 32;
    let source = vec![0xFF; Kind::Q8_0.row_bytes(columns)];
    let mut packed = vec![0xAA; packed_bytes(Kind::Q8_0, 1, columns)];
    pack(Kind::Q8_0, 1, columns, &source, &mut packed);
    assert_eq!(packed.iter().filter(|&&byte| byte == 0xFF).count(), source.len());
    assert_eq!(
        packed.iter().filter(|&&byte| byte == 0).count(),
        packed.len() - source.len()
    );
}
