//! The `Authorization` header, as it comes from outside.

use crate::tokens::Digest;
use axum::http::{HeaderMap, header};

/// No token of ours is near this long; what is longer is not even hashed.
const LONGEST: usize = 256;

/// Why a request brought no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoBearer {
    /// There is no such header.
    #[error("the request has no Authorization header")]
    Missing,
    /// It is there more than once, so that it is not certain which one counts.
    #[error("the request has more than one Authorization header")]
    Repeated,
    /// Another scheme, or nothing after it.
    #[error("the Authorization header is not of the form \"Bearer hearth_…\"")]
    Malformed,
}

/// The digest of the token that a request's headers carry.
pub(crate) fn of(headers: &HeaderMap) -> Result<Digest, NoBearer> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(NoBearer::Missing),
        (Some(value), None) => parse(value.as_bytes()),
        _ => Err(NoBearer::Repeated),
    }
}

/// The digest of the token that a header's value carries (RFC 6750, section 2.1; the scheme's case does not matter).
fn parse(header: &[u8]) -> Result<Digest, NoBearer> {
    let (scheme, rest) = header.split_at_checked(6).ok_or(NoBearer::Malformed)?;
    let spaced = rest.first() == Some(&b' ');
    if scheme.eq_ignore_ascii_case(b"bearer") && spaced {
        digest(rest.trim_ascii())
    } else {
        Err(NoBearer::Malformed)
    }
}

/// The digest of a text that can be a token's.
pub(crate) fn digest(token: &[u8]) -> Result<Digest, NoBearer> {
    let sound = !token.is_empty() && token.len() <= LONGEST && token.iter().all(u8::is_ascii_graphic);
    sound.then(|| Digest::of(token)).ok_or(NoBearer::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_found_whatever_the_case_of_its_scheme() {
        for header in ["Bearer hearth_x", "bearer hearth_x", "BEARER   hearth_x "] {
            assert_eq!(parse(header.as_bytes()), Ok(Digest::of(b"hearth_x")), "{header}");
        }
    }

    #[test]
    fn anything_else_is_told_apart_from_nothing() {
        assert_eq!(of(&HeaderMap::new()), Err(NoBearer::Missing));
        for header in [
            "",
            "Bearer",
            "Bearer ",
            "Bearerhearth_x",
            "Basic aGk=",
            "Bearer a b",
            "Bearer \u{e9}",
        ] {
            assert_eq!(parse(header.as_bytes()), Err(NoBearer::Malformed), "{header}");
        }
        let long = format!("Bearer {}", "x".repeat(LONGEST + 1));
        assert_eq!(parse(long.as_bytes()), Err(NoBearer::Malformed));
    }

    #[test]
    fn of_two_tokens_neither_counts() {
        let mut headers = HeaderMap::new();
        let value = axum::http::HeaderValue::from_static("Bearer hearth_x");
        headers.append(header::AUTHORIZATION, value.clone());
        assert_eq!(of(&headers), Ok(Digest::of(b"hearth_x")));
        headers.append(header::AUTHORIZATION, value);
        assert_eq!(of(&headers), Err(NoBearer::Repeated));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&header);
        }

        #[test]
        fn whatever_follows_the_scheme_it_does_not_panic(rest in proptest::collection::vec(any::<u8>(), 0..300)) {
            let header = [b"Bearer ", &rest[..]].concat();
            let _ = parse(&header);
        }
    }
}
