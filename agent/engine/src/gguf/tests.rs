use super::*;
use crate::tiny;
use proptest::prelude::*;

fn good() -> Vec<u8> {
    tiny::Model::new(64).unwrap().bytes().unwrap()
}

fn check_bytes(bytes: &[u8]) -> Result<Head, HeadError> {
    check(bytes, bytes.len() as u64)
}

/// A head with no tensors and these metadata bytes.
fn head(tensors: u64, entries: u64, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes.extend(rest);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn tensor(name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend((dimensions.len() as u32).to_le_bytes());
    bytes.extend(dimensions.iter().flat_map(|length| length.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

#[test]
fn a_good_file_passes() {
    let bytes = good();
    let head = check_bytes(&bytes).unwrap();
    assert!(head.data_offset + head.tensor_bytes <= bytes.len() as u64);
}

#[test]
fn every_beginning_of_a_good_file_is_refused() {
    let bytes = good();
    // The last tensor is followed by padding that nothing needs.
    for length in (0..bytes.len() - 64).step_by(37) {
        assert!(check_bytes(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn other_files_and_versions_are_refused() {
    assert!(matches!(check_bytes(b"PK\x03\x04"), Err(HeadError::Magic)));
    assert!(matches!(
        check_bytes(b"GGUF\x01\0\0\0"),
        Err(HeadError::Version(1))
    ));
}

#[test]
fn absurd_lengths_are_refused_before_they_are_believed() {
    let entry = |key: &str, rest: &[u8]| head(0, 1, &[text(key), rest.to_vec()].concat());
    let array = [
        &9_u32.to_le_bytes()[..],
        &0_u32.to_le_bytes(),
        &u64::MAX.to_le_bytes(),
    ]
    .concat();
    let string = [&8_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    for bytes in [
        head(u64::MAX, 0, &[]),
        head(0, u64::MAX, &[]),
        head(0, 1, &u64::MAX.to_le_bytes()),
        entry("a", &array),
        entry("a", &string),
    ] {
        assert!(matches!(check_bytes(&bytes), Err(HeadError::Limit { .. })));
    }
}

#[test]
fn an_alignment_that_divides_by_zero_is_refused() {
    let value = [&4_u32.to_le_bytes()[..], &0_u32.to_le_bytes()].concat();
    let error = check_bytes(&head(0, 1, &[text("general.alignment"), value].concat())).unwrap_err();
    assert!(error.to_string().contains("general.alignment"), "{error}");
}

#[test]
fn tensors_must_lie_in_the_file() {
    let far = |tensor: Vec<u8>| check_bytes(&[head(1, 0, &tensor), vec![0; 256]].concat());
    assert!(far(tensor("t", &[4], 0, 0)).is_ok());
    assert!(far(tensor("t", &[4], 0, 512)).is_err());
    assert!(far(tensor("t", &[4], 0, u64::MAX - 31)).is_err());
    assert!(far(tensor("t", &[4], 0, 1)).is_err());
    assert!(far(tensor("t", &[4000], 0, 0)).is_err());
    assert!(far(tensor("t", &[u64::MAX, 2], 0, 0)).is_err());
    assert!(far(tensor("t", &[0], 0, 0)).is_err());
    assert!(far(tensor("t", &[33], 8, 0)).is_err());
    assert!(far(tensor("t", &[32], 99, 0)).is_err());
    assert!(far(tensor("t", &[1, 1, 1, 1, 1], 0, 0)).is_err());
}

#[test]
fn tensors_share_no_bytes() {
    let two = |second| [tensor("a", &[64], 0, 0), tensor("b", &[64], 0, second)].concat();
    // The head takes 90 bytes, padded to 96.
    let file = |second| [head(2, 0, &two(second)), vec![0; 6 + 512]].concat();
    assert_eq!(check_bytes(&file(256)).unwrap().tensor_bytes, 512);
    let overlapping = &file(0)[..96 + 256];
    assert!(matches!(check_bytes(overlapping), Err(HeadError::Limit { .. })));
}

#[test]
fn names_appear_once() {
    let twice = [tensor("t", &[1], 0, 0), tensor("t", &[1], 0, 0)].concat();
    assert!(matches!(
        check_bytes(&[head(2, 0, &twice), vec![0; 64]].concat()),
        Err(HeadError::Twice(_))
    ));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _any = check_bytes(&bytes);
        let _any = check_bytes(&[b"GGUF\x03\0\0\0".as_slice(), &bytes].concat());
    }

    /// What passes the check neither panics in candle nor is refused by it for its lengths.
    #[test]
    fn a_flipped_byte_neither_panics_here_nor_in_candle(place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = good();
        let head_bytes = check_bytes(&bytes).unwrap().data_offset as usize;
        bytes[place.index(head_bytes)] = value;
        if check_bytes(&bytes).is_ok() {
            let _any = candle_core::quantized::gguf_file::Content::read(&mut std::io::Cursor::new(&bytes));
        }
    }
}
