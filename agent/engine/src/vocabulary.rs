//! From text to tokens and back.
//!
//! Byte-pair encoding as GPT-2's (<https://github.com/openai/gpt-2/blob/master/src/encoder.py>); how text is split
//! before it is merged differs between vocabularies, and goes by a name in the file.

use std::collections::{HashMap, HashSet};
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
use crate::quote::quoted;

/// Names of `tokenizer.ggml.pre` whose splitting is known.
pub const SPLITTERS: [&str; 6] = ["smollm", "gpt-2", "gpt2", "llama-bpe", "llama3", "qwen2"];

/// Names of tokens that end a turn in the templates of the Llama family, whatever the file calls its end.
const TURN_ENDS: [&str; 4] = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>"];

/// Longest token, in bytes; the longest that are real have a quarter of it.
const MAX_TOKEN_BYTES: usize = 4 << 10;
/// Longest mark, in bytes: for each character of a prompt a mark of each length is looked for.
const MAX_MARK_BYTES: usize = 128;

const SPLIT_QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const SPLIT_LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A model's tokens.
pub struct Vocabulary {
    tokenizer: Tokenizer,
    bytes: TokenBytes,
    marks: Marks,
    ends: HashSet<u32>,
    first: Option<u32>,
}

impl Vocabulary {
    /// Reads it from GGUF metadata.
    pub fn read(metadata: &Metadata, path: &Path) -> Result<Self, LoadError> {
        let keys = Keys::new(metadata, path);
        let tokens = keys.texts("tokenizer.ggml.tokens")?;
        check_lengths(&keys, tokens)?;
        let marks = marks(&keys, tokens)?;
        Ok(Self {
            tokenizer: Tokenizer::read(&keys, tokens)?,
            bytes: TokenBytes::new(tokens, &marks),
            ends: ends(&keys, &marks, tokens.len())?,
            first: first(&keys, tokens.len())?,
            marks: Marks::new(marks),
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
        &self.marks.all
    }

    /// The longest mark that `text` begins with, and its token.
    pub fn mark_at(&self, text: &str) -> Option<(&str, u32)> {
        self.marks.at(text)
    }

    /// The most bytes that one token stands for.
    pub fn longest(&self) -> usize {
        self.bytes.longest
    }
}

/// The marks of a template, looked up by their text: a file may have as many as tokens.
struct Marks {
    /// Longest first.
    all: Vec<(String, u32)>,
    /// Places in the list. Of equal texts the first one counts.
    places: HashMap<String, usize>,
    /// The lengths that there are, longest first.
    lengths: Vec<usize>,
    beginnings: [bool; 256],
}

impl Marks {
    /// `all` are not empty, the longest first.
    fn new(all: Vec<(String, u32)>) -> Self {
        let mut places = HashMap::new();
        let mut beginnings = [false; 256];
        for (place, (mark, _)) in all.iter().enumerate() {
            beginnings[usize::from(mark.as_bytes()[0])] = true;
            places.entry(mark.clone()).or_insert(place);
        }
        let mut lengths: Vec<usize> = all.iter().map(|(mark, _)| mark.len()).collect();
        lengths.dedup();
        Self {
            all,
            places,
            lengths,
            beginnings,
        }
    }

    fn at(&self, text: &str) -> Option<(&str, u32)> {
        let first = *text.as_bytes().first()?;
        if !self.beginnings[usize::from(first)] {
            return None;
        }
        let mut beginnings = self.lengths.iter().filter_map(|&length| text.get(..length));
        let place = beginnings.find_map(|beginning| self.places.get(beginning))?;
        let (mark, token) = &self.all[*place];
        Some((mark, *token))
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
            return Err(keys.problem(key, format!("is `{}`; supported is: gpt2", quoted(kind))));
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
                keys.problem(
                    key,
                    format!("has `{}`, which does not make a token of two", quoted(&merge)),
                )
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
            format!("is `{}`; supported are: {}", quoted(other), SPLITTERS.join(", ")),
        )),
    }
}

