//! Sizes of memory on the command line.

use std::fmt;
use std::str::FromStr;

/// Bytes, written as systemd writes them: `400M`, `1.5G`, `1073741824`; K, M, G and T are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

/// What was written is no size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoSize;

impl fmt::Display for NoSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size is a number above 0 with K, M, G or T after it, as 400M or 1.5G, or one of bytes")
    }
}

impl std::error::Error for NoSize {}

/// What was written is neither a size nor 0, where that is for none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NeitherSizeNorNone;

impl fmt::Display for NeitherSizeNorNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0 for none, or a size: {NoSize}")
    }
}

impl std::error::Error for NeitherSizeNorNone {}

impl FromStr for Size {
    type Err = NoSize;

    fn from_str(text: &str) -> Result<Self, NoSize> {
        let power = text.bytes().last().and_then(power_of_1024);
        let number = match power {
            Some(_) => &text[..text.len() - 1],
            None => text,
        };
        // The standard library reads `inf`, `1e9` and `-1`, too.
        if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(NoSize);
        }
        let number: f64 = number.parse().map_err(|_| NoSize)?;
        let bytes = number * 1024_f64.powi(power.unwrap_or(0));
        let in_memory = 1.0..isize::MAX as f64;
        in_memory
            .contains(&bytes)
            .then_some(Self(bytes as usize))
            .ok_or(NoSize)
    }
}

/// A size, or 0 for none.
pub(crate) fn or_none(text: &str) -> Result<Size, NeitherSizeNorNone> {
    match text {
        "0" => Ok(Size(0)),
        _ => text.parse().map_err(|NoSize| NeitherSizeNorNone),
    }
}

fn power_of_1024(unit: u8) -> Option<i32> {
    let units = *b"KMGT";
    let index = units.iter().position(|&known| known == unit)?;
    Some(index as i32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_with_units_or_in_bytes() {
        for (text, bytes) in [
            ("400M", 400 << 20),
            ("1.5G", 3 << 29),
            ("2K", 2048),
            ("1T", 1 << 40),
            ("4096", 4096),
            ("0.5K", 512),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn nothing_is_a_size_where_it_may_be() {
        assert_eq!(or_none("0"), Ok(Size(0)));
        assert_eq!(or_none("1K"), Ok(Size(1024)));
        assert_eq!(or_none("0M"), Err(NeitherSizeNorNone));
        let error = or_none("-1").unwrap_err().to_string();
        assert!(error.contains("0 for none") && error.contains("400M"), "{error}");
    }

    #[test]
    fn what_is_no_size_is_refused_with_the_forms_that_are() {
        for text in [
            "", "M", "400MB", "400m", "-1G", "+1G", "1e9", "inf", "NaN", "0", "0G", "1.2.3G", "1 G",
            "9999999T", "½G",
        ] {
            assert_eq!(text.parse::<Size>(), Err(NoSize), "{text}");
        }
        assert!(NoSize.to_string().contains("400M"));
    }
}
