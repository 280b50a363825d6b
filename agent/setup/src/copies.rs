//! `hearth-installed.txt`: by which texts the appliance was copied to an internal disk. It lies on CONFIG beside them, where
//! it stays as long as the word does that lets a disk be erased: what else is remembered goes with a factory reset.

/// The file's name on CONFIG.
pub const NAME: &str = "hearth-installed.txt";
/// What answers say of a text that is among them.
pub const AGAIN: &str = "By this text the appliance was copied before, and it is not copied again. To have it copied once more, also in\n\
                         another machine, change the file; a comment is enough.";
/// What the file says of itself.
const HEAD: &str = "The appliance was copied from this drive to an internal disk, as each of these texts wanted it. None has a disk\n\
                    erased again. The latest is the first (SHA-256).\n";

/// Whether it was copied by the text of this digest.
pub fn has(copies: &str, digest: &str) -> bool {
    copies.lines().any(|line| line.trim_end() == digest)
}

/// The same with the text of this digest.
pub fn with(copies: &str, digest: &str) -> String {
    let before = copies.strip_prefix(HEAD).unwrap_or(copies);
    format!("{HEAD}{digest}\n{before}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_remembered() {
        let [first, second] = ["a", "b"].map(|text| crate::digest(text.as_bytes()));
        assert!(!has("", &first));
        let copies = with(&with("", &first), &second);
        assert!(has(&copies, &first) && has(&copies, &second), "{copies}");
        assert_eq!(copies.matches("internal disk").count(), 1, "{copies}");
        // As an editor on Windows saves it.
        assert!(has(&copies.replace('\n', "\r\n"), &first));
        assert!(!has(&copies, &crate::digest(b"c")));
    }
}
