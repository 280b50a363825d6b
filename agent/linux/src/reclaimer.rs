//! Asking control groups for memory back, by `memory.reclaim`. Source: the kernel's `admin-guide/cgroup-v2.rst`.
//!
//! Unlike what [`crate::Writer`] writes, this leaves nothing behind that would have to be put back: it is a demand, not a
//! setting. The kernel takes what is in use least, for at most as long as it finds some, and returns when it has.

use crate::cgroup::DIR;
use crate::parse;
use crate::reader::Reader;
use crate::tree::Tree;
use machine::{Bytes, ReclaimRequest};
use nix::errno::Errno;
use std::io;

/// Asks for memory back.
#[derive(Debug)]
pub struct Reclaimer {
    tree: Tree,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaimed {
    /// What was asked for, and of whom.
    pub request: ReclaimRequest,
    /// `memory.current` before; `None` if it could not be read.
    pub before: Option<Bytes>,
    /// The same afterwards.
    pub after: Option<Bytes>,
    /// Why the kernel has not even tried; `None` if it has, however much it found.
    pub problem: Option<String>,
}

impl Reclaimer {
    /// Of the control groups of a tree.
    pub fn new(tree: Tree) -> Self {
        Self { tree }
    }

    /// Asks one control group. Takes as long as the kernel takes to compress what it takes.
    pub fn reclaim(&self, request: &ReclaimRequest) -> Reclaimed {
        let before = self.current(&request.cgroup);
        let problem = match self.ask(request) {
            Ok(()) => None,
            // It has tried and not found all of it, or a signal came meanwhile: the two readings tell how much it found.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                None
            }
            Err(error) => Some(error.to_string()),
        };
        Reclaimed {
            request: request.clone(),
            before,
            after: self.current(&request.cgroup),
            problem,
        }
    }

    /// Kernels before 6.10 take no more than a number.
    fn ask(&self, request: &ReclaimRequest) -> io::Result<()> {
        let path = format!("{DIR}/{}/memory.reclaim", request.cgroup);
        let bytes = request.bytes.0;
        let Some(swappiness) = request.swappiness else {
            return self.tree.write(&path, &bytes.to_string());
        };
        match self
            .tree
            .write(&path, &format!("{bytes} swappiness={swappiness}"))
        {
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
                self.tree.write(&path, &bytes.to_string())
            }
            done => done,
        }
    }

    fn current(&self, cgroup: &str) -> Option<Bytes> {
        let mut reader = Reader::new(&self.tree);
        reader.optional(&format!("{DIR}/{cgroup}/memory.current"), parse::bytes)
    }
}
