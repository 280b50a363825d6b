//! Putting files into the `CONFIG` partition's FAT file system, in memory, before it is written.

use std::io::{Cursor, ErrorKind, Read, Write};

use fatfs::{FileSystem, FsOptions};

use super::access::Access;

/// Writes the files of `access` into the file system `fat`, replacing those of the same name.
pub(super) fn fill(fat: &mut Vec<u8>, access: &Access) -> std::io::Result<()> {
    let files = [
        ("authorized_keys", &access.authorized_keys),
        ("token-hashes", &access.token_hashes),
        (setup::file::NAME, &access.settings),
    ];
    let system = FileSystem::new(Cursor::new(fat), FsOptions::new())?;
    for (name, text) in files.into_iter().filter(|(_, text)| !text.is_empty()) {
        let mut file = system.root_dir().create_file(name)?;
        file.truncate()?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
    }
    system.unmount()
}

/// Reads a file of the file system `fat`; none if there is no such file.
pub(super) fn read(fat: Vec<u8>, name: &str) -> std::io::Result<Option<String>> {
    let system = FileSystem::new(Cursor::new(fat), FsOptions::new())?;
    let mut text = String::new();
    match system.root_dir().open_file(name) {
        Ok(mut file) => file.read_to_string(&mut text).map(|_| Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes and reads file systems for tests.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// An empty FAT file system.
    pub(in crate::flash) fn fat(bytes: usize) -> Vec<u8> {
        let mut fat = vec![0; bytes];
        fatfs::format_volume(Cursor::new(&mut fat), fatfs::FormatVolumeOptions::new()).unwrap();
        fat
    }

    /// A file's contents, if it is there.
    pub(in crate::flash) fn read(fat: &[u8], name: &str) -> Option<String> {
        super::read(fat.to_vec(), name).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_put_and_replaced() {
        let mut fat = testing::fat(1 << 20);
        let long = Access {
            authorized_keys: "ssh-ed25519 AAAA\n".repeat(400),
            token_hashes: "sha256:00\n".into(),
            settings: "hostname = \"kitchen\"\n".into(),
        };
        fill(&mut fat, &long).unwrap();
        assert_eq!(
            testing::read(&fat, "authorized_keys").unwrap(),
            long.authorized_keys
        );
        assert_eq!(testing::read(&fat, "hearth.toml").unwrap(), long.settings);
        let short = Access {
            authorized_keys: "ssh-rsa B\n".into(),
            ..Access::default()
        };
        fill(&mut fat, &short).unwrap();
        assert_eq!(testing::read(&fat, "authorized_keys").unwrap(), "ssh-rsa B\n");
        assert_eq!(
            testing::read(&fat, "token-hashes").unwrap(),
            "sha256:00\n",
            "an empty one leaves what is there"
        );
    }

    #[test]
    fn what_is_no_file_system_is_an_error() {
        assert!(fill(&mut vec![0; 1 << 20], &Access::default()).is_err());
    }
}
