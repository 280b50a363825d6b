//! Files below a root that is a parameter: read within bounds, replaced as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use setup::render::{self, Content};

/// The longest file of this program's own, in bytes.
const LONGEST: usize = 4 << 20;

/// A folder that stands for `/`.
#[derive(Clone, Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// Below this folder.
    pub(crate) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// Where something lies.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }

    /// A file's bytes, one more than `longest` at the most; none if there is no such file.
    pub(crate) fn read(&self, path: &str, longest: usize) -> Result<Option<Vec<u8>>> {
        read(&self.at(path), longest)
    }

    /// A value of this program's own.
    pub(crate) fn load<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let Some(text) = self.read(path, LONGEST)? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&text);
        value
            .map(Some)
            .with_context(|| format!("{} is not what is written there", self.at(path).display()))
    }

    /// Keeps a value, for root alone.
    pub(crate) fn save(&self, path: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.write(Path::new(path), &text, 0o600)
    }

    /// Brings a file to what it is to be. Returns whether it was something else.
    pub(crate) fn put(&self, file: &render::File) -> Result<bool> {
        let path = self.at(&file.path);
        match &file.content {
            Content::Absent => self.remove(&file.path),
            Content::Text(text, mode) => {
                let is_same = fs::read(&path).is_ok_and(|there| there == text.as_bytes());
                if !is_same {
                    self.write(&file.path, text.as_bytes(), *mode)?;
                }
                Ok(!is_same)
            }
            Content::Link(to) => {
                let is_same = fs::read_link(&path).is_ok_and(|there| there == *to);
                if !is_same {
                    link(&path, to).with_context(|| format!("cannot make {}", path.display()))?;
                }
                Ok(!is_same)
            }
        }
    }

    /// Replaces a file, so that a reader finds the old text or the new one.
    pub(crate) fn write(&self, path: &Path, text: &[u8], mode: u32) -> Result<()> {
        let path = self.at(path);
        replace(&path, text, mode).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes a file. Returns whether there was one.
    pub(crate) fn remove(&self, path: impl AsRef<Path>) -> Result<bool> {
        let path = self.at(path);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
        }
    }

    /// Waits until nobody else has this lock. It is given back when it is dropped.
    pub(crate) fn lock(&self, path: &str) -> Result<File> {
        let path = self.at(path);
        let lock = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&path)?;
            file.lock()?;
            io::Result::Ok(file)
        };
        lock().with_context(|| format!("cannot lock {}", path.display()))
    }
}

/// A file's bytes, one more than `longest` at the most; none if there is no such file.
pub(crate) fn read(path: &Path, longest: usize) -> Result<Option<Vec<u8>>> {
    let read = || {
        let mut bytes = Vec::new();
        // What somebody else has made may be a pipe or a device, which would be waited for.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        file.take(longest as u64 + 1).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn replace(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let fresh = fresh(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&fresh)?;
    // Whatever the mask, and whatever was left there.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

fn link(path: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    let fresh = fresh(path);
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    symlink(to, &fresh)?;
    fs::rename(&fresh, path)
}

/// A name beside it that no reader of the folder takes for its own: not `.network`, `.conf` or `.psk`.
fn fresh(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".fresh");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_comes_to_what_it_is_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path());
        let file = |content| render::File {
            path: "a/b.conf".into(),
            content,
        };
        let secret = file(Content::Text("x\n".to_owned(), 0o600));
        assert!(place.put(&secret).unwrap());
        assert!(!place.put(&secret).unwrap(), "it is so already");
        assert_eq!(mode(&place.at("a/b.conf")), 0o600);
        assert!(place.put(&file(Content::Text("y\n".to_owned(), 0o644))).unwrap());
        assert_eq!(mode(&place.at("a/b.conf")), 0o644);
        assert_eq!(place.read("a/b.conf", 9).unwrap().unwrap(), b"y\n");
        assert!(place.put(&file(Content::Link("/usr/x".into()))).unwrap());
        assert!(!place.put(&file(Content::Link("/usr/x".into()))).unwrap());
        assert_eq!(fs::read_link(place.at("a/b.conf")).unwrap(), Path::new("/usr/x"));
        assert!(place.put(&file(Content::Absent)).unwrap());
        assert!(!place.put(&file(Content::Absent)).unwrap());
        assert_eq!(
            fs::read_dir(place.at("a")).unwrap().count(),
            0,
            "nothing else is left"
        );
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("user-data");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [&pipe, folder.path()] {
            let error = format!("{:#}", read(path, 9).unwrap_err());
            assert!(error.contains("it is no file"), "{error}");
        }
    }

    #[test]
    fn values_are_kept_and_errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path());
        assert_eq!(place.load::<u32>("a.json").unwrap(), None);
        place.save("a.json", &7).unwrap();
        assert_eq!(place.load::<u32>("a.json").unwrap(), Some(7));
        assert_eq!(mode(&place.at("a.json")), 0o600);
        let error = place.load::<String>("a.json").unwrap_err().to_string();
        assert!(error.contains("a.json"), "{error}");
        assert_eq!(
            place.read("a.json", 0).unwrap().unwrap().len(),
            1,
            "one more than was asked for"
        );
    }
}
