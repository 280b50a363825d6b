//! What can go wrong with model files, with the file in every variant.

use std::io;
use std::path::{Path, PathBuf};

use crate::gguf::HeadError;

/// Why a model could not be read, imported or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file's head is wrong.
    #[error("{}: {source}", path.display())]
    Head {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: HeadError,
    },
    /// The files of a split model do not belong together.
    #[error("{}: {problem}", path.display())]
    Split {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// A tensor cannot be taken.
    #[error("{}: tensor `{tensor}` {problem}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is not enough memory.
    #[error("cannot get {bytes} bytes of memory for {}: {source}", path.display())]
    Memory {
        /// The model's file or folder.
        path: PathBuf,
        /// What was asked for.
        bytes: usize,
        /// Why it was refused.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on what was tried with a file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
