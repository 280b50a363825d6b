//! Patterns for names: the text itself, with `*` for any run of characters.

/// Whether a name fits a pattern. Upper and lower case are one (firmware updates change them), and so is space at
/// either end (DMI strings are padded).
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.trim().to_lowercase(), name.trim().to_lowercase());
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        // The leftmost place leaves the most to the pieces that follow.
        let Some(place) = rest.find(piece) else {
            return false;
        };
        rest = &rest[place + piece.len()..];
    }
    rest.ends_with(last)
}

/// Whether a pattern stands for one name only.
pub(super) fn is_exact(pattern: &str) -> bool {
    !pattern.contains('*')
}

/// How many characters of a name the pattern pins down.
pub(super) fn weight(pattern: &str) -> usize {
    pattern
        .trim()
        .chars()
        .filter(|character| *character != '*')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_exact_pattern_fits_one_name_in_any_case() {
        assert!(fits("MINI S", " Mini S  "));
        assert!(!fits("MINI S", "MINI S12"));
        assert!(!fits("MINI S", "MINI"));
    }

    #[test]
    fn a_star_stands_for_any_run() {
        assert!(fits("NUC12WSH*", "NUC12WSHi5"));
        assert!(fits("*Virtual*", "VMware Virtual Platform"));
        assert!(fits("a*b*c", "a-b-b-c"));
        assert!(!fits("a*b*c", "a-c-b"));
        assert!(fits("11th Gen * U", "11th Gen X U"));
        assert!(!fits("ab*ba", "aba"));
    }

    #[test]
    fn letters_beyond_ascii_are_letters() {
        assert!(fits("*Ä*", "xäy"));
        assert!(!fits("ß*", "s"));
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in ".{0,12}", name in ".{0,12}") {
            fits(&pattern, &name);
        }

        #[test]
        fn a_name_fits_itself_and_its_prefix_with_a_star(name in "[a-zA-Z0-9é ]{1,12}") {
            prop_assert!(fits(&name, &name));
            let prefix: String = name.trim().chars().take(3).collect();
            let pattern = format!("{}*", prefix);
            prop_assert!(prefix.ends_with(' ') || fits(&pattern, &name));
        }
    }
}
