//! All tokens that are valid now, wherever they came from.

use super::{Digest, Secret, Store, StoreError, provided::Provided, store::Stored};
use crate::plain_text::is_plain;
use api::rest::{NewToken, Role, Token};
use std::sync::{Arc, PoisonError, RwLock};
use subtle::{Choice, ConditionallySelectable};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// More tokens than any household has; it bounds the file and the time of a comparison.
const MOST: usize = 1000;

/// What a valid token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The token's id.
    pub(crate) id: String,
    /// What it may do.
    pub(crate) role: Role,
}

/// Why tokens were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BookError {
    /// The name cannot be shown.
    #[error("\"name\" must have 1 to 64 characters, none of them a control character")]
    Name,
    /// The store is full.
    #[error("there are {MOST} tokens already; revoke some")]
    Full,
    /// No token has this id.
    #[error("no token has the id \"{0}\"; the list of tokens shows those that there are")]
    Unknown(String),
    /// The token was not made here.
    #[error(
        "the token \"{0}\" was provided from outside: remove its line from token-hashes on the CONFIG partition, or from the credential hearth.token-hashes, and restart"
    )]
    Provided(String),
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel gave no randomness, or the clock is beyond the calendar.
    #[error("cannot make a token: {0}")]
    Make(String),
    /// The thread that wrote ended early.
    #[error("the thread that writes tokens failed: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

#[derive(Clone)]
struct Entry {
    digest: Digest,
    provided: bool,
    token: Token,
}

impl From<&Stored> for Entry {
    fn from(stored: &Stored) -> Self {
        Self {
            digest: stored.sha256,
            provided: false,
            token: stored.public(),
        }
    }
}

impl From<&Provided> for Entry {
    fn from(provided: &Provided) -> Self {
        // From its hash, so that the id stays the same over restarts. Eight digits tell nothing of the text.
        let id = format!("provided-{:.8}", provided.digest.to_string());
        let token = Token {
            id,
            name: provided.name.clone(),
            role: provided.role,
            created: None,
        };
        Self {
            digest: provided.digest,
            provided: true,
            token,
        }
    }
}

/// The valid tokens. Looking one up waits for no writer: writing goes on beside it, on a thread of its own.
pub(crate) struct Book {
    entries: Arc<RwLock<Arc<[Entry]>>>,
    provided: Arc<[Provided]>,
    store: Arc<tokio::sync::Mutex<Store>>,
}

impl Book {
    /// The tokens of a store and those provided from outside.
    pub(crate) fn new(store: Store, provided: Vec<Provided>) -> Self {
        let entries = entries(&store, &provided);
        Self {
            entries: Arc::new(RwLock::new(entries)),
            provided: provided.into(),
            store: Arc::new(tokio::sync::Mutex::new(store)),
        }
    }

    /// What the token with this digest may do. All are compared, each in constant time.
    pub(crate) fn verify(&self, digest: &Digest) -> Option<Grant> {
        let entries = self.snapshot();
        let (mut found, mut place) = (Choice::from(0), 0u32);
        for (index, entry) in (0u32..).zip(entries.iter()) {
            let matches = entry.digest.matches(digest);
            place.conditional_assign(&index, matches);
            found |= matches;
        }
        let entry = bool::from(found).then(|| entries.get(place as usize)).flatten()?;
        Some(Grant {
            id: entry.token.id.clone(),
            role: entry.token.role,
        })
    }

    /// What may be told of each token: those provided first, then those made here, oldest first.
    pub(crate) fn list(&self) -> Vec<Token> {
        self.snapshot().iter().map(|entry| entry.token.clone()).collect()
    }

    /// Makes a token and keeps it.
    pub(crate) async fn create(
        &self,
        new: NewToken,
        now: OffsetDateTime,
    ) -> Result<(Secret, Token), BookError> {
        if self.snapshot().len() >= MOST {
            return Err(BookError::Full);
        }
        let (secret, stored) = make(new, now)?;
        let token = stored.public();
        self.change(move |store| store.add(stored)).await?;
        Ok((secret, token))
    }

