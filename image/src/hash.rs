//! SHA-256 of files and of whole trees.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{AtPath, Result};

/// The lower-case hexadecimal form.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of some bytes, in hexadecimal.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file's contents, in hexadecimal.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let mut sha = Sha256::new();
    let mut file = File::open(path).at("open", path)?;
    update(&mut sha, &mut file).at("read", path)?;
    Ok(hex(&sha.finalize()))
}

/// Feeds everything that `from` holds.
fn update(sha: &mut Sha256, from: &mut impl Read) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => sha.update(&buffer[..count]),
        }
    }
}

/// A hash over names, kinds, executable bits, link targets and contents: equal when a build from them is.
#[derive(Default)]
pub(crate) struct TreeHash {
    sha: Sha256,
}

impl TreeHash {
    /// Adds some text under a name.
    pub(crate) fn text(mut self, name: &str, text: &str) -> Self {
        self.record(b't', name.as_bytes(), text.as_bytes());
        self
    }

    /// Adds everything below `root` that `keep` (given the path from `root`) lets in, in the order of names.
    pub(crate) fn tree(mut self, root: &Path, keep: impl Fn(&Path) -> bool) -> Result<Self> {
        let mut found = Vec::new();
        walk(root, Path::new(""), &keep, &mut found)?;
        found.sort();
        for path in found {
            self.entry(root, &path)?;
        }
        Ok(self)
    }

    /// The hash in hexadecimal.
    pub(crate) fn finish(self) -> String {
        hex(&self.sha.finalize())
    }

    fn entry(&mut self, root: &Path, path: &Path) -> Result<()> {
        let full = root.join(path);
        let name = path.as_os_str().as_bytes();
        let metadata = full.symlink_metadata().at("read", &full)?;
        if metadata.is_symlink() {
            let target = fs::read_link(&full).at("read", &full)?;
            self.record(b'l', name, target.as_os_str().as_bytes());
        } else {
            let kind = if metadata.mode() & 0o111 == 0 { b'f' } else { b'x' };
            self.record(kind, name, of_file(&full)?.as_bytes());
        }
        Ok(())
    }

    /// Lengths go along, so that no two different lists of records give the same bytes.
    fn record(&mut self, kind: u8, name: &[u8], value: &[u8]) {
        self.sha.update([kind]);
        for part in [name, value] {
            self.sha.update((part.len() as u64).to_le_bytes());
            self.sha.update(part);
        }
    }
}

fn walk(root: &Path, below: &Path, keep: &impl Fn(&Path) -> bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).at("read", &folder)? {
        let entry = entry.at("read", &folder)?;
        let path = below.join(entry.file_name());
        if !keep(&path) {
            continue;
        }
        if entry.file_type().at("read", &entry.path())?.is_dir() {
            walk(root, &path, keep, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn hash(root: &Path) -> String {
        TreeHash::default()
            .tree(root, |path| !path.starts_with("out"))
            .unwrap()
            .finish()
    }

    #[test]
    fn a_known_hash() {
        assert_eq!(
            of_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn content_name_mode_and_target_count_and_the_left_out_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/a"), "one").unwrap();
        let mut seen = vec![hash(root)];
        let mut change = |what: &dyn Fn()| {
            what();
            let now = hash(root);
            assert!(!seen.contains(&now));
            seen.push(now);
        };
        change(&|| fs::write(root.join("sub/a"), "two").unwrap());
        change(&|| fs::rename(root.join("sub/a"), root.join("sub/b")).unwrap());
        change(&|| fs::set_permissions(root.join("sub/b"), fs::Permissions::from_mode(0o755)).unwrap());
        change(&|| symlink("b", root.join("sub/c")).unwrap());
        let before = hash(root);
        fs::create_dir(root.join("out")).unwrap();
        fs::write(root.join("out/x"), "result").unwrap();
        assert_eq!(hash(root), before);
    }

    #[test]
    fn records_do_not_run_together() {
        let one = TreeHash::default().text("ab", "c").finish();
        let other = TreeHash::default().text("a", "bc").finish();
        assert_ne!(one, other);
    }
}
