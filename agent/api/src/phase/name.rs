//! A model's name, as long as a packet has room for.

use super::Malformed;
use std::fmt;

/// At most 128 bytes of UTF-8, which is as long as a store lets a name be; a longer one is cut at a character. Empty for
/// none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModelName([u8; Self::LENGTH]);

impl ModelName {
    /// Bytes of it in a packet, unused ones zero.
    pub const LENGTH: usize = 128;

    /// The name, or as much of it as there is room for.
    pub fn new(name: &str) -> Self {
        let name = &name[..name.floor_char_boundary(Self::LENGTH)];
        let mut bytes = [0; Self::LENGTH];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Self(bytes)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // Both ways to make one have seen to it that this is UTF-8.
        std::str::from_utf8(self.text()).unwrap_or_default()
    }

    fn text(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        &self.0[..end.unwrap_or(Self::LENGTH)]
    }

    pub(super) fn bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    pub(super) fn read(bytes: [u8; Self::LENGTH]) -> Result<Self, Malformed> {
        let name = Self(bytes);
        let text = name.text();
        let padded = bytes[text.len()..].iter().all(|byte| *byte == 0);
        if padded && std::str::from_utf8(text).is_ok() {
            Ok(name)
        } else {
            Err(Malformed::Name)
        }
    }
}

impl Default for ModelName {
    fn default() -> Self {
        Self([0; Self::LENGTH])
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(ModelName::new("").as_str(), "");
        assert_eq!(ModelName::new("tiny").as_str(), "tiny");
        let full = "a".repeat(128);
        assert_eq!(ModelName::new(&full).as_str(), full);
        let cut = format!("{}é", "a".repeat(127));
        assert_eq!(ModelName::new(&cut).as_str(), "a".repeat(127));
    }

    #[test]
    fn bytes_that_are_no_name_are_refused() {
        let name = ModelName::new("tiny");
        assert_eq!(ModelName::read(*name.bytes()), Ok(name));
        let mut behind = *name.bytes();
        behind[5] = b'x';
        let mut no_text = *name.bytes();
        no_text[0] = 0xff;
        for bytes in [behind, no_text] {
            assert_eq!(ModelName::read(bytes), Err(Malformed::Name));
        }
    }
}
