//! What a model file says of itself: GGUF's keys and values
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Keys and values, by key.
pub type Metadata = BTreeMap<String, Value>;

/// A value of GGUF metadata. Whole numbers of all widths are one, as are floats: no reader cares for the width.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number of at most 64 bits, signed or not.
    Integer(i128),
    /// A float of 32 or 64 bits.
    Float(f64),
    /// Text.
    Text(String),
    /// Truths.
    Bools(Vec<bool>),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
    /// Texts: a vocabulary, its merges.
    Texts(Texts),
}

impl Value {
    /// What it is, for an error that says so.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a truth",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a float",
            Self::Text(_) => "text",
            Self::Bools(_) => "a list of truths",
            Self::Integers(_) => "a list of whole numbers",
            Self::Floats(_) => "a list of floats",
            Self::Texts(_) => "a list of texts",
        }
    }
}

/// Many short texts in one piece of memory, which clones share: a vocabulary has hundreds of thousands.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Texts(Arc<Joined>);

#[derive(Default, PartialEq, Eq)]
struct Joined {
    all: String,
    /// Where each ends. All together are at most 4 GiB, which the reader's limits see to.
    ends: Vec<u32>,
}

impl Texts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<&str> {
        let Joined { all, ends } = &*self.0;
        let end = *ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { ends[index - 1] as usize };
        all.get(start..end)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut joined = Joined::default();
        for text in texts {
            joined.all.push_str(text.as_ref());
            joined.ends.push(joined.all.len() as u32);
        }
        Self(Arc::new(joined))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_in_order() {
        let texts = Texts::from_iter(["a", "", "größer", "b"]);
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "", "größer", "b"]);
        assert_eq!(texts.get(2), Some("größer"));
        assert_eq!(texts.get(4), None);
        assert!(Texts::default().is_empty());
    }
}
