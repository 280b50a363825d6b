//! What `llama-perplexity --save-all-logits` leaves: a text's tokens in chunks, and llama.cpp's log-probabilities in the
//! second half of each.
//!
//! The file, little-endian (`tools/perplexity/perplexity.cpp` in llama.cpp): `_logits_`; positions of a chunk, tokens of
//! the vocabulary and chunks as i32; the chunks' tokens as i32; then for each chunk, for each position p from half of it
//! to the last but one, what is said about the token at p + 1: a scale and a least log-probability as f32, and one u16
//! for each token of the vocabulary (rounded up to an even number), so that log p = least + scale · u16. What is more
//! than 16 below the likeliest has 0 there: of these tokens no more is known than what they are together, and what is
//! written adds up to more than 1.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};

const MAGIC: &[u8; 8] = b"_logits_";
/// More than any model has, less than what memory cannot hold.
const MOST: usize = 1 << 24;

/// The file, read chunk by chunk.
#[derive(Debug)]
pub struct Saved<R> {
    reader: R,
    positions: usize,
    vocabulary: usize,
    chunks: Vec<Vec<u32>>,
    read: usize,
}

/// One chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// From which position on there are log-probabilities: those of the token after it.
    pub first: usize,
    /// Of each position from `first` to the last but one, of each token of the vocabulary.
    pub log_probabilities: Vec<Vec<f32>>,
}

impl Saved<BufReader<File>> {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Self::new(BufReader::with_capacity(1 << 20, file)).with_context(|| path.display().to_string())
    }
}

impl<R: Read> Saved<R> {
    /// Reads the head.
    pub fn new(mut reader: R) -> Result<Self> {
        let mut magic = [0; 8];
        reader.read_exact(&mut magic)?;
        ensure!(&magic == MAGIC, "no saved logits");
        let [positions, vocabulary, chunks] = numbers(&mut reader, 3)?[..] else {
            unreachable!("three were asked for")
        };
        let sizes = [positions, vocabulary, chunks].map(|size| size as usize);
        let [positions, vocabulary, chunks] = sizes;
        ensure!(
            positions >= 4 && sizes.iter().all(|&size| size < MOST),
            "saved logits of impossible sizes: {sizes:?}"
        );
        let chunks = (0..chunks)
            .map(|_| numbers(&mut reader, positions))
            .collect::<Result<_>>()?;
        Ok(Self {
            reader,
            positions,
            vocabulary,
            chunks,
            read: 0,
        })
    }

    /// Tokens of each chunk.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// How many chunks there are.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The next chunk; `None` after the last.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let Some(tokens) = self.chunks.get(self.read).cloned() else {
            return Ok(None);
        };
        self.read += 1;
        let first = self.positions / 2;
        let rows = (first..self.positions - 1).map(|_| self.row());
        Ok(Some(Chunk {
            tokens,
            first,
            log_probabilities: rows.collect::<Result<_>>()?,
        }))
    }

    fn row(&mut self) -> Result<Vec<f32>> {
        let mut head = [0; 8];
        self.reader.read_exact(&mut head)?;
        let [a, b, c, d, e, f, g, h] = head;
        let (scale, least) = (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]));
        let mut steps = vec![0; 2 * self.vocabulary.next_multiple_of(2)];
        self.reader.read_exact(&mut steps)?;
        let value = |pair: &[u8]| least + scale * f32::from(u16::from_le_bytes([pair[0], pair[1]]));
        Ok(steps.chunks_exact(2).take(self.vocabulary).map(value).collect())
    }
}

/// The tokens whose log-probability is known: those above the least.
pub fn kept(log_probabilities: &[f32]) -> Vec<usize> {
    let least = log_probabilities.iter().copied().fold(f32::INFINITY, f32::min);
    let tokens = log_probabilities.iter().enumerate();
    tokens
        .filter(|&(_, &log)| log > least)
        .map(|(token, _)| token)
        .collect()
}

fn numbers(reader: &mut impl Read, count: usize) -> Result<Vec<u32>> {
    let mut bytes = vec![0; 4 * count];
    reader.read_exact(&mut bytes)?;
    Ok(bytes
        .chunks_exact(4)
        .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let words = |bytes: &mut Vec<u8>, words: &[u32]| {
            words.iter().for_each(|word| bytes.extend(word.to_le_bytes()))
        };
        words(&mut bytes, &[4, 3, 1, 7, 8, 9, 10]);
        bytes.extend(0.5_f32.to_le_bytes());
        bytes.extend((-10_f32).to_le_bytes());
        for step in [0_u16, 4, 20, 0] {
            bytes.extend(step.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_chunk_with_its_tokens_and_log_probabilities() {
        let file = file();
        let mut saved = Saved::new(&file[..]).unwrap();
        assert_eq!((saved.positions(), saved.chunks()), (4, 1));
        let chunk = saved.next_chunk().unwrap().unwrap();
        let expected = Chunk {
            tokens: vec![7, 8, 9, 10],
            first: 2,
            log_probabilities: vec![vec![-10.0, -8.0, 0.0]],
        };
        assert_eq!(chunk, expected);
        assert_eq!(saved.next_chunk().unwrap(), None);
    }

    #[test]
    fn what_has_the_least_is_not_known() {
        assert_eq!(kept(&[-10.0, -8.0, -10.0, 0.0]), [1, 3]);
    }

    #[test]
    fn what_was_cut_off_is_an_error() {
        let file = file();
        assert!(Saved::new(&file[..file.len() - 1]).unwrap().next_chunk().is_err());
        assert!(Saved::new(&b"_logitz_"[..]).is_err());
    }
}