    /// Makes a token invalid from now on.
    pub(crate) async fn revoke(&self, id: &str) -> Result<Token, BookError> {
        if self
            .snapshot()
            .iter()
            .any(|entry| entry.provided && entry.token.id == id)
        {
            return Err(BookError::Provided(id.to_owned()));
        }
        let wanted = id.to_owned();
        let gone = self.change(move |store| store.remove(&wanted)).await?;
        gone.map(|stored| stored.public())
            .ok_or_else(|| BookError::Unknown(id.to_owned()))
    }

    /// Waiting for the disk happens off the event loop, lest every running answer wait with it; and it ends also
    /// when the client that asked for it has gone, so that memory and disk never disagree.
    async fn change<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, BookError> {
        let mut store = self.store.clone().lock_owned().await;
        let (shared, provided) = (self.entries.clone(), self.provided.clone());
        let changed = tokio::task::spawn_blocking(move || {
            let outcome = action(&mut store)?;
            *shared.write().unwrap_or_else(PoisonError::into_inner) = entries(&store, &provided);
            Ok::<_, StoreError>(outcome)
        });
        Ok(changed.await??)
    }

    fn snapshot(&self) -> Arc<[Entry]> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn entries(store: &Store, provided: &[Provided]) -> Arc<[Entry]> {
    provided
        .iter()
        .map(Entry::from)
        .chain(store.tokens().iter().map(Entry::from))
        .collect()
}

/// A fresh secret and what is kept of it.
pub(crate) fn make(new: NewToken, now: OffsetDateTime) -> Result<(Secret, Stored), BookError> {
    let length = new.name.chars().count();
    if !(1..=64).contains(&length) || !new.name.chars().all(is_plain) {
        return Err(BookError::Name);
    }
    let unable = |error: &dyn std::fmt::Display| BookError::Make(error.to_string());
    let secret = Secret::generate().map_err(|error| unable(&error))?;
    let id = getrandom::u64().map_err(|error| unable(&error))?;
    let now = now.replace_nanosecond(0).map_err(|error| unable(&error))?;
    let stored = Stored {
        id: format!("{:012x}", id >> 16),
        name: new.name,
        role: new.role,
        created: now.format(&Rfc3339).map_err(|error| unable(&error))?,
        sha256: secret.digest(),
    };
    Ok((secret, stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(folder: &std::path::Path) -> Book {
        let provided = Provided {
            digest: Digest::of(b"outside"),
            role: Role::Read,
            name: "desk".to_owned(),
        };
        Book::new(Store::open(folder).unwrap(), vec![provided])
    }

    fn named(name: &str) -> NewToken {
        NewToken {
            name: name.to_owned(),
            role: Role::Chat,
        }
    }

    #[tokio::test]
    async fn a_token_is_valid_from_its_making_to_its_revoking() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(folder.path());
        let (secret, token) = book
            .create(named("laptop"), OffsetDateTime::UNIX_EPOCH)
            .await
            .unwrap();
        assert_eq!(token.created.as_deref(), Some("1970-01-01T00:00:00Z"));
        let digest = secret.digest();
        assert_eq!(
            book.verify(&digest),
            Some(Grant {
                id: token.id.clone(),
                role: Role::Chat
            })
        );
        assert_eq!(book.list().len(), 2);
        assert_eq!(book.revoke(&token.id).await.unwrap(), token);
        assert_eq!(book.verify(&digest), None);
        assert!(matches!(book.revoke(&token.id).await, Err(BookError::Unknown(_))));
    }

    #[tokio::test]
    async fn a_provided_token_is_valid_and_cannot_be_revoked_here() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(folder.path());
        let grant = book.verify(&Digest::of(b"outside")).unwrap();
        assert_eq!(grant.role, Role::Read);
        assert!(matches!(
            book.revoke(&grant.id).await,
            Err(BookError::Provided(_))
        ));
        assert!(book.verify(&Digest::of(b"outside")).is_some());
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_shown_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(folder.path());
        for name in ["", "a\nb", "\u{1b}[2J", &"x".repeat(65)] {
            let refused = book.create(named(name), OffsetDateTime::UNIX_EPOCH).await;
            assert!(matches!(refused, Err(BookError::Name)), "{name:?}");
        }
        assert_eq!(book.list().len(), 1);
    }
}
