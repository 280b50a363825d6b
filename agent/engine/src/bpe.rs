//! Byte-pair encoding (<https://arxiv.org/abs/1508.07909>): a word's characters are merged pair by pair, the pair that
//! the file lists first before all others, the leftmost of equals.
//!
//! The two tables are keyed by text where it lies in the model's metadata, and nothing is copied: they are made anew
//! each time a model is loaded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};
use store::metadata::Texts;

/// Tokens, and which pairs of them become one.
pub(crate) struct Bpe {
    ids: Index,
    ranks: Index,
    /// The most bytes that a merge has.
    longest_merge: usize,
    /// Whether a word that is a token is that token, whatever merging would make of it.
    whole_words: bool,
}

/// The places of texts in a list.
struct Index {
    texts: Texts,
    places: HashTable<u32>,
    /// Seeded, so that no file can have texts that all fall into one place.
    hasher: DefaultHashBuilder,
}

impl Index {
    /// Of equal texts the last one counts.
    fn new(texts: Texts) -> Self {
        let hasher = DefaultHashBuilder::default();
        let mut places = HashTable::with_capacity(texts.len());
        let text = |place: u32| texts.get(place as usize).unwrap_or_default();
        for (new, place) in texts.iter().zip(0..) {
            let equal = |&place: &u32| text(place) == new;
            let rehash = |&place: &u32| hasher.hash_one(text(place));
            *places
                .entry(hasher.hash_one(new), equal, rehash)
                .or_insert(place)
                .get_mut() = place;
        }
        Self {
            texts,
            places,
            hasher,
        }
    }

    fn place(&self, text: &str) -> Option<u32> {
        let equal = |&place: &u32| self.texts.get(place as usize) == Some(text);
        self.places.find(self.hasher.hash_one(text), equal).copied()
    }
}

impl Bpe {
    /// Merges are two texts with a space between. The error is a merge that is no such, or that makes what is no token.
    pub(crate) fn new(tokens: &Texts, merges: &Texts, whole_words: bool) -> Result<Self, String> {
        let ids = Index::new(tokens.clone());
        let mut joined = String::new();
        for merge in merges.iter() {
            let (left, right) = merge.split_once(' ').ok_or(merge)?;
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            ids.place(&joined).ok_or(merge)?;
        }
        Ok(Self {
            ids,
            longest_merge: merges.iter().map(str::len).max().unwrap_or(0),
            ranks: Index::new(merges.clone()),
            whole_words,
        })
    }

    /// The token of that text.
    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        self.ids.place(text)
    }

    /// The text of a token.
    pub(crate) fn text(&self, token: u32) -> Option<&str> {
        self.ids.texts.get(token as usize)
    }

    /// Appends the tokens of a word. Characters that are no token are left out.
    pub(crate) fn encode(&self, word: &str, tokens: &mut Vec<u32>) {
        if self.whole_words
            && let Some(token) = self.id(word)
        {
            tokens.push(token);
            return;
        }
        let is_token = |c: &char| self.id(c.encode_utf8(&mut [0; 4])).is_some();
        let word: String = word.chars().filter(is_token).collect();
        tokens.extend(Merging::new(self, &word).finish());
    }
}

/// A word that is being merged.
struct Merging<'a> {
    bpe: &'a Bpe,
    word: &'a str,
    parts: Vec<Part>,
    candidates: BinaryHeap<Reverse<Candidate>>,
    /// The text of a merge, to look it up.
    merge: String,
}

/// A part of the word. One that was merged into the part before it is empty.
#[derive(Clone)]
struct Part {
    bytes: Range<usize>,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two parts that may be merged, in the order in which that is done.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    /// The left part.
    part: usize,
    /// Where the left part ends.
    middle: usize,
    /// Where the right part ends.
    end: usize,
}

impl<'a> Merging<'a> {
    fn new(bpe: &'a Bpe, word: &'a str) -> Self {
        let starts: Vec<usize> = word.char_indices().map(|(start, _)| start).collect();
        let end = |index: usize| starts.get(index + 1).copied();
        let part = |(index, &start): (usize, &usize)| Part {
            bytes: start..end(index).unwrap_or(word.len()),
            previous: index.checked_sub(1),
            next: end(index).map(|_| index + 1),
        };
        let parts: Vec<Part> = starts.iter().enumerate().map(part).collect();
        let mut merging = Self {
            bpe,
            word,
            candidates: BinaryHeap::with_capacity(parts.len()),
            parts,
            merge: String::new(),
        };
        (0..merging.parts.len()).for_each(|part| merging.propose(part));
        merging
    }

