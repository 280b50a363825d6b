//! The folder of parked sessions: `<model>-<tokens>.kv`, written under another name and renamed when they are whole.
//!
//! It may be lost, or damaged, without harm: a file ends with its hash, and what cannot be read is computed again. So when
//! its bytes reach the disk is left to the kernel: to wait for that would keep those waiting who want another session.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use kernels::kv::{KvBlock, KvKind};
use store::Hash;

use super::codec::{Codec, Held};
use super::file::{self, FileProblem, Header};

const PARKED: &str = "kv";
const INCOMING: &str = "incoming";

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// A session that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// Names the model.
    pub(crate) root: Hash,
    /// None if the file cannot be read for now.
    pub(crate) header: Option<Header>,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    used: SystemTime,
}

/// Why a file gives no keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It is not there any more.
    Gone,
    /// It takes room on disk, and cannot be read or removed for now.
    Unreadable,
}

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self { path }
    }

    /// The sessions whose keys and values are kept like that, the least recently used first. Files are looked at, not
    /// read: their content is checked when it is used. What is none of them, or was not written to its end, is removed;
    /// other names than this folder's own are left alone.
    pub(crate) fn scan(&self, kind: KvKind) -> Vec<Found> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::warn!(
                    "cannot look for parked sessions in {}: {error}",
                    self.path.display()
                );
                return Vec::new();
            }
        };
        let mut found: Vec<_> = entries
            .filter_map(|entry| match entry {
                Ok(entry) => self.look_at(&entry.path(), kind),
                Err(error) => {
                    let folder = self.path.display();
                    tracing::warn!("cannot look for all parked sessions in {folder}: {error}");
                    None
                }
            })
            .collect();
        found.sort_by_key(|found| found.used);
        found
    }

    fn look_at(&self, path: &Path, kind: KvKind) -> Option<Found> {
        match path.extension()?.to_str()? {
            PARKED => {}
            INCOMING => {
                remove(path);
                return None;
            }
            _ => return None,
        }
        match found(path, kind) {
            Ok(found) => Some(found),
            Err(problem) => match refuse(path, &problem) {
                Loss::Gone => None,
                Loss::Unreadable => unreadable(path),
            },
        }
    }

    /// Writes a session in at most `room` bytes, and tells in how many.
    pub(crate) fn write(
        &self,
        header: &Header,
        blocks: &[Held],
        room: u64,
        pause: impl FnMut(),
    ) -> io::Result<u64> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let path = self.path.join(header.name());
        let incoming = path.with_extension(INCOMING);
        let written = write_file(&incoming, |file| file::write(header, blocks, room, file, pause));
        let named = written.and_then(|bytes| fs::rename(&incoming, &path).map(|()| bytes));
        named.inspect_err(|_| {
            // There may be none. One that stays is removed by the next scan: the first error is the one to tell.
            fs::remove_file(&incoming).ok();
        })
    }

    /// Reads the first `length` tokens' keys and values of a session. If they cannot be had, the file is gone, or left to
    /// the next process for as long as there is room for it.
    /// After each block `beat` is called.
    pub(crate) fn read(
        &self,
        header: &Header,
        length: usize,
        codec: &mut Codec,
        beat: impl FnMut(),
    ) -> Result<Vec<Arc<KvBlock>>, Loss> {
        let path = self.path.join(header.name());
        read_file(&path, header, length, codec, beat).map_err(|problem| refuse(&path, &problem))
    }

    /// Removes a session.
    pub(crate) fn remove(&self, name: &str) {
        remove(&self.path.join(name));
    }
}

fn found(path: &Path, kind: KvKind) -> Result<Found, FileProblem> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let header = Header::read(&mut BufReader::new(file))?;
    if path.file_name().and_then(|name| name.to_str()) != Some(&header.name()) {
        return Err(FileProblem::Name);
    }
    if header.shape.kind() != kind {
        return Err(FileProblem::Foreign);
    }
    Ok(Found {
        name: header.name(),
        root: header.root,
        header: Some(header),
        bytes: metadata.len(),
        used: metadata.modified()?,
    })
}

/// What there is of a file that cannot be read, if it has a session's name.
fn unreadable(path: &Path) -> Option<Found> {
    let name = path.file_name()?.to_str()?;
    let root = name.split_once('-')?.0.parse().ok()?;
    // Where not even that can be had, the first error is the one that was told.
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(Found {
        name: name.to_owned(),
        root,
        header: None,
        bytes: metadata.len(),
        used: metadata.modified().ok()?,
    })
}

fn write_file(path: &Path, write: impl FnOnce(&mut File) -> io::Result<u64>) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let bytes = write(&mut file)?;
    file.flush()?;
    Ok(bytes)
}

fn read_file(
    path: &Path,
    header: &Header,
    length: usize,
    codec: &mut Codec,
    beat: impl FnMut(),
) -> Result<Vec<Arc<KvBlock>>, FileProblem> {
    let file = File::open(path)?;
    // For the order in which files go when the next process looks; whether it can be set changes nothing else.
    let _order = file.set_modified(SystemTime::now());
    file::read(&mut BufReader::new(file), header, length, codec, beat)
}

