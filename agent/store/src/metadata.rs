//! What a model file says of itself: GGUF's keys and values
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use std::collections::BTreeMap;

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
    Texts(Vec<String>),
}
