//! Why a model cannot be loaded, and why a request fails.

use std::path::PathBuf;

use crate::capacity::Mebibytes;
use crate::quote::quoted;
use crate::template::KEY as CHAT_TEMPLATE;

/// Why a model file cannot be loaded. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its weights cannot be had.
    #[error(transparent)]
    Weights(#[from] store::Error),
    /// Its keys and values cannot be kept.
    #[error("{path}: {error}", path = path.display())]
    Kv {
        /// The file.
        path: PathBuf,
        /// Why.
        error: kernels::kv::KvShapeError,
    },
    /// There is no memory for a conversation with it.
    #[error(
        "{path}: beside its weights {room} are left for keys and values, and a conversation of {tokens} tokens takes {least}: \
         keep them in 8 bits, hold less of the weights in memory, or allow more memory",
        path = path.display(),
        room = Mebibytes(Some(*room)),
        least = Mebibytes(Some(*least))
    )]
    Room {
        /// The file.
        path: PathBuf,
        /// Bytes that are left.
        room: u64,
        /// Tokens of the shortest conversation that is of use.
        tokens: usize,
        /// Bytes of its keys and values.
        least: u64,
    },
    /// A metadata key is missing, or has a value that is not supported.
    #[error("{path}: `{key}` {problem}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key or tensor.
        key: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// Its chat template cannot be compiled.
    #[error("{path}: `tokenizer.chat_template` cannot be used: {reason}", path = path.display(), reason = quoted(reason))]
    Template {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl LoadError {
    /// The key or the tensor that is refused, by which its place in the file can be found.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Key { key, .. } => Some(key),
            Self::Template { .. } => Some(CHAT_TEMPLATE),
            Self::Weights(store::Error::Tensor { tensor, .. }) => Some(tensor),
            _ => None,
        }
    }
}

/// Why the graph cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// A sequence has grown to the end of its context.
    #[error("{needed} positions are needed, and the context holds {limit}")]
    ContextFull {
        /// Positions that are needed.
        needed: usize,
        /// Positions that there are.
        limit: usize,
    },
    /// There is no such token.
    #[error("there is no token {token}: the vocabulary has {vocabulary}")]
    Token {
        /// The token.
        token: u32,
        /// Tokens that there are.
        vocabulary: usize,
    },
    /// What was computed is no number, so that there is no likeliest token.
    #[error("its weights make no numbers: they are damaged, or too large to be computed with")]
    NotFinite,
    /// The weights cannot be had.
    #[error(transparent)]
    Weights(#[from] store::Error),
}

/// Why a request fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// As many requests wait as may.
    #[error("the engine is busy: {waiting} requests wait already; try again later")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// No folder has a model of that name.
    #[error("the model `{0}` does not exist; `GET /v1/models` lists those that do")]
    NoSuchModel(String),
    /// The model's file cannot be loaded.
    #[error("the model `{model}` cannot be loaded: {reason}")]
    Load {
        /// The model's id.
        model: String,
        /// Why, with the file's name.
        reason: String,
    },
    /// The model's template refuses the conversation.
    #[error("the model's chat template refuses the messages: {0}")]
    Template(String),
    /// The messages cannot be told apart from the template's marks.
    #[error("the messages cannot be tokenised: {0}")]
    Tokenize(String),
    /// The prompt does not fit.
    #[error("the messages have {prompt} tokens or more, and the context holds {context}; shorten them")]
    ContextLength {
        /// Tokens of the prompt, as far as they were counted.
        prompt: usize,
        /// Tokens that the context holds.
        context: usize,
    },
    /// The arithmetic failed, which no request should be able to cause.
    #[error("the engine failed: {0}")]
    Internal(String),
    /// The engine stops.
    #[error("the engine is stopping")]
    Stopping,
}
