//! What tells a file from another of the same name and size, without reading all of it.

use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Bytes at the beginning and at the end that are looked at: in a GGUF file what the model is, and the last of its weights.
const END: u64 = 64 << 10;

/// A file as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    modified: SystemTime,
    /// SHA-256 of its ends.
    ends: [u8; 32],
}

impl Identity {
    /// Of the file at a path.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut digest = Sha256::new();
        for begin in [0, metadata.len().saturating_sub(END)] {
            let mut bytes = vec![0; END.min(metadata.len()) as usize];
            file.read_exact_at(&mut bytes, begin)?;
            digest.update(bytes);
        }
        Ok(Self {
            modified: metadata.modified()?,
            ends: digest.finalize().into(),
        })
    }

    /// Whether nobody has written to it since, as far as its time tells.
    pub(crate) fn may_be_of(&self, file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.modified()? == self.modified)
    }

    /// The milliseconds from 1970 to when it was changed last, and the digest.
    pub(crate) fn text(&self) -> String {
        let since = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let digits = self.ends.iter().map(|byte| format!("{byte:02x}"));
        format!("{}-{}", since.as_millis(), digits.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, time::Duration};

    /// A file of such bytes, changed last at such a second.
    fn file(bytes: &[u8], second: u64) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(second);
        file.as_file().set_modified(time).unwrap();
        file
    }

    #[test]
    fn files_of_one_size_are_told_apart_by_their_ends_and_by_their_time() {
        let of = |bytes: &[u8], second| Identity::of(file(bytes, second).path()).unwrap().text();
        let mut bytes = vec![0; 3 * END as usize];
        let whole = of(&bytes, 5);
        assert!(whole.starts_with("5000-"), "{whole}");
        assert_eq!(of(&bytes, 5), whole);
        assert_ne!(of(&bytes, 6), whole);
        *bytes.last_mut().unwrap() = 1;
        assert_ne!(of(&bytes, 5), whole);
        assert_ne!(of(b"GGUF", 5), of(b"", 5), "also shorter ones than their ends");
    }

    #[test]
    fn who_writes_to_it_meanwhile_is_noticed() {
        let file = file(b"GGUF", 5);
        let identity = Identity::of(file.path()).unwrap();
        assert!(identity.may_be_of(file.as_file()).unwrap());
        file.as_file()
            .set_modified(UNIX_EPOCH + Duration::from_secs(6))
            .unwrap();
        assert!(!identity.may_be_of(file.as_file()).unwrap());
    }
}
