//! `gateway first-token`: how the first person gets in.
//!
//! It runs before the daemon. If it finds the daemon running and no token, it says so instead of changing the file
//! under it: the daemon reads the store once, when it starts. A token that could not be shown is forgotten again, as
//! else nobody would know it and the next run would make none.

use crate::{
    serve::provided,
    tokens::{self, Store, read_store},
};
use anyhow::Context;
use api::rest::{NewToken, Role};
use std::{
    io,
    path::{Path, PathBuf},
};
use time::OffsetDateTime;

/// Makes a token for administration and shows it, unless there is any token already.
pub(crate) fn first_token(
    state: &Path,
    hashes: &[PathBuf],
    now: OffsetDateTime,
    show: impl FnOnce(tokens::Secret) -> io::Result<()>,
) -> anyhow::Result<()> {
    let provided = provided(hashes)?;
    if !provided.is_empty() || !read_store(state)?.is_empty() {
        return Ok(());
    }
    let mut store = Store::open(state).context("cannot open the store of tokens")?;
    // Another may have made one between the reading and the lock.
    if !store.tokens().is_empty() {
        return Ok(());
    }
    let new = NewToken {
        name: "first".to_owned(),
        role: Role::Admin,
    };
    let (secret, stored) = tokens::make(new, now)?;
    let id = stored.id.clone();
    store.add(stored)?;
    if let Err(error) = show(secret) {
        store.remove(&id)?;
        return Err(error).context("cannot show the token, which is therefore forgotten again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Digest;

    /// The token's digest, if one was made and shown.
    fn made(state: &Path, hashes: &[PathBuf]) -> anyhow::Result<Option<Digest>> {
        let mut shown = None;
        first_token(state, hashes, OffsetDateTime::UNIX_EPOCH, |secret| {
            shown = Some(secret.digest());
            Ok(())
        })?;
        Ok(shown)
    }

    #[test]
    fn there_is_one_first_token() {
        let folder = tempfile::tempdir().unwrap();
        let digest = made(folder.path(), &[]).unwrap().unwrap();
        let kept = read_store(folder.path()).unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].role, kept[0].sha256), (Role::Admin, digest));
        assert_eq!(made(folder.path(), &[]).unwrap(), None);
    }

    #[test]
    fn one_that_could_not_be_shown_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let broken = |_| Err(io::ErrorKind::BrokenPipe.into());
        let error = first_token(folder.path(), &[], OffsetDateTime::UNIX_EPOCH, broken).unwrap_err();
        assert!(error.to_string().contains("cannot show"), "{error}");
        assert!(made(folder.path(), &[]).unwrap().is_some());
    }

    #[test]
    fn a_provided_token_makes_it_superfluous_and_a_bad_line_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let hashes = ["token-hashes", "setup-hashes"].map(|name| folder.path().join(name));
        for file in &hashes {
            std::fs::write(&hashes[0], "\n").unwrap();
            std::fs::write(&hashes[1], "\n").unwrap();
            std::fs::write(file, format!("sha256:{}\n", "0".repeat(64))).unwrap();
            assert_eq!(made(folder.path(), &hashes).unwrap(), None, "{}", file.display());
        }
        std::fs::write(&hashes[1], "sha256:00\n").unwrap();
        assert!(made(folder.path(), &hashes).unwrap().is_some());
    }

    #[test]
    fn it_does_not_write_under_a_running_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let _daemon = Store::open(folder.path()).unwrap();
        let error = made(folder.path(), &[]).unwrap_err();
        assert!(format!("{error:#}").contains("hearth token new"), "{error:#}");
    }
}
