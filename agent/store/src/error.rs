//! What can go wrong with model files, with the file in every variant. Each message is whole: what lies behind an error
//! is in it, and so is no `source` that would be told twice.

use std::io;
use std::path::{Path, PathBuf};

use crate::block::Damage;
use crate::gguf::HeadError;
use crate::id::ModelId;

/// Why a model could not be read, imported or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// A file's head is wrong.
    #[error("{}: {error}", path.display())]
    Head {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: HeadError,
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
    /// A source is made of matrices of a few rows.
    #[error(
        "{}: its {bytes} bytes of tensors would take {packed} when packed; no model is of so many matrices of a few rows",
        path.display()
    )]
    Padding {
        /// The file.
        path: PathBuf,
        /// Bytes of its tensors.
        bytes: u64,
        /// Bytes when packed.
        packed: u64,
    },
    /// There is not enough memory.
    #[error("cannot get {bytes} bytes of memory for {}: {error}", path.display())]
    Memory {
        /// The model's file or folder.
        path: PathBuf,
        /// What was asked for.
        bytes: usize,
        /// Why it was refused.
        error: io::Error,
    },
    /// A memory budget is too small to stream a model in.
    #[error("{}: a budget of {budget} bytes is too small; the least for this model is {least}", path.display())]
    Budget {
        /// The store.
        path: PathBuf,
        /// What was given.
        budget: usize,
        /// What is needed.
        least: usize,
    },
    /// A disk or a quota is full.
    #[error("no room to write {}: {error}", path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// A model does not fit on the store's disk, or into its quota. What was written of it is removed, if it can be.
    #[error(
        "no room for the model in {}: it takes up to {needed} bytes, and {free} are free; make room and import again{}",
        path.display(),
        still_there(left)
    )]
    NoRoom {
        /// The store.
        path: PathBuf,
        /// Bytes of the model when packed: what compresses or is there already takes less.
        needed: u64,
        /// Bytes that are free, without what was written of the model unless that is left.
        free: u64,
        /// Why what was written of the model is still there.
        left: Option<Box<Error>>,
    },
    /// A manifest is wrong.
    #[error("{}: {problem}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A block is damaged.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// An import is on its way.
    #[error("{} is being written to; try again when that is done", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// There is no model of that name.
    #[error("{} has no model `{id}`; {}", path.display(), listed(known))]
    NoModel {
        /// The store.
        path: PathBuf,
        /// The name.
        id: ModelId,
        /// Names that there are.
        known: Vec<ModelId>,
    },
    /// A model was replaced by another of its name while it was read, and its blocks are gone.
    #[error("the model `{id}` in {} was replaced while it was read; try again", path.display())]
    Replaced {
        /// The store.
        path: PathBuf,
        /// The name.
        id: ModelId,
    },
}

impl Error {
    /// For `map_err` on what was written.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, error },
            _ => Self::Io {
                action: "write",
                path,
                error,
            },
        }
    }

    /// For `map_err` on what was tried with a file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { action, path, error }
    }
}

fn still_there(left: &Option<Box<Error>>) -> String {
    match left {
        None => String::new(),
        Some(error) => format!(" (what was written of it is still there: {error})"),
    }
}

fn listed(known: &[ModelId]) -> String {
    match known {
        [] => "it has none".to_owned(),
        known => {
            let names: Vec<_> = known.iter().map(ModelId::as_str).collect();
            format!("it has {}", names.join(", "))
        }
    }
}
