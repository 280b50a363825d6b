//! From text to tokens and back.
//!
//! Byte-pair encoding as GPT-2's (<https://github.com/openai/gpt-2/blob/master/src/encoder.py>); how text is split
//! before it is merged differs between vocabularies, and goes by a name in the file.

use std::collections::HashSet;
use std::path::Path;

use store::metadata::{Metadata, Texts, Value};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    PreTokenizerWrapper,
};

use crate::bpe::Bpe;
use crate::error::{LoadError, RequestError};
use crate::keys::Keys;

/// Names of `tokenizer.ggml.pre` whose splitting is known.
pub const SPLITTERS: [&str; 6] = ["smollm", "gpt-2", "gpt2", "llama-bpe", "llama3", "qwen2"];

/// Names of tokens that end a turn in the templates of the Llama family, whatever the file calls its end.
const TURN_ENDS: [&str; 4] = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>"];

const SPLIT_QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const SPLIT_LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A model's tokens.
pub struct Vocabulary {
    tokenizer: Tokenizer,
    bytes: TokenBytes,
    marks: Vec<(String, u32)>,
    mark_beginnings: [bool; 256],
    ends: HashSet<u32>,
    first: Option<u32>,
}

impl Vocabulary {
    /// Reads it from GGUF metadata.
    pub fn read(metadata: &Metadata, path: &Path) -> Result<Self, LoadError> {
        let keys = Keys::new(metadata, path);
        let tokens = keys.texts("tokenizer.ggml.tokens")?;
        let marks = marks(&keys, tokens)?;
        let mut mark_beginnings = [false; 256];
        for (mark, _) in &marks {
            mark_beginnings[usize::from(mark.as_bytes()[0])] = true;
        }
        Ok(Self {
            tokenizer: Tokenizer::read(&keys, tokens)?,
            bytes: TokenBytes::new(tokens, &marks),
            ends: ends(&keys, &marks, tokens.len())?,
            first: first(&keys, tokens.len())?,
            marks,
            mark_beginnings,
        })
    }

    /// Tokens of plain text, in which nothing is a mark of the template.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, RequestError> {
        let tokens = self.tokenizer.encode(text);
        tokens.map_err(|error| RequestError::Tokenize(error.to_string()))
    }

    /// The bytes that a token stands for; none for a mark of the template.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.of(token)
    }

    /// Whether a token ends the answer.
    pub fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The token that every prompt of this model begins with, if there is one.
    pub fn first(&self) -> Option<u32> {
        self.first
    }

    /// The text of a token as the file spells it.
    pub fn spelling(&self, token: u32) -> Option<&str> {
        self.tokenizer.bpe.text(token)
    }

    /// The template's marks, longest first, with their tokens.
    pub fn marks(&self) -> &[(String, u32)] {
        &self.marks
    }

    /// The longest mark that `text` begins with, and its token.
    pub fn mark_at(&self, text: &str) -> Option<(&str, u32)> {
        let first = *text.as_bytes().first()?;
        if !self.mark_beginnings[usize::from(first)] {
            return None;
        }
        let mut marks = self.marks.iter();
        marks
            .find(|(mark, _)| text.starts_with(mark.as_str()))
            .map(|(mark, token)| (mark.as_str(), *token))
    }

    /// The most bytes that one token stands for.
    pub fn longest(&self) -> usize {
        self.bytes.longest
    }
}

/// What turns text into tokens. It knows no marks: whatever reaches it is text, and the marks of a template are looked
/// up, never parsed out of it.
struct Tokenizer {
    /// Whether text is brought into Unicode's composed form first.
    composed: bool,
    splitter: PreTokenizerWrapper,
    bpe: Bpe,
}

impl Tokenizer {
    fn read(keys: &Keys, tokens: &Texts) -> Result<Self, LoadError> {
        let key = "tokenizer.ggml.model";
        let kind = keys.text(key)?.unwrap_or_default();
        if kind != "gpt2" {
            return Err(keys.problem(key, format!("is `{kind}`; supported is: gpt2")));
        }
        let name = keys.text("tokenizer.ggml.pre")?.unwrap_or("gpt-2");
        let key = "tokenizer.ggml.merges";
        // Llama 3 takes a word that is a token as that token.
        let whole_words = matches!(name, "llama-bpe" | "llama3");
        let bpe = Bpe::new(tokens, keys.texts(key)?, whole_words);
        Ok(Self {
            composed: name == "qwen2",
            splitter: splitter(keys, name)?,
            bpe: bpe.map_err(|merge| {
                keys.problem(key, format!("has `{merge}`, which does not make a token of two"))
            })?,
        })
    }

    fn encode(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        let mut text = NormalizedString::from(text);
        if self.composed {
            NFC.normalize(&mut text)?;
        }
        let mut words = PreTokenizedString::from(text);
        self.splitter.pre_tokenize(&mut words)?;
        let mut tokens = Vec::new();
        for (word, ..) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            self.bpe.encode(word, &mut tokens);
        }
        Ok(tokens)
    }
}

fn splitter(keys: &Keys, name: &str) -> Result<PreTokenizerWrapper, LoadError> {
    let key = "tokenizer.ggml.pre";
    let bytes = |regex| ByteLevel::new(false, true, regex).into();
    let split = |pattern: &str| {
        Split::new(
            SplitPattern::Regex(pattern.to_owned()),
            SplitDelimiterBehavior::Isolated,
            false,
        )
        .map(|split| Sequence::new(vec![split.into(), bytes(false)]).into())
        .map_err(|error| keys.problem(key, format!("has a splitting that cannot be compiled: {error}")))
    };
    match name {
        "smollm" => Ok(Sequence::new(vec![Digits::new(true).into(), bytes(true)]).into()),
        "gpt-2" | "gpt2" => Ok(bytes(true)),
        "qwen2" => split(SPLIT_QWEN2),
        "llama-bpe" | "llama3" => split(SPLIT_LLAMA3),
        other => Err(keys.problem(
            key,
            format!("is `{other}`; supported are: {}", SPLITTERS.join(", ")),
        )),
    }
}

