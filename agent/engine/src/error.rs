//! Why a model cannot be loaded, and why a request fails.

use std::path::PathBuf;

use crate::gguf::HeadError;

/// Why a model file cannot be loaded. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be opened or read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its head is damaged, or beyond the limits.
    #[error("{path}: {source}", path = path.display())]
    Head {
        /// The file.
        path: PathBuf,
        /// Why.
        source: HeadError,
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
    /// candle refuses it.
    #[error("{path}: {source}", path = path.display())]
    Candle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: candle_core::Error,
    },
    /// Its chat template cannot be compiled.
    #[error("{path}: `tokenizer.chat_template` cannot be used: {source}", path = path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// Why.
        source: minijinja::Error,
    },
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
