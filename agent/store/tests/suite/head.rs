//! Heads, good and crafted.

use crate::model::{Model, entry, head, list, tensor, text};
use proptest::prelude::*;
use store::gguf::{self, Head, HeadError, Problem};
use store::metadata::Value;

fn read(bytes: &[u8]) -> Result<Head, HeadError> {
    gguf::read(bytes, bytes.len() as u64)
}

fn problem(bytes: &[u8]) -> Problem {
    read(bytes).unwrap_err().problem
}

#[test]
fn a_good_file_says_what_was_written() {
    for version in [2, 3] {
        let file = Model::small().file(version);
        let head = read(&file).unwrap();
        assert_eq!((head.version, head.alignment), (version, 64));
        assert_eq!(
            head.metadata["general.architecture"],
            Value::Text("llama".to_owned())
        );
        assert_eq!(head.metadata["general.negative"], Value::Integer(-3));
        assert_eq!(
            head.metadata["tokenizer.ggml.token_type"],
            Value::Integers(vec![1, 1, 3, 6])
        );
        let Value::Texts(words) = &head.metadata["tokenizer.ggml.tokens"] else {
            panic!("no texts");
        };
        assert_eq!(words.iter().collect::<Vec<_>>(), ["a", "b", "größer", ""]);
        assert_eq!(head.tensors.len(), 11);
        assert_eq!(head.tensors[1].dimensions, [256, 67]);
        assert_eq!(head.entries.metadata().unwrap(), head.metadata);
        let ends = head.tensors.iter().map(|tensor| tensor.offset + tensor.bytes);
        assert!(head.data_offset + ends.max().unwrap() <= file.len() as u64);
    }
}

#[test]
fn every_beginning_of_a_good_file_is_refused() {
    let file = Model::small().file(3);
    let head = read(&file).unwrap();
    let last = head.tensors.last().unwrap();
    let needed = (head.data_offset + last.offset + last.bytes) as usize;
    for length in 0..needed {
        assert!(read(&file[..length]).is_err(), "{length}");
    }
    assert!(read(&file[..needed]).is_ok());
}

#[test]
fn other_files_and_versions_are_refused() {
    assert!(matches!(problem(b"PK\x03\x04"), Problem::Magic));
    let error = read(b"GGUF\x01\0\0\0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "byte 4: GGUF version 1 is not supported; 2 and 3 are"
    );
}

