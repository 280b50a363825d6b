//! Files of the state folder: for the daemon's user alone, and found whole whenever the power fails.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

/// Opens a file for writing, making it if it is not there, readable by its owner alone.
pub(crate) fn private(truncate: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(truncate).mode(0o600);
    options
}

/// Gives a file to the folder's owner: root may have run a command, and the daemon must still be able to read what that
/// left.
pub(crate) fn belong_to_owner(file: &File, folder: &Path) -> io::Result<()> {
    let (ours, wanted) = (file.metadata()?, folder.metadata()?);
    if ours.uid() == wanted.uid() {
        return Ok(());
    }
    fchown(file, Some(wanted.uid()), Some(wanted.gid()))
}

/// Puts contents in a file's place. A reader finds either the old file or the new one whole.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let fresh = beside(path, "new");
    let folder = write(&fresh, contents)?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

/// Makes a file that is not there; tells whether it did. Of two that try at the same time one does.
pub(crate) fn create(path: &Path, contents: &[u8]) -> io::Result<bool> {
    let fresh = beside(path, &format!("{}.new", std::process::id()));
    let folder = write(&fresh, contents)?;
    let linked = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh)?;
    match linked {
        Ok(()) => File::open(folder)?.sync_all().map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a file to the disk; tells the folder that it lies in.
fn write<'a>(path: &'a Path, contents: &[u8]) -> io::Result<&'a Path> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = private(true).open(path)?;
    belong_to_owner(&file, folder)?;
    file.write_all(contents)?;
    file.sync_all()?;
    Ok(folder)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        // What lay there may have been readable by all.
        fs::write(&first, "old").unwrap();
        fs::set_permissions(&first, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&first, b"new").unwrap();
        assert!(create(&second, b"new").unwrap());
        for path in [&first, &second] {
            assert_eq!(fs::read_to_string(path).unwrap(), "new");
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_there_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(create(&path, b"first").unwrap());
        assert!(!create(&path, b"second").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
