//! What is wrong with a head, and where.

use std::io;

/// What is wrong with a file's head, and at which byte of the file.
#[derive(Debug, thiserror::Error)]
#[error("byte {offset}: {problem}")]
pub struct HeadError {
    /// Where the part of the head begins that is refused.
    pub offset: u64,
    /// What is wrong there.
    pub problem: Problem,
}

impl HeadError {
    pub(super) fn at(offset: u64, problem: Problem) -> Self {
        Self { offset, problem }
    }
}

/// What is wrong with a file's head.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read, or ends within the head.
    #[error("the file ends or cannot be read within its head: {0}")]
    Read(io::Error),
    /// It is another kind of file.
    #[error("not a GGUF file: it does not begin with `GGUF`")]
    Magic,
    /// Its version is not known.
    #[error("GGUF version {0} is not supported; 2 and 3 are")]
    Version(u32),
    /// A count or a length is beyond its limit.
    #[error("{what} is {found}; at most {limit} is allowed")]
    Limit {
        /// Which count or length.
        what: String,
        /// What the file says.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A value has a type that the format does not have.
    #[error("`{key}` has the unknown type {found}; 0 to 12 are known")]
    Type {
        /// The key.
        key: String,
        /// The number found.
        found: u32,
    },
    /// A name appears twice.
    #[error("`{0}` appears twice")]
    Twice(String),
    /// A value is not what it must be.
    #[error("`{what}` {problem}")]
    Value {
        /// The key or the tensor.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Problem {
    pub(super) fn value(what: &str, problem: impl Into<String>) -> Self {
        Self::Value {
            what: what.to_owned(),
            problem: problem.into(),
        }
    }
}
