use super::*;
use proptest::prelude::*;

fn header(kind: KvKind, tokens: u32) -> Header {
    Header {
        root: Hash::of(b"model"),
        shape: KvShape::new(2, 1, 32, kind).unwrap(),
        tokens: (0..tokens).collect(),
    }
}

/// Blocks for so many tokens; every other one can be compressed.
fn blocks(header: &Header) -> Vec<Held> {
    let mut codec = Codec::new().unwrap();
    let block = |index: usize| {
        let mut block = KvBlock::new(header.shape);
        for (place, bytes) in block.bytes_mut().chunks_mut(32).enumerate() {
            let hash = blake3::hash(&[index as u8, place as u8, (place / 256) as u8]);
            let part = if index.is_multiple_of(2) { 8 } else { 32 };
            bytes[..part].copy_from_slice(&hash.as_bytes()[..part]);
        }
        codec.pack(&Held::Raw(Arc::new(block))).unwrap()
    };
    (0..header.tokens.len().div_ceil(POSITIONS)).map(block).collect()
}

fn file(header: &Header) -> Vec<u8> {
    let mut file = Vec::new();
    let bytes = write(header, &blocks(header), u64::MAX, &mut file, || {}).unwrap();
    assert_eq!(bytes, file.len() as u64);
    file
}

fn read_all(file: &[u8], header: &Header, length: usize) -> Result<Vec<Arc<KvBlock>>, FileProblem> {
    read(&mut &file[..], header, length, &mut Codec::new().unwrap(), || {})
}

#[test]
fn a_session_comes_back_whole_or_its_beginning() {
    for kind in [KvKind::F16, KvKind::Q8] {
        for tokens in [1, 64, 65, 300] {
            let header = header(kind, tokens);
            let (file, held) = (file(&header), blocks(&header));
            assert_eq!(Header::read(&mut &file[..]).unwrap(), header);
            for length in [1, 64, 65, tokens as usize] {
                let blocks = read_all(&file, &header, length).unwrap();
                assert_eq!(blocks.len(), length.div_ceil(POSITIONS).min(held.len()));
                let mut codec = Codec::new().unwrap();
                for (block, held) in blocks.iter().zip(&held) {
                    let expected = codec.unpack(header.shape, held).unwrap();
                    assert_eq!(block.bytes(), expected.bytes());
                }
            }
        }
    }
}

#[test]
fn another_model_shape_or_other_tokens_are_foreign() {
    let ours = header(KvKind::F16, 100);
    let file = file(&ours);
    let others = [
        Header {
            root: Hash::of(b"another"),
            ..ours.clone()
        },
        header(KvKind::Q8, 100),
        header(KvKind::F16, 99),
    ];
    for other in others {
        assert!(matches!(read_all(&file, &other, 64), Err(FileProblem::Foreign)));
    }
}

#[test]
fn no_more_is_written_than_there_is_room_for() {
    let header = header(KvKind::F16, 100);
    let all = file(&header).len() as u64;
    for room in [0, 10, all / 2, all - 1] {
        let mut file = Vec::new();
        let error = write(&header, &blocks(&header), room, &mut file, || {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        assert!(file.len() as u64 <= room);
    }
}

#[test]
fn every_cut_and_every_flipped_byte_is_refused() {
    let header = header(KvKind::F16, 70);
    let whole = file(&header);
    for end in (0..whole.len()).step_by(7) {
        let cut = read_all(&whole[..end], &header, 70);
        assert!(matches!(cut, Err(FileProblem::Short)), "{end}: {cut:?}");
    }
    for place in (0..whole.len()).step_by(11).chain(whole.len() - 32..whole.len()) {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x10;
        assert!(read_all(&flipped, &header, 70).is_err(), "{place}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(matches!(
        read_all(&longer, &header, 70),
        Err(FileProblem::Trailing)
    ));
}

#[test]
fn what_a_header_claims_is_not_believed() {
    let whole = file(&header(KvKind::F16, 70));
    let with = |place: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[place..][..bytes.len()].copy_from_slice(bytes);
        Header::read(&mut &file[..]).unwrap_err().to_string()
    };
    assert!(with(0, b"GGUF").contains("does not begin"));
    assert!(with(8, &[2]).contains("version is 2"));
    assert!(with(12, &[7]).contains("KV type 7"));
    assert!(with(48, &[0xFF; 8]).contains("no model"));
    assert!(with(56, &[33]).contains("33 dimensions"));
    assert!(with(60, &[0; 4]).contains("claims 0 tokens"));
    assert!(with(60, &[0xFF; 4]).contains("claims 4294967295 tokens"));
    assert!(with(60, &(1_u32 << 20).to_le_bytes()).contains("ends too early"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    /// Whatever is in the file, it is read or refused, and what is read is what was written.
    #[test]
    fn any_bytes_are_read_or_refused(
        tokens in 1_u32..200,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        rehash in any::<bool>(),
    ) {
        let header = header(KvKind::F16, tokens);
        let whole = file(&header);
        let mut bytes = whole.clone();
        for (place, byte) in edits {
            *place.get_mut(&mut bytes) = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // With a hash that is right, so that what is behind its check is reached, too.
        if rehash && bytes.len() > HASH {
            let end = bytes.len() - HASH;
            let hash = blake3::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(hash.as_bytes());
        }
        let read = read_all(&bytes, &header, tokens as usize);
        prop_assert!(rehash || bytes == whole || read.is_err());
    }

    /// Noise is refused, with any beginning that is right.
    #[test]
    fn noise_is_refused(
        noise in proptest::collection::vec(any::<u8>(), 0..400),
        right in 0_usize..64,
    ) {
        let header = header(KvKind::F16, 70);
        let bytes = [&header.bytes()[..right], &noise].concat();
        prop_assert!(read_all(&bytes, &header, 70).is_err());
    }
}
