//! Where the files of a model lie while it is packed: unnamed files on the store's file system, which are gone with the
//! process, however that ends.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use api::import::{NewFile, Refused, RefusedKind};
use api::models::MOST_FILES;
use nix::sys::statvfs::statvfs;

use super::wire::{Chunks, refused};

/// What stays free of a disk, whatever comes.
const RESERVE: u64 = 64 << 20;
/// No model is larger: as much as a manifest can hold.
const LARGEST: u64 = 4 << 40;
/// Bytes that are written at once.
const PIECE: usize = 1 << 20;

/// Files that were received, in their order, with the names for messages.
#[derive(Debug)]
pub(super) struct Spool {
    files: Vec<(PathBuf, File)>,
}

/// How many bytes may be received on a disk with that much room: while a model is packed it is there twice. Refused
/// early if more is announced.
pub(super) fn room(free: u64, folder: &Path, files: &[NewFile]) -> Result<u64, Refused> {
    let announced = announced(files).map_err(|problem| refused(RefusedKind::Invalid, problem))?;
    let room = (free.saturating_sub(RESERVE) / 2).min(LARGEST);
    if announced > room || room == 0 {
        return Err(no_space(announced, free, folder));
    }
    Ok(room)
}

/// Bytes that are free on the file system that the folder is on.
pub(super) fn free(folder: &Path) -> Result<u64, Refused> {
    let told = statvfs(folder).map_err(|error| {
        let problem = format!("cannot tell how much room {} has: {error}", folder.display());
        refused(RefusedKind::Failed, problem)
    })?;
    Ok(told.blocks_available().saturating_mul(told.fragment_size()))
}

fn no_space(bytes: u64, free: u64, folder: &Path) -> Refused {
    let message = format!(
        "there is not enough room: a file of {} needs {} on the disk while it is packed, and {} has {} free; remove a model",
        megabytes(bytes),
        megabytes(bytes.saturating_mul(2).saturating_add(RESERVE)),
        folder.display(),
        megabytes(free),
    );
    refused(RefusedKind::NoSpace, message)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// The sum of the announced sizes; the only file's may be unknown.
fn announced(files: &[NewFile]) -> Result<u64, String> {
    if !(1..=MOST_FILES).contains(&files.len()) {
        return Err(format!(
            "a model is of 1 to {MOST_FILES} files, not {}",
            files.len()
        ));
    }
    let mut sum = 0_u64;
    for file in files {
        check_name(&file.name)?;
        sum = sum.saturating_add(match file.bytes {
            Some(bytes) => bytes,
            None if files.len() == 1 => 0,
            None => return Err(format!("{}: of several files all sizes are wanted", file.name)),
        });
    }
    if sum > LARGEST {
        return Err(format!("no model has {sum} bytes; {LARGEST} are the most"));
    }
    Ok(sum)
}

/// The name of a file is for messages and the manifest, and opens nothing.
fn check_name(name: &str) -> Result<(), String> {
    let sound = (1..=255).contains(&name.len()) && !name.chars().any(|c| c == '/' || c.is_control());
    sound
        .then_some(())
        .ok_or_else(|| format!("{name:?} cannot be a file's name without folders"))
}

impl Spool {
    /// Receives all files into the folder, at most `room` bytes of one whose size is not known.
    pub(super) fn receive(
        input: impl Read,
        files: &[NewFile],
        folder: &Path,
        room: u64,
    ) -> Result<Self, Refused> {
        let mut chunks = Chunks::new(input);
        let mut received = Vec::new();
        for file in files {
            let mut spooled = tempfile::tempfile_in(folder).map_err(|error| written(&error, folder))?;
            let came = copy(
                &mut (&mut chunks).take(file.bytes.unwrap_or(room)),
                &mut spooled,
                folder,
            )?;
            if let Some(bytes) = file.bytes.filter(|&bytes| bytes != came) {
                let problem = format!("{}: {bytes} bytes were announced, and {came} came", file.name);
                return Err(refused(RefusedKind::Invalid, problem));
            }
            spooled.rewind().map_err(|error| written(&error, folder))?;
            received.push((PathBuf::from(&file.name), spooled));
        }
        if chunks.at_end().map_err(|error| broken(&error))? {
            return Ok(Self { files: received });
        }
        Err(match files {
            [NewFile { bytes: None, .. }] => no_space(room, free(folder)?, folder),
            _ => refused(RefusedKind::Invalid, "more bytes came than were announced"),
        })
    }

    /// The files, for whoever reads them.
    pub(super) fn files(&self) -> Result<Vec<(PathBuf, File)>, Refused> {
        let clones = self
            .files
            .iter()
            .map(|(name, file)| Ok((name.clone(), file.try_clone()?)));
        clones.collect::<std::io::Result<_>>().map_err(|error| {
            refused(
                RefusedKind::Failed,
                format!("cannot read what was received: {error}"),
            )
        })
    }

    /// Takes the files away from whoever reads them, whose next read fails.
    pub(super) fn discard(&self) {
        for (name, file) in &self.files {
            if let Err(error) = file.set_len(0) {
                tracing::error!("{} cannot be discarded: {error}", name.display());
            }
        }
    }
}

fn copy(from: &mut impl Read, to: &mut File, folder: &Path) -> Result<u64, Refused> {
    let (mut buffer, mut came) = (vec![0; PIECE], 0);
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(came),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(&error)),
        };
        to.write_all(&buffer[..read])
            .map_err(|error| written(&error, folder))?;
        came += read as u64;
    }
}