#[test]
fn absurd_lengths_are_refused_before_they_are_believed() {
    let one = |key: &str, kind: u32, rest: &[u8]| head(3, 0, 1, &entry(key, kind, rest));
    let array = [&0_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    for bytes in [
        head(3, u64::MAX, 0, &[]),
        head(3, 0, u64::MAX, &[]),
        head(3, 0, 1, &u64::MAX.to_le_bytes()),
        one("a", 9, &array),
        one("a", 8, &u64::MAX.to_le_bytes()),
    ] {
        assert!(matches!(problem(&bytes), Problem::Limit { .. }));
    }
}

#[test]
fn arrays_share_one_limit() {
    let half = vec![0; gguf::MAX_ELEMENTS as usize / 2 + 1];
    let list = |key: &str| {
        let rest = [
            &0_u32.to_le_bytes()[..],
            &(half.len() as u64).to_le_bytes(),
            &half,
        ]
        .concat();
        entry(key, 9, &rest)
    };
    assert!(read(&head(3, 0, 1, &list("a"))).is_ok());
    let two = head(3, 0, 2, &[list("a"), list("b")].concat());
    assert!(matches!(problem(&two), Problem::Limit { .. }));
}

#[test]
fn values_are_what_they_must_be() {
    let one = |kind: u32, rest: &[u8]| {
        read(&head(3, 0, 1, &entry("a.key", kind, rest)))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(one(7, &[2]), "byte 41: `a.key` is 2, neither true nor false");
    assert_eq!(
        one(13, &[]),
        "byte 37: `a.key` has the unknown type 13; 0 to 12 are known"
    );
    assert!(one(8, &[1, 0, 0, 0, 0, 0, 0, 0, 0xff]).contains("is not UTF-8"));
    assert!(one(9, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).contains("array of arrays"));
    let large = [
        &10_u32.to_le_bytes()[..],
        &1_u64.to_le_bytes(),
        &u64::MAX.to_le_bytes(),
    ]
    .concat();
    assert!(one(9, &large).contains("no 64-bit number with a sign"));
}

#[test]
fn an_alignment_that_divides_by_zero_is_refused() {
    for alignment in [0_u32, 7, 12, 1 << 17] {
        let bytes = head(3, 0, 1, &entry("general.alignment", 4, &alignment.to_le_bytes()));
        assert!(
            read(&bytes)
                .unwrap_err()
                .to_string()
                .contains("general.alignment")
        );
    }
    let text = head(3, 0, 1, &entry("general.alignment", 8, &text("32")));
    assert!(read(&text).is_err());
}

#[test]
fn tensors_must_lie_in_the_file() {
    let far = |tensor: Vec<u8>| read(&[head(3, 1, 0, &tensor), vec![0; 256]].concat());
    assert!(far(tensor("t", &[4], 0, 0)).is_ok());
    assert!(far(tensor("t", &[4], 0, 512)).is_err());
    assert!(far(tensor("t", &[4], 0, u64::MAX - 31)).is_err());
    assert!(far(tensor("t", &[4], 0, 1)).is_err());
    assert!(far(tensor("t", &[4000], 0, 0)).is_err());
    assert!(far(tensor("t", &[u64::MAX, 2], 0, 0)).is_err());
    assert!(far(tensor("t", &[0], 0, 0)).is_err());
    assert!(far(tensor("t", &[33], 8, 0)).is_err());
    assert!(far(tensor("t", &[1, 1, 1, 1, 1], 0, 0)).is_err());
}

#[test]
fn types_without_kernels_are_refused_by_name() {
    let of = |kind| {
        let bytes = [head(3, 1, 0, &tensor("blk.0.up", &[256], kind, 0)), vec![0; 512]].concat();
        read(&bytes).unwrap_err().to_string()
    };
    for (kind, name) in [
        (7, "Q5_1"),
        (10, "Q2_K"),
        (11, "Q3_K"),
        (23, "IQ4_XS"),
        (39, "MXFP4"),
    ] {
        let error = of(kind);
        assert!(
            error.contains(&format!("`blk.0.up` is of type {name}")),
            "{error}"
        );
        assert!(
            error.ends_with("Q4_0, Q4_1, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K"),
            "{error}"
        );
    }
    assert!(of(99).contains("unknown type 99"));
}

#[test]
fn tensors_share_no_bytes() {
    let two = |second| [tensor("a", &[64], 0, 0), tensor("b", &[64], 0, second)].concat();
    let file = |second| [head(3, 2, 0, &two(second)), vec![0; 6 + 512]].concat();
    assert!(read(&file(256)).is_ok());
    for second in [0, 32, 224] {
        assert!(
            read(&file(second))
                .unwrap_err()
                .to_string()
                .contains("lies in another tensor")
        );
    }
}

#[test]
fn names_appear_once() {
    let twice = [tensor("t", &[1], 0, 0), tensor("t", &[1], 0, 32)].concat();
    assert!(matches!(
        problem(&[head(3, 2, 0, &twice), vec![0; 128]].concat()),
        Problem::Twice(_)
    ));
    let twice = [entry("k", 0, &[1]), entry("k", 0, &[1])].concat();
    let error = read(&head(3, 0, 2, &twice)).unwrap_err();
    assert_eq!(error.to_string(), "byte 38: `k` appears twice");
}

#[test]
fn keys_of_a_split_are_told_but_not_kept() {
    let entries = [
        entry("a", 0, &[1]),
        entry("split.no", 2, &[0, 0]),
        list("b", 0, &[vec![7]]),
    ]
    .concat();
    let head = read(&head(3, 0, 3, &entries)).unwrap();
    assert_eq!(head.metadata.len(), 3);
    assert_eq!(head.entries.count, 2);
    let kept = head.entries.metadata().unwrap();
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "b"]);
}

/// Files that are nearly right; each is refused or read, and none panics.
#[test]
fn the_corpus_does_not_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let mut refused = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        refused += usize::from(read(&bytes).is_err());
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            let _any = read(&flipped);
        }
    }
    assert!(refused > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _any = read(&bytes);
        let _any = read(&[b"GGUF\x03\0\0\0".as_slice(), &bytes].concat());
    }

    /// What is read lies in the file, whatever was changed in it.
    #[test]
    fn changed_bytes_do_not_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = Model::small().file(3);
        let head_bytes = read(&file).unwrap().data_offset as usize;
        for (place, value) in changes {
            file[place.index(head_bytes)] = value;
        }
        if let Ok(head) = read(&file) {
            for tensor in head.tensors {
                prop_assert!(head.data_offset + tensor.offset + tensor.bytes <= file.len() as u64);
            }
        }
    }
}