/// What cannot be read for now may be whole, and stays for the next process.
fn refuse(path: &Path, problem: &FileProblem) -> Loss {
    if let FileProblem::Io(error) = problem {
        tracing::warn!("the parked session {} cannot be read: {error}", path.display());
        return match error.kind() {
            io::ErrorKind::NotFound => Loss::Gone,
            _ => Loss::Unreadable,
        };
    }
    tracing::warn!(
        "the parked session {} is not used: {problem}; it is removed",
        path.display()
    );
    remove(path)
}

/// Whether it is gone then.
fn remove(path: &Path) -> Loss {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("cannot remove {}: {error}", path.display());
            Loss::Unreadable
        }
        _ => Loss::Gone,
    }
}

#[cfg(test)]
mod tests {
    use kernels::kv::KvShape;

    use super::*;

    fn header(first: u32) -> Header {
        Header {
            root: Hash::of(b"model"),
            shape: KvShape::new(1, 1, 32, KvKind::F16).unwrap(),
            tokens: (first..first + 100).collect(),
        }
    }

    fn write(folder: &Folder, header: &Header) -> PathBuf {
        let blocks = [0, 1].map(|_| Held::Raw(Arc::new(KvBlock::new(header.shape))));
        folder.write(header, &blocks, u64::MAX, || {}).unwrap();
        folder.path.join(header.name())
    }

    fn read(folder: &Folder, header: &Header) -> bool {
        folder
            .read(header, 100, &mut Codec::new().unwrap(), || {})
            .is_ok()
    }

    fn names(folder: &Folder) -> Vec<String> {
        let found = folder.scan(KvKind::F16).into_iter();
        found.map(|found| found.name).collect()
    }

    #[test]
    fn sessions_are_found_the_least_recently_used_first() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(&place.path().join("parked"));
        assert!(names(&folder).is_empty(), "there is no folder yet");
        let headers = [1, 2, 3].map(header);
        let paths = headers.each_ref().map(|header| write(&folder, header));
        for (path, seconds) in paths.iter().zip([30, 10, 20]) {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            File::open(path).unwrap().set_modified(time).unwrap();
        }
        let [a, b, c] = headers.each_ref().map(Header::name);
        assert_eq!(names(&folder), [&b[..], &c, &a]);
        assert!(read(&folder, &headers[1]));
        assert_eq!(names(&folder), [&c[..], &a, &b]);
        folder.remove(&c);
        assert_eq!(names(&folder), [&a[..], &b]);
        let bytes = folder.scan(KvKind::F16)[0].bytes;
        assert_eq!(bytes, fs::metadata(&paths[0]).unwrap().len());
    }

    #[test]
    fn what_is_no_session_of_this_engine_is_removed_and_what_is_not_ours_stays() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let good = write(&folder, &header(1));
        let whole = fs::read(&good).unwrap();
        let old = [&whole[..8], &[0], &whole[9..]].concat();
        let renamed = good.with_file_name(header(2).name());
        let bad = [
            (renamed, whole.clone()),
            (good.with_file_name("text.kv"), b"text".to_vec()),
            (good.with_file_name(header(3).name()), whole[..80].to_vec()),
            (good.with_file_name(header(4).name()), old),
            (good.with_file_name("cut-off.incoming"), whole.clone()),
        ];
        for (path, bytes) in &bad {
            fs::write(path, bytes).unwrap();
        }
        // Nobody can open it, be he root.
        let unreadable = good.with_file_name("loop.kv");
        std::os::unix::fs::symlink("loop.kv", &unreadable).unwrap();
        let unread = good.with_file_name(header(5).name());
        std::os::unix::fs::symlink(header(5).name(), &unread).unwrap();
        let found = folder.scan(KvKind::F16);
        let found = found.iter().find(|found| found.header.is_none()).unwrap();
        assert_eq!((&found.name, found.root), (&header(5).name(), header(5).root));
        assert_eq!(found.bytes, found.name.len() as u64);
        folder.remove(&found.name);
        assert!(!unread.is_symlink());
        let others = place.path().join("notes.txt");
        fs::write(&others, "mine").unwrap();
        assert_eq!(names(&folder), [header(1).name()]);
        assert!(bad.iter().all(|(path, _)| !path.exists()));
        assert!(others.exists() && unreadable.is_symlink());
        assert!(folder.scan(KvKind::Q8).is_empty(), "its kind is another");
        assert!(!good.exists());
    }

    #[test]
    fn damage_is_found_when_it_is_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let damages: [fn(&mut Vec<u8>); 3] = [
            |bytes| bytes.truncate(bytes.len() - 1),
            |bytes| *bytes.last_mut().unwrap() ^= 1,
            |bytes| bytes[600] ^= 1,
        ];
        for damage in damages {
            let path = write(&folder, &header(1));
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            assert_eq!(names(&folder).len(), 1);
            assert!(!read(&folder, &header(1)));
            assert!(!path.exists());
        }
        assert!(!read(&folder, &header(1)), "it is gone");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let held = Held::Raw(Arc::new(KvBlock::new(header(1).shape)));
        assert!(folder.write(&header(1), &[held], 700, || {}).is_err());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
