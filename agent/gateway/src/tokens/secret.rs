//! A token's text, and the digest by which it is kept.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// The text of a token: `hearth_` and 32 random bytes in base64url. Known only when it is made.
pub(crate) struct Secret(String);

impl Secret {
    /// A fresh one from the kernel's random source.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("hearth_{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// What is kept of it.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The text, to be shown once.
    pub(crate) fn reveal(self) -> String {
        self.0
    }
}

/// SHA-256 of a token's whole text. 32 random bytes cannot be guessed, so that no slow hash is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// The digest of a token's text.
    pub(crate) fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// From 64 hexadecimal digits.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .chars()
            .map(|c| c.to_digit(16)?.try_into().ok())
            .collect::<Option<_>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else {
            return None;
        };
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        bytes.try_into().ok().map(Self)
    }

    /// Compares without telling by the time it takes how much was right.
    pub(crate) fn matches(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| D::Error::custom("not 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_promised_shape_and_is_never_the_same() {
        let (one, two) = (
            Secret::generate().unwrap().reveal(),
            Secret::generate().unwrap().reveal(),
        );
        assert_eq!(one.len(), "hearth_".len() + 43);
        assert!(one.starts_with("hearth_"));
        assert_ne!(one, two);
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Digest::of(b"hearth_x");
        assert_eq!(Digest::from_hex(&digest.to_string()), Some(digest));
        assert_eq!(
            Digest::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn only_64_digits_are_a_digest() {
        for text in [
            "",
            "00",
            &"0".repeat(63),
            &"0".repeat(65),
            &"g".repeat(64),
            &"é".repeat(32),
        ] {
            assert_eq!(Digest::from_hex(text), None, "{text}");
        }
    }
}
