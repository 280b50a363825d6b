//! How the bytes of a block are written on disk.
//!
//! Block-quantised weights do not compress and stay as they are, to be mapped in place. Floats of 16 bits lose a
//! quarter to a third: their exponents are alike, once they lie beside each other.

use std::borrow::Cow;
use std::io;

use serde::{Deserialize, Serialize};

/// How a block's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// As they are: mapped in place.
    #[serde(rename = "raw")]
    Raw,
    /// LZ4's block format: for what must be there in an instant.
    #[serde(rename = "lz4")]
    Lz4,
    /// Elements of 2 bytes grouped by significance, all first bytes before all second ones, then zstd.
    #[serde(rename = "zstd-2")]
    Zstd2,
    /// Elements of 4 bytes grouped by significance, then zstd.
    #[serde(rename = "zstd-4")]
    Zstd4,
}

/// A codec is used only where it saves one part in so many: 2 %.
const LEAST_SAVING: usize = 50;
/// zstd's default; higher levels save nothing more on weights.
const LEVEL: i32 = 3;

/// What a block is mostly made of, which decides the codec that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Quantised weights, or metadata.
    Bytes,
    /// Floats of 16 bits.
    Halves,
    /// Floats of 32 bits.
    Floats,
}

/// Encodes a block by the codec that suits its content, if that saves enough.
pub(crate) fn encode(content: Content, bytes: &[u8]) -> io::Result<(Codec, Cow<'_, [u8]>)> {
    let (codec, encoded) = match content {
        Content::Bytes => (Codec::Lz4, lz4_flex::block::compress(bytes)),
        Content::Halves => (Codec::Zstd2, zstd::bulk::compress(&group::<2>(bytes), LEVEL)?),
        Content::Floats => (Codec::Zstd4, zstd::bulk::compress(&group::<4>(bytes), LEVEL)?),
    };
    if encoded.len() + bytes.len() / LEAST_SAVING <= bytes.len() {
        return Ok((codec, Cow::Owned(encoded)));
    }
    Ok((Codec::Raw, Cow::Borrowed(bytes)))
}

/// The inverse of [`encode`]: `encoded` decodes to exactly as many bytes as `target` takes.
pub(crate) fn decode(codec: Codec, encoded: &[u8], target: &mut [u8]) -> io::Result<()> {
    let decoded = match codec {
        Codec::Raw if encoded.len() == target.len() => {
            target.copy_from_slice(encoded);
            target.len()
        }
        Codec::Raw => encoded.len(),
        Codec::Lz4 => lz4_flex::block::decompress_into(encoded, target).map_err(io::Error::other)?,
        Codec::Zstd2 | Codec::Zstd4 => {
            let mut grouped = vec![0; target.len()];
            let decoded = zstd::bulk::decompress_to_buffer(encoded, &mut grouped)?;
            match codec {
                Codec::Zstd2 => ungroup::<2>(&grouped, target),
                _ => ungroup::<4>(&grouped, target),
            }
            decoded
        }
    };
    if decoded != target.len() {
        let (found, needed) = (decoded, target.len());
        return Err(io::Error::other(format!(
            "decodes to {found} bytes instead of {needed}"
        )));
    }
    Ok(())
}

/// All first bytes of elements, then all second ones and so on; what is no whole element stays at the end.
fn group<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    let (elements, rest) = bytes.as_chunks::<N>();
    let mut grouped = Vec::with_capacity(bytes.len());
    for place in 0..N {
        grouped.extend(elements.iter().map(|element| element[place]));
    }
    grouped.extend_from_slice(rest);
    grouped
}

/// The inverse of [`group`].
fn ungroup<const N: usize>(grouped: &[u8], target: &mut [u8]) {
    let (elements, rest) = target.as_chunks_mut::<N>();
    let count = elements.len();
    let planes: [&[u8]; N] = std::array::from_fn(|place| &grouped[place * count..][..count]);
    for (index, element) in elements.iter_mut().enumerate() {
        *element = planes.map(|plane| plane[index]);
    }
    rest.copy_from_slice(&grouped[N * count..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn halves(count: u16) -> Vec<u8> {
        let value = |i: u16| half::bf16::from_f32((f32::from(i) * 0.7).sin() * 0.02);
        (0..count).flat_map(|i| value(i).to_le_bytes()).collect()
    }

    #[test]
    fn halves_are_worth_a_codec_and_noise_is_not() {
        let bytes = halves(4_000);
        let (codec, encoded) = encode(Content::Halves, &bytes).unwrap();
        assert_eq!(codec, Codec::Zstd2);
        assert!(encoded.len() * 10 < bytes.len() * 9);
        let noise: Vec<u8> = (0..=255_u8)
            .flat_map(|i| *blake3::hash(&[i]).as_bytes())
            .collect();
        assert_eq!(encode(Content::Bytes, &noise).unwrap().0, Codec::Raw);
        assert_eq!(encode(Content::Bytes, &[0; 4096]).unwrap().0, Codec::Lz4);
    }

    #[test]
    fn what_decodes_to_another_length_is_refused() {
        let bytes = halves(100);
        for content in [Content::Bytes, Content::Halves, Content::Floats] {
            let (codec, encoded) = encode(content, &bytes).unwrap();
            for length in [0, 199, 201, 4096] {
                assert!(
                    decode(codec, &encoded, &mut vec![0; length]).is_err(),
                    "{codec:?} {length}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn every_codec_gives_back_what_it_took(bytes in proptest::collection::vec(0_u8..4, 0..3_000)) {
            for content in [Content::Bytes, Content::Halves, Content::Floats] {
                let (codec, encoded) = encode(content, &bytes).unwrap();
                let mut decoded = vec![9; bytes.len()];
                decode(codec, &encoded, &mut decoded).unwrap();
                prop_assert_eq!(&decoded, &bytes);
            }
        }

        #[test]
        fn damaged_bytes_do_not_panic(place in any::<prop::sample::Index>(), value in any::<u8>()) {
            let bytes = halves(600);
            for content in [Content::Bytes, Content::Halves] {
                let (codec, encoded) = encode(content, &bytes).unwrap();
                let mut damaged = encoded.into_owned();
                let place = place.index(damaged.len());
                damaged[place] = value;
                let _any = decode(codec, &damaged, &mut vec![0; bytes.len()]);
            }
        }
    }
}