fn check_lengths(keys: &Keys, tokens: &Texts) -> Result<(), LoadError> {
    let long = tokens
        .iter()
        .enumerate()
        .find(|(_, token)| token.len() > MAX_TOKEN_BYTES);
    match long {
        None => Ok(()),
        Some((id, token)) => Err(keys.problem(
            "tokenizer.ggml.tokens",
            format!(
                "has token {id} of {} bytes; at most {MAX_TOKEN_BYTES} are allowed",
                token.len()
            ),
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
    if let Some((mark, id)) = marks.first().filter(|(mark, _)| mark.len() > MAX_MARK_BYTES) {
        let problem = format!(
            "makes a mark of token {id}, of {} bytes; at most {MAX_MARK_BYTES} are allowed",
            mark.len()
        );
        return Err(keys.problem(key, problem));
    }
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

    /// The vocabulary of the made-up model with further tokens of a type.
    fn with(tokens: impl Iterator<Item = String>, kind: i64) -> Result<Vocabulary, LoadError> {
        let mut metadata = tiny::Model::new(256).metadata;
        let Some(Value::Texts(texts)) = metadata.remove("tokenizer.ggml.tokens") else {
            panic!()
        };
        let Some(Value::Integers(mut kinds)) = metadata.remove("tokenizer.ggml.token_type") else {
            panic!()
        };
        let all: Vec<String> = texts.iter().map(str::to_owned).chain(tokens).collect();
        kinds.resize(all.len(), kind);
        let all = Value::Texts(all.iter().collect());
        metadata.insert("tokenizer.ggml.tokens".to_owned(), all);
        metadata.insert("tokenizer.ggml.token_type".to_owned(), Value::Integers(kinds));
        Vocabulary::read(&metadata, Path::new("tiny.gguf"))
    }

    #[test]
    fn tokens_and_marks_that_are_too_long_are_refused() {
        for (bytes, kind, refusal) in [
            (MAX_TOKEN_BYTES, 1, None),
            (
                MAX_TOKEN_BYTES + 1,
                1,
                Some("`tokenizer.ggml.tokens` has token 265 of 4097 bytes"),
            ),
            (MAX_MARK_BYTES, 3, None),
            (
                MAX_MARK_BYTES + 1,
                3,
                Some("`tokenizer.ggml.token_type` makes a mark of token 265"),
            ),
        ] {
            let error = with(["x".repeat(bytes)].into_iter(), kind).err();
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(refusal.unwrap_or_default()), "{error}");
            assert_eq!(error.is_empty(), refusal.is_none(), "{error}");
        }
    }

    /// Gone through one by one, these marks take a minute.
    #[test]
    fn many_marks_are_found_at_once() {
        let vocabulary = with((0..300_000).map(|mark| format!("h{mark}")), 3).unwrap();
        let found = (0..4000).filter_map(|_| vocabulary.mark_at("h1234567"));
        assert!(found.take(4000).all(|(mark, _)| mark == "h123456"));
        assert_eq!(vocabulary.mark_at("h299999"), Some(("h299999", 265 + 299_999)));
        assert!((0..100_000).all(|_| vocabulary.mark_at("hello h1").is_none()));
    }

    #[test]
    fn what_the_file_says_is_told_shortened_and_escaped() {
        let mut metadata = tiny::Model::new(256).metadata;
        let model = Value::Text("\u{1b}[2J".repeat(1500));
        metadata.insert("tokenizer.ggml.model".to_owned(), model);
        let error = Vocabulary::read(&metadata, Path::new("tiny.gguf")).err().unwrap();
        let error = error.to_string();
        assert!(
            error.contains("is `\\u{1b}[2J") && error.ends_with("supported is: gpt2"),
            "{error}"
        );
        assert!(error.len() < 1000 && !error.contains('\u{1b}'), "{error}");
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
