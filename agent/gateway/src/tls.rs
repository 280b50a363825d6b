//! The certificate by which clients know this machine: its local authority, the certificate that it signs, the owner's
//! own, and the door that shows one of them.

mod authority;
mod facts;
mod guide;
mod identity;
mod names;
mod own;
mod pair;
mod renewal;
mod server;

pub(crate) use authority::{Authority, make_known};
pub(crate) use guide::guide;
pub(crate) use identity::Identity;
pub(crate) use names::is_private;
pub(crate) use own::Unusable;
pub(crate) use server::Acceptor;

use std::{io, path::PathBuf};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file does not hold what this program writes. It is left as it is.
    #[error(
        "{path}: {problem}; move it away, and a new one is made, which clients must be told to trust anew"
    )]
    Damaged { path: PathBuf, problem: String },
    /// The file system said no. The text tells the cause, as clients are shown it too.
    #[error("cannot {action} {path}: {cause}")]
    Io {
        action: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    /// The kernel does not tell the host's name.
    #[error("the kernel does not tell the host's name: {0}")]
    Host(#[from] nix::Error),
    /// The kernel gave no randomness, or a name or a time cannot be in a certificate.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The library of TLS does not take what was made or read.
    #[error("cannot use the certificate: {0}")]
    Use(#[from] rustls::Error),
}