    /// Makes a part and the next one a candidate, if the file merges them.
    fn propose(&mut self, part: usize) {
        let left = &self.parts[part].bytes;
        let Some(next) = self.parts[part].next else { return };
        let right = &self.parts[next].bytes;
        if left.len() + 1 + right.len() > self.bpe.longest_merge {
            return;
        }
        self.merge.clear();
        self.merge.push_str(&self.word[left.clone()]);
        self.merge.push(' ');
        self.merge.push_str(&self.word[right.clone()]);
        if let Some(rank) = self.bpe.ranks.place(&self.merge) {
            let (middle, end) = (left.end, right.end);
            self.candidates.push(Reverse(Candidate {
                rank,
                part,
                middle,
                end,
            }));
        }
    }

    /// Merges until nothing is left to merge, and gives the tokens.
    fn finish(mut self) -> impl Iterator<Item = u32> {
        while let Some(Reverse(candidate)) = self.candidates.pop() {
            if let Some(right) = self.right_of(&candidate) {
                self.join(candidate.part, right);
            }
        }
        let parts = self.parts.into_iter().filter(|part| !part.bytes.is_empty());
        // Every part is a character that is a token, or what a merge makes, and that is one as well.
        parts.filter_map(|part| self.bpe.id(&self.word[part.bytes]))
    }

    /// The right part of a candidate, if both are still what they were.
    fn right_of(&self, candidate: &Candidate) -> Option<usize> {
        let left = &self.parts[candidate.part];
        let right = left.next?;
        let same = left.bytes.end == candidate.middle && self.parts[right].bytes.end == candidate.end;
        same.then_some(right)
    }

    fn join(&mut self, left: usize, right: usize) {
        let Part { bytes, next, .. } = self.parts[right].clone();
        self.parts[right].bytes = 0..0;
        self.parts[left].bytes.end = bytes.end;
        self.parts[left].next = next;
        if let Some(next) = next {
            self.parts[next].previous = Some(left);
        }
        self.propose(left);
        if let Some(previous) = self.parts[left].previous {
            self.propose(previous);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokenizers::Model as _;
    use tokenizers::models::bpe::{BPE, Vocab};

    const LETTERS: [&str; 4] = ["a", "b", "c", "ä"];

    /// Every letter, and what each merge makes of two earlier tokens.
    fn tokens_of(pairs: &[(prop::sample::Index, prop::sample::Index)]) -> (Texts, Texts) {
        let mut tokens: Vec<String> = LETTERS.map(str::to_owned).into();
        let mut merges: Vec<String> = Vec::new();
        for (left, right) in pairs {
            let (left, right) = (left.get(&tokens).clone(), right.get(&tokens).clone());
            let (token, merge) = (format!("{left}{right}"), format!("{left} {right}"));
            if !merges.contains(&merge) {
                merges.push(merge);
            }
            if !tokens.contains(&token) {
                tokens.push(token);
            }
        }
        (tokens.iter().collect(), merges.iter().collect())
    }

    fn oracle(tokens: &Texts, merges: &Texts, whole_words: bool) -> BPE {
        let vocabulary = tokens.iter().zip(0..).map(|(token, id)| (token.to_owned(), id));
        let pair = |merge: &str| {
            let (left, right) = merge.split_once(' ').unwrap();
            (left.to_owned(), right.to_owned())
        };
        BPE::builder()
            .vocab_and_merges(vocabulary.collect::<Vocab>(), merges.iter().map(pair).collect())
            .ignore_merges(whole_words)
            .build()
            .unwrap()
    }

    proptest! {
        #[test]
        fn words_are_merged_as_hugging_faces_tokenizers_do(
            pairs in proptest::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..40),
            word in "[abcäx]{0,40}",
            whole_words: bool,
        ) {
            let (tokens, merges) = tokens_of(&pairs);
            let mut found = Vec::new();
            Bpe::new(&tokens, &merges, whole_words).unwrap().encode(&word, &mut found);
            let expected = oracle(&tokens, &merges, whole_words).tokenize(&word).unwrap();
            prop_assert_eq!(found, expected.iter().map(|token| token.id).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_word_without_end_takes_no_longer_for_each_character() {
        let (tokens, merges) = (["a", "aa", "aaaa"], ["a a", "aa aa"]);
        let bpe = Bpe::new(&tokens.iter().collect(), &merges.iter().collect(), false).unwrap();
        let mut found = Vec::new();
        bpe.encode(&"a".repeat(1_000_001), &mut found);
        assert_eq!(found.len(), 250_001);
        assert_eq!(found.last(), Some(&0));
    }

    #[test]
    fn merges_that_make_no_token_are_refused() {
        let refused =
            |merge: &str| Bpe::new(&["a", "b"].iter().collect(), &[merge].iter().collect(), false).err();
        assert_eq!(refused("a b").as_deref(), Some("a b"));
        assert_eq!(refused("ab").as_deref(), Some("ab"));
    }

    #[test]
    fn of_equal_tokens_the_last_one_counts() {
        let bpe = Bpe::new(&["a", "b", "a"].iter().collect(), &Texts::default(), false).unwrap();
        assert_eq!(bpe.id("a"), Some(2));
        assert_eq!(bpe.text(0), Some("a"));
    }
}
