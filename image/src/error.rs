//! What can go wrong, each with the path or program it went wrong at.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written or made.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The verb: `read`, `write`, `create` …
        doing: &'static str,
        /// Which one.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}")]
    Start {
        /// Its name.
        program: String,
        /// The system's word.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("{program} failed ({status}). Its last lines:\n{tail}\nThe whole log: {}", log.display())]
    Program {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        tail: String,
        /// Where everything it wrote is.
        log: PathBuf,
    },
    /// The machine is not one that the set-up knows how to serve.
    #[error("{host} is neither Debian 12+ nor Ubuntu 24.04+, so nothing is installed by itself. {missing}")]
    Distribution {
        /// The distribution's own name.
        host: String,
        /// What to install by hand.
        missing: String,
    },
    /// Something is still absent after the installation.
    #[error("still missing after the installation: {missing}")]
    StillMissing {
        /// The packages.
        missing: String,
    },
    /// Root is needed and there is no way to become it.
    #[error("root is needed for this: {why}. Run it as root, or as a user whom sudo lets")]
    NeedsRoot {
        /// What needs it.
        why: String,
    },
    /// What was downloaded is not what was pinned.
    #[error(
        "{what}: expected {expected}, got {got}; the package has changed or the download is damaged, so it is not used"
    )]
    Pinned {
        /// Which file.
        what: String,
        /// The pinned value.
        expected: String,
        /// What was found.
        got: String,
    },
    /// A package lacks the file it should hold.
    #[error("{}: {reason}", path.display())]
    Package {
        /// The package.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// mkosi ended well but left no image.
    #[error("mkosi ended without error, but {} is not there; see {}", image.display(), log.display())]
    NoImage {
        /// Where the image should be.
        image: PathBuf,
        /// mkosi's log.
        log: PathBuf,
    },
    /// The disk image, or the place it should go, is not fit.
    #[error(transparent)]
    Flash(#[from] crate::flash::FlashError),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Puts the path to an IO error.
pub(crate) trait AtPath<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            doing,
            path: path.to_owned(),
            source,
        })
    }
}
