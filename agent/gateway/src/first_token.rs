//! `gateway first-token`: how the first person gets in.
//!
//! It runs before the daemon. If it finds the daemon running and no token, it says so instead of changing the file
//! under it: the daemon reads the store once, when it starts.

use crate::{
    serve::provided,
    tokens::{self, Store, read_store},
};
use anyhow::Context;
use api::rest::{NewToken, Role};
use std::path::Path;
use time::OffsetDateTime;

/// Makes a token for administration, unless there is any token already.
pub(crate) fn first_token(
    state: &Path,
    hashes: Option<&Path>,
    now: OffsetDateTime,
) -> anyhow::Result<Option<tokens::Secret>> {
    let provided = hashes.map(provided).transpose()?.unwrap_or_default();
    if !provided.is_empty() || !read_store(state)?.is_empty() {
        return Ok(None);
    }
    let mut store = Store::open(state).context("cannot open the store of tokens")?;
    let new = NewToken {
        name: "first".to_owned(),
        role: Role::Admin,
    };
    let (secret, stored) = tokens::make(new, now)?;
    store.add(stored)?;
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_first_token() {
        let folder = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::UNIX_EPOCH;
        let secret = first_token(folder.path(), None, now).unwrap().unwrap();
        let kept = read_store(folder.path()).unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].role, kept[0].sha256), (Role::Admin, secret.digest()));
        assert!(first_token(folder.path(), None, now).unwrap().is_none());
    }

    #[test]
    fn a_provided_token_makes_it_superfluous_and_a_bad_line_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let hashes = folder.path().join("token-hashes");
        std::fs::write(&hashes, format!("sha256:{}\n", "0".repeat(64))).unwrap();
        assert!(
            first_token(folder.path(), Some(&hashes), OffsetDateTime::UNIX_EPOCH)
                .unwrap()
                .is_none()
        );
        std::fs::write(&hashes, "sha256:00\n").unwrap();
        assert!(
            first_token(folder.path(), Some(&hashes), OffsetDateTime::UNIX_EPOCH)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn it_does_not_write_under_a_running_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let _daemon = Store::open(folder.path()).unwrap();
        let error = first_token(folder.path(), None, OffsetDateTime::UNIX_EPOCH)
            .err()
            .unwrap();
        assert!(format!("{error:#}").contains("hearth token new"), "{error:#}");
    }
}
