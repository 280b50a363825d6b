//! The tokens that were made here, in `tokens.json`.
//!
//! One process writes it: whoever holds the lock on `tokens.lock` beside it. The daemon holds it as long as it runs,
//! so that `gateway first-token` either comes before it or is told to ask the daemon.

use super::Digest;
use crate::state_file::{self, belong_to_owner, private};
use api::rest::{Role, Token};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

const FILE: &str = "tokens.json";
const LOCK: &str = "tokens.lock";
const VERSION: u32 = 1;

/// The file could not be read, believed or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The file is not what this program writes. It is left as it is.
    #[error("{path}:{line}:{column}: {problem}; repair the file, or move it away to begin with no tokens")]
    Damaged {
        path: PathBuf,
        line: usize,
        column: usize,
        problem: String,
    },
    /// A newer program wrote it.
    #[error("{path}: version {found} is not version {VERSION}, which this program reads")]
    Version { path: PathBuf, found: u32 },
    /// Another process holds the lock.
    #[error("{path}: the gateway is running and alone may change tokens; use \"hearth token new\"")]
    Locked { path: PathBuf },
    /// The file system said no. The text tells the cause, as clients are shown it too; as a `source` a log would tell
    /// it twice.
    #[error("cannot {action} {path}: {cause}")]
    Io {
        action: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
}

/// A token that was made here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    /// For revoking it.
    pub(crate) id: String,
    /// For people.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) role: Role,
    /// When it was made, RFC 3339.
    pub(crate) created: String,
    /// SHA-256 of its text.
    pub(crate) sha256: Digest,
}

impl Stored {
    /// What may be told of it.
    pub(crate) fn public(&self) -> Token {
        Token {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
            created: Some(self.created.clone()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    tokens: Vec<Stored>,
}

/// The tokens in a state folder; a file that is not there holds none.
pub(crate) fn read(folder: &Path) -> Result<Vec<Stored>, StoreError> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(StoreError::Io {
            action: "read",
            path,
            cause,
        }),
    }
}

fn parse(text: &str, path: &Path) -> Result<Vec<Stored>, StoreError> {
    let contents: Contents = serde_json::from_str(text).map_err(|error| StoreError::Damaged {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        problem: error.to_string(),
    })?;
    if contents.version != VERSION {
        return Err(StoreError::Version {
            path: path.to_owned(),
            found: contents.version,
        });
    }
    Ok(contents.tokens)
}

/// The right to change the tokens of a state folder, and what they are now.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    tokens: Vec<Stored>,
    _lock: File,
}

impl Store {
    /// Takes the lock and reads the tokens. The folder must exist.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = lock(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            tokens: read(folder)?,
            _lock: lock,
        })
    }

    /// The tokens, oldest first.
    pub(crate) fn tokens(&self) -> &[Stored] {
        &self.tokens
    }

    /// Keeps a token. On an error nothing has changed.
    pub(crate) fn add(&mut self, token: Stored) -> Result<(), StoreError> {
        let mut tokens = self.tokens.clone();
        tokens.push(token);
        self.replace(tokens)
    }

    /// Forgets a token. On an error nothing has changed.
    pub(crate) fn remove(&mut self, id: &str) -> Result<Option<Stored>, StoreError> {
        let (gone, kept): (Vec<_>, Vec<_>) = self.tokens.iter().cloned().partition(|token| token.id == id);
        if !gone.is_empty() {
            self.replace(kept)?;
        }
        Ok(gone.into_iter().next())
    }

    fn replace(&mut self, tokens: Vec<Stored>) -> Result<(), StoreError> {
        let contents = Contents {
            version: VERSION,
            tokens,
        };
        let path = self.folder.join(FILE);
        write(&path, &contents).map_err(|cause| StoreError::Io {
            action: "write",
            path,
            cause,
        })?;
        self.tokens = contents.tokens;
        Ok(())
    }
}

fn write(path: &Path, contents: &Contents) -> io::Result<()> {
    let mut json = serde_json::to_vec_pretty(contents)?;
    json.push(b'\n');
    state_file::replace(path, &json)
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let io = |action| {
        let path = path.clone();
        move |cause| StoreError::Io { action, path, cause }
    };
    let file = private(false).open(&path).map_err(io("create"))?;
    belong_to_owner(&file, folder).map_err(io("change the owner of"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(TryLockError::Error(cause)) => Err(StoreError::Io {
            action: "lock",
            path,
            cause,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn token(id: &str) -> Stored {
        Stored {
            id: id.to_owned(),
            name: "laptop".to_owned(),
            role: Role::Chat,
            created: "2026-01-01T00:00:00Z".to_owned(),
            sha256: Digest::of(id.as_bytes()),
        }
    }

    #[test]
    fn tokens_survive_a_restart_and_only_their_owner_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        store.add(token("a")).unwrap();
        store.add(token("b")).unwrap();
        assert_eq!(store.remove("a").unwrap(), Some(token("a")));
        assert_eq!(store.remove("a").unwrap(), None);
        drop(store);
        assert_eq!(read(folder.path()).unwrap(), [token("b")]);
        let mode = fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!folder.path().join("tokens.json.new").exists());
    }

    #[test]
    fn a_damaged_file_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let texts = [
            "{\"version\":1,\n\"tokens\":[],\n\"extra\":1}",
            "{\"version\":1,\n\n\"tok",
            "{\n\n}",
        ];
        for text in texts {
            fs::write(&path, text).unwrap();
            let error = Store::open(folder.path()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}:3:", path.display())), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_later_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), r#"{"version":2,"tokens":[]}"#).unwrap();
        assert!(matches!(
            read(folder.path()),
            Err(StoreError::Version { found: 2, .. })
        ));
    }

    #[test]
    fn one_process_writes_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path()).unwrap();
        assert!(matches!(
            Store::open(folder.path()),
            Err(StoreError::Locked { .. })
        ));
        drop(first);
        Store::open(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_once() {
        let error = anyhow::Error::from(Store::open(Path::new("/nonexistent")).unwrap_err());
        let told = format!("{error:#}");
        assert_eq!(told.matches("No such file").count(), 1, "{told}");
    }

    #[test]
    fn a_write_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        store.add(token("a")).unwrap();
        // A folder in the temporary file's place makes opening it fail, for root as well.
        fs::create_dir(folder.path().join("tokens.json.new")).unwrap();
        assert!(store.add(token("b")).is_err());
        assert_eq!(store.tokens(), [token("a")]);
        assert_eq!(read(folder.path()).unwrap(), [token("a")]);
    }
}