fn broken(error: &std::io::Error) -> Refused {
    refused(RefusedKind::Invalid, format!("the files broke off: {error}"))
}

fn written(error: &std::io::Error, folder: &Path) -> Refused {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let kind = match error.kind() {
        StorageFull | QuotaExceeded => RefusedKind::NoSpace,
        _ => RefusedKind::Failed,
    };
    refused(kind, format!("cannot write into {}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: impl Into<Option<u64>>) -> NewFile {
        NewFile {
            name: name.to_owned(),
            bytes: bytes.into(),
        }
    }

    fn kind(free: u64, files: &[NewFile]) -> Result<u64, RefusedKind> {
        room(free, Path::new("/store"), files).map_err(|refused| refused.kind)
    }

    #[test]
    fn what_does_not_fit_twice_is_refused_before_it_comes() {
        let free = RESERVE + 1000;
        assert_eq!(kind(free, &[file("a", 500)]), Ok(500));
        assert_eq!(kind(free, &[file("a", None)]), Ok(500));
        assert_eq!(kind(free, &[file("a", 501)]), Err(RefusedKind::NoSpace));
        assert_eq!(
            kind(free, &[file("a", 300), file("b", 300)]),
            Err(RefusedKind::NoSpace)
        );
        assert_eq!(kind(RESERVE, &[file("a", None)]), Err(RefusedKind::NoSpace));
    }

    #[test]
    fn what_no_model_is_made_of_is_refused_whatever_the_disk() {
        for files in [
            vec![],
            vec![file("a", LARGEST + 1)],
            vec![file("a", u64::MAX), file("b", u64::MAX)],
            vec![file("a", 1), file("b", None)],
            vec![file("../a", 1)],
            vec![file("", 1)],
            vec![file("a\u{1b}[2J", 1)],
            vec![file("a", 1); MOST_FILES + 1],
        ] {
            assert_eq!(kind(u64::MAX, &files), Err(RefusedKind::Invalid), "{files:?}");
        }
    }

    #[test]
    fn files_must_be_as_long_as_announced() {
        let folder = tempfile::tempdir().unwrap();
        let receive = |bytes: &[u8], files: &[NewFile]| {
            let mut stream = (bytes.len() as u32).to_le_bytes().to_vec();
            stream.extend(bytes);
            stream.extend([0; 4]);
            Spool::receive(stream.as_slice(), files, folder.path(), 5)
        };
        let two = receive(b"abcde", &[file("x", 2), file("y", 3)]).unwrap();
        let lengths = two.files.iter().map(|(_, file)| file.metadata().unwrap().len());
        assert_eq!(lengths.collect::<Vec<_>>(), [2, 3]);
        for (bytes, files, words) in [
            (b"abcde".as_slice(), [file("x", 4)], "more bytes came"),
            (b"abc", [file("x", 4)], "4 bytes were announced, and 3 came"),
            (b"abcdef", [file("x", None)], "not enough room"),
        ] {
            let message = receive(bytes, &files).unwrap_err().message;
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
