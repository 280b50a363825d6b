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
        let problem = self.ask(request).err().and_then(|error| problem(&error, request));
        Reclaimed {
            request: request.clone(),
            before,
            after: self.current(&request.cgroup),
            problem,
        }
    }

    fn ask(&self, request: &ReclaimRequest) -> io::Result<()> {
        let path = format!("{DIR}/{}/memory.reclaim", request.cgroup);
        let bytes = request.bytes.0;
        let words = match request.swappiness {
            Some(swappiness) => format!("{bytes} swappiness={swappiness}"),
            None => bytes.to_string(),
        };
        self.tree.write(&path, &words)
    }

    fn current(&self, cgroup: &str) -> Option<Bytes> {
        let mut reader = Reader::new(&self.tree);
        reader.optional(&format!("{DIR}/{cgroup}/memory.current"), parse::bytes)
    }
}

/// Why the kernel has not even tried, if it has not.
fn problem(error: &io::Error, request: &ReclaimRequest) -> Option<String> {
    match error.raw_os_error().map(Errno::from_raw) {
        // It has tried and not found all of it, or a signal came meanwhile: the two readings tell how much it found.
        Some(Errno::EAGAIN | Errno::EINTR) => None,
        // Asked for a number alone it would rather take pages of files, weights among them, which nobody lacks.
        Some(Errno::EINVAL) if request.swappiness.is_some() => Some(format!(
            "{error}: kernels before 6.10 cannot be asked for programs' memory before files'"
        )),
        _ => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_cannot_choose_is_not_asked_for_pages_of_files_instead() {
        let told = |errno, swappiness| {
            let request = ReclaimRequest {
                cgroup: "system.slice".to_owned(),
                bytes: Bytes(1),
                swappiness,
            };
            problem(&io::Error::from(errno), &request)
        };
        assert!(told(Errno::EINVAL, Some(200)).unwrap().contains("before 6.10"));
        assert!(!told(Errno::EINVAL, None).unwrap().contains("6.10"));
        assert!(told(Errno::EACCES, Some(200)).unwrap().contains("denied"));
        assert_eq!(
            (told(Errno::EAGAIN, None), told(Errno::EINTR, None)),
            (None, None)
        );
    }
}
