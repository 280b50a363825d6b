//! The store's folder: what is where in it, and how files come to be there whole or not at all.
//!
//! ```text
//! lock                          held shared by imports, alone by the collection of garbage
//! blocks/ab/abcdef…             a block, named by the BLAKE3 hash of its bytes
//! incoming/…                    files that are being written
//! models/<id>/manifest.json     what a model is made of; written last
//! ```
//!
//! The folder itself is locked by removals, of models and of garbage, and while a model gets its name.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::hash::Hash;
use crate::id::ModelId;

/// The folder of a store, wherever it is.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Numbers this process's files in `incoming`.
    next: AtomicU64,
}

/// A lock that ends with this value, or with the process.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Folder {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            next: AtomicU64::new(0),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn block(&self, hash: Hash) -> PathBuf {
        self.block_home(hash).join(hash.to_string())
    }

    /// The folder that a block's file is in.
    pub(crate) fn block_home(&self, hash: Hash) -> PathBuf {
        self.blocks().join(&hash.to_string()[..2])
    }

    pub(crate) fn blocks(&self) -> PathBuf {
        self.root.join("blocks")
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    pub(crate) fn manifest(&self, id: &ModelId) -> PathBuf {
        self.models().join(id.as_str()).join("manifest.json")
    }

    /// Makes what is missing, and keeps others from collecting garbage while an import is on its way.
    pub(crate) fn lock_for_import(&self) -> Result<Lock, Error> {
        for folder in [self.blocks(), self.models(), self.incoming()] {
            make_folder(&folder)?;
        }
        let (file, path) = self.lock_file()?;
        file.lock_shared().map_err(Error::io("lock", &path))?;
        Ok(Lock { _file: file })
    }

    /// Waits until nothing else is removed from the store and no model is given its name: neither takes long.
    pub(crate) fn lock_for_removal(&self) -> Result<Lock, Error> {
        let file = File::open(&self.root).and_then(|folder| folder.lock().map(|()| folder));
        let file = file.map_err(Error::io("lock", &self.root))?;
        Ok(Lock { _file: file })
    }

    /// Keeps imports away; none may be on its way. No other collection is: one at a time has the lock for removals.
    pub(crate) fn lock_for_collection(&self, _removal: &Lock) -> Result<Lock, Error> {
        let (file, path) = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Busy {
                path: self.root.clone(),
            }),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
        }
    }

    fn lock_file(&self) -> Result<(File, PathBuf), Error> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        file.map_err(Error::io("open", &path)).map(|file| (file, path))
    }

    /// Writes a file under another name, to disk, and gives it its own name when it is whole. The name is on disk
    /// only after [`sync_folder`].
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let (mut file, incoming) = self.new_incoming()?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let written = written.map_err(Error::write(&incoming));
        let named = written.and_then(|()| fs::rename(&incoming, path).map_err(Error::io("rename to", path)));
        named.inspect_err(|_| {
            // Where even this fails, the file stays until garbage is collected: the first error is the one to tell.
            fs::remove_file(&incoming).ok();
        })
    }

    /// A new file; a name that a killed process of the same number left behind is passed over.
    fn new_incoming(&self) -> Result<(File, PathBuf), Error> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = self.incoming().join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o444)
                .open(&path)
            {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return file.map(|file| (file, path.clone())).map_err(Error::write(&path)),
            }
        }
    }
}

/// Makes a folder and those above it, and puts their names on disk.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let above = above(path);
    make_folder(above)?;
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(Error::write(path)).and_then(|()| sync_folder(above)),
    }
}

/// Puts the names in a folder on disk.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io("sync", path))
}

/// The files and folders in a folder; none where there is no folder.
pub(crate) fn list(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", path))?,
    };
    let paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>();
    let mut paths = paths.map_err(Error::io("list", path))?;
    paths.sort();
    Ok(paths)
}

/// The folder that a path's last name is in.
fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => Path::new("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_in_the_working_folder() {
        let above = |path| above(Path::new(path)).to_str().unwrap();
        assert_eq!(
            [above("store"), above("a/store"), above("/store"), above("/")],
            [".", "a", "/", "/"]
        );
    }
}
