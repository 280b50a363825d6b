//! `ETag` and `If-Match` (RFC 9110, section 13.1.1): who changes what somebody else has changed meanwhile is told so
//! instead of undoing it. Without `If-Match` a change goes over whatever there is.

use crate::refusal::{Kind, Refusal};
use axum::http::{HeaderMap, HeaderName, header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Whose turn it is to change something: from the comparison with what was read until it is changed, nobody else comes in
/// between. What takes long, such as a body that comes slowly, is waited for before.
#[derive(Debug, Default)]
pub(crate) struct Changing {
    /// The power profile.
    pub(crate) power: Mutex<()>,
    /// The temperature to hold.
    pub(crate) thermal: Mutex<()>,
    /// What the engine's unit may have.
    pub(crate) limits: Mutex<()>,
    /// Certificates and plain HTTP.
    pub(crate) tls: Mutex<()>,
    /// The time zone.
    pub(crate) clock: Mutex<()>,
    /// The models on the disk.
    pub(crate) models: Mutex<()>,
    /// Whether everything goes as the machine starts next.
    pub(crate) reset: Arc<Mutex<()>>,
}

/// Most bytes of a tag's digest: what is told apart is a handful of states.
const DIGEST: usize = 8;

/// Names a state: an entity tag without its quotes.
pub(crate) fn tag(state: &impl Serialize) -> Result<String, Refusal> {
    let text = serde_json::to_vec(state).map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?;
    let digest = Sha256::digest(text);
    Ok(digest
        .iter()
        .take(DIGEST)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The header that tells a state's tag.
pub(crate) fn tagged(tag: &str) -> [(HeaderName, String); 1] {
    [(header::ETAG, format!("\"{tag}\""))]
}

/// The tags one of which the state must have; `None`: whichever state there is.
pub(crate) fn wanted(headers: &HeaderMap) -> Result<Option<Vec<String>>, Refusal> {
    let mut tags = Vec::new();
    for value in headers.get_all(header::IF_MATCH) {
        let value = value.to_str().map_err(|_| not_understood())?;
        for tag in value.split(',').map(str::trim) {
            if tag == "*" {
                return Ok(None);
            }
            // A weak tag says nothing of being the same, and so is none that a state has.
            if let Some(tag) = opaque(tag)? {
                tags.push(tag);
            }
        }
    }
    Ok(headers.contains_key(header::IF_MATCH).then_some(tags))
}

/// Refuses what is to be done on another state than there is, which is looked up only if somebody minds.
pub(crate) async fn unchanged<S: Serialize>(
    headers: &HeaderMap,
    state: impl Future<Output = Result<S, Refusal>>,
) -> Result<(), Refusal> {
    let Some(tags) = wanted(headers)? else {
        return Ok(());
    };
    if tags.contains(&tag(&state.await?)?) {
        Ok(())
    } else {
        Err(changed())
    }
}

/// What whoever has read something else is told.
pub(crate) fn changed() -> Refusal {
    Refusal::new(
        Kind::Changed,
        "If-Match: somebody else has changed it meanwhile; read it again",
    )
}

/// What is between the quotes of a strong tag; `None` of a weak one.
fn opaque(tag: &str) -> Result<Option<String>, Refusal> {
    let (weak, quoted) = match tag.strip_prefix("W/") {
        Some(quoted) => (true, quoted),
        None => (false, tag),
    };
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|inner| !inner.contains('"'));
    let inner = inner.ok_or_else(not_understood)?;
    Ok((!weak).then(|| inner.to_owned()))
}

fn not_understood() -> Refusal {
    let detail = "If-Match: wanted is an ETag in its quotes, as an answer had it, or *";
    Refusal::new(Kind::Invalid, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use futures_util::FutureExt;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values.map(|value| (header::IF_MATCH, value)).collect()
    }

    /// What nothing is waited for.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        future.now_or_never().unwrap()
    }

    #[test]
    fn a_state_is_changed_by_who_knows_it_or_does_not_ask() {
        let known = format!("\"{}\"", tag(&1).unwrap()).leak() as &str;
        let check = |headers: &HeaderMap, state: i32| block_on(unchanged(headers, async move { Ok(state) }));
        for values in [&[][..], &["*"], &[known], &["\"a\"", known], &["\"a\" , *"]] {
            assert_eq!(check(&headers(values), 1), Ok(()), "{values:?}");
        }
        let weak = format!("W/{known}").leak() as &str;
        for values in [&["\"a\""][..], &[weak], &["\"a\", \"b\""], &["\"\""]] {
            let refused = check(&headers(values), 1).unwrap_err();
            assert_eq!(refused.kind, Kind::Changed, "{values:?}");
        }
        assert_eq!(check(&headers(&[known]), 2).unwrap_err().kind, Kind::Changed);
    }

    #[test]
    fn what_is_no_tag_is_told_from_another_tag() {
        for value in ["", "a", "\"a", "a\"", "\"", "W/a", "\"a\",", "\"a\"b\""] {
            let refused = wanted(&headers(&[value])).unwrap_err();
            assert_eq!(refused.kind, Kind::Invalid, "{value}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_bytes(b"\"\xff\"").unwrap());
        assert_eq!(wanted(&headers).unwrap_err().kind, Kind::Invalid);
    }
}