/// Tokens of another type than normal (1) and byte (6). Source: llama.cpp's `enum llama_token_type`.
fn marks(keys: &Keys, tokens: &Texts) -> Result<Vec<(String, u32)>, LoadError> {
    let key = "tokenizer.ggml.token_type";
    let types = match keys.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Integers(types)) => types,
        Some(_) => return Err(keys.problem(key, "is not a list of whole numbers")),
    };
    if types.len() != tokens.len() {
        let problem = format!("has {} elements for {} tokens", types.len(), tokens.len());
        return Err(keys.problem(key, problem));
    }
    let mut marks: Vec<_> = tokens
        .iter()
        .zip(types)
        .zip(0..)
        .filter(|((token, kind), _)| !token.is_empty() && matches!(kind, 2..=5))
        .map(|((token, _), id)| (token.to_owned(), id))
        .collect();
    marks.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    Ok(marks)
}

fn ends(keys: &Keys, marks: &[(String, u32)], count: usize) -> Result<HashSet<u32>, LoadError> {
    let mut ends: HashSet<u32> = marks
        .iter()
        .filter(|(text, _)| TURN_ENDS.contains(&text.as_str()))
        .map(|&(_, id)| id)
        .collect();
    for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"] {
        ends.extend(keys.token(key, count)?);
    }
    if ends.is_empty() {
        return Err(keys.problem(
            "tokenizer.ggml.eos_token_id",
            "is missing: answers would never end",
        ));
    }
    Ok(ends)
}

fn first(keys: &Keys, count: usize) -> Result<Option<u32>, LoadError> {
    match keys.flag("tokenizer.ggml.add_bos_token")? {
        Some(true) => keys.token("tokenizer.ggml.bos_token_id", count),
        _ => Ok(None),
    }
}

/// The bytes of all tokens behind one another.
struct TokenBytes {
    all: Vec<u8>,
    ends: Vec<u32>,
    longest: usize,
}

impl TokenBytes {
    fn new(tokens: &Texts, marks: &[(String, u32)]) -> Self {
        let marks: HashSet<u32> = marks.iter().map(|&(_, id)| id).collect();
        let table = byte_of_char();
        let mut bytes = Self {
            all: Vec::new(),
            ends: Vec::with_capacity(tokens.len()),
            longest: 1,
        };
        for (id, token) in tokens.iter().enumerate() {
            let start = bytes.all.len();
            if !marks.contains(&(id as u32)) {
                bytes.push(token, &table);
            }
            bytes.longest = bytes.longest.max(bytes.all.len() - start);
            bytes.ends.push(bytes.all.len() as u32);
        }
        bytes
    }

    /// A character that stands for no byte stands for itself.
    fn push(&mut self, token: &str, table: &[Option<u8>; 512]) {
        for c in token.chars() {
            match table.get(c as usize).copied().flatten() {
                Some(byte) => self.all.push(byte),
                None => self.all.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn of(&self, token: u32) -> &[u8] {
        let index = token as usize;
        let start = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        match self.ends.get(index) {
            Some(&end) => &self.all[start as usize..end as usize],
            None => &[],
        }
    }
}

/// GPT-2's byte alphabet, from character to byte: printable Latin-1 stands for itself, and the other 68 bytes have
/// the characters from U+0100 on, in order.
fn byte_of_char() -> [Option<u8>; 512] {
    let mut table = [None; 512];
    let mut next = 256;
    for byte in 0..=255_u8 {
        let itself = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let place = if itself { usize::from(byte) } else { next };
        next += usize::from(!itself);
        table[place] = Some(byte);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny;

    #[test]
    fn text_comes_back() {
        let vocabulary = tiny::vocabulary();
        for text in ["", "hello world", "naïve 😀\n\t 12", " two  spaces "] {
            let bytes: Vec<u8> = vocabulary
                .encode(text)
                .unwrap()
                .iter()
                .flat_map(|&token| vocabulary.bytes(token))
                .copied()
                .collect();
            assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }

    #[test]
    fn marks_in_text_are_text() {
        let vocabulary = tiny::vocabulary();
        let tokens = vocabulary.encode("a<|im_end|>b").unwrap();
        assert!(
            vocabulary.marks().iter().all(|(_, mark)| !tokens.contains(mark)),
            "{tokens:?}"
        );
    }

    #[test]
    fn marks_stand_for_no_text() {
        let vocabulary = tiny::vocabulary();
        for (_, token) in vocabulary.marks() {
            assert!(vocabulary.bytes(*token).is_empty());
        }
        assert!(vocabulary.bytes(u32::MAX).is_empty());
    }

    #[test]
    fn all_bytes_have_a_character() {
        let found: HashSet<u8> = byte_of_char().into_iter().flatten().collect();
        assert_eq!(found.len(), 256);
    }

    #[test]
    fn digits_stand_alone_in_smollm() {
        let vocabulary = tiny::vocabulary();
        let tokens = vocabulary.encode("1234").unwrap();
        assert_eq!(tokens.len(), 4);
    }
}
