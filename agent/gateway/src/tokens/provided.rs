//! Token hashes that were provided from outside: by a systemd credential, which may come from the `CONFIG` partition.
//!
//! One line is one token: `sha256:<64 hexadecimal digits> [role] [name]`. Without a role it is `admin`, as whoever
//! can write this file owns the machine. Empty lines and those that begin with `#` are skipped.

use super::Digest;
use crate::plain_text::is_plain;
use api::rest::Role;
use std::{fs, io, path::Path};

/// A token of which only the hash was provided.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Provided {
    /// SHA-256 of its text.
    pub(crate) digest: Digest,
    /// What it may do.
    pub(crate) role: Role,
    /// For people.
    pub(crate) name: String,
}

/// A line that is not a token hash.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct BadLine {
    /// Its number, from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) problem: &'static str,
}

/// The tokens of a file, which need not exist, and its bad lines. Only an unreadable file is an error.
pub(crate) fn read(path: &Path) -> io::Result<(Vec<Provided>, Vec<BadLine>)> {
    match fs::read(path) {
        // A file written on another system may hold anything; what is not UTF-8 spoils its own line only.
        Ok(bytes) => Ok(parse(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), Vec::new())),
        Err(error) => Err(error),
    }
}

/// The tokens of a text, and its bad lines.
pub(crate) fn parse(text: &str) -> (Vec<Provided>, Vec<BadLine>) {
    let mut tokens: Vec<Provided> = Vec::new();
    let mut bad = Vec::new();
    // Windows' Notepad begins a file with a byte order mark and ends lines with a carriage return.
    let text = text.trim_start_matches('\u{feff}');
    for (index, line) in text.lines().enumerate() {
        match parse_line(line.trim(), index + 1) {
            Ok(Some(token)) if tokens.iter().any(|t| t.digest == token.digest) => (),
            Ok(token) => tokens.extend(token),
            Err(problem) => bad.push(BadLine {
                line: index + 1,
                problem,
            }),
        }
    }
    (tokens, bad)
}

fn parse_line(line: &str, number: usize) -> Result<Option<Provided>, &'static str> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let hash = words.next().and_then(|word| word.strip_prefix("sha256:"));
    let digest = hash.ok_or("does not begin with \"sha256:\"").and_then(|hash| {
        Digest::from_hex(hash).ok_or("after \"sha256:\" there are not 64 hexadecimal digits")
    })?;
    let role = words.next().map_or(Ok(Role::Admin), parse_role)?;
    let name = words.collect::<Vec<_>>().join(" ");
    if !name.chars().all(is_plain) || name.chars().count() > 64 {
        return Err("the name has control characters or is longer than 64 characters");
    }
    let name = if name.is_empty() {
        format!("provided-{number}")
    } else {
        name
    };
    Ok(Some(Provided { digest, role, name }))
}

fn parse_role(word: &str) -> Result<Role, &'static str> {
    match word {
        "read" => Ok(Role::Read),
        "chat" => Ok(Role::Chat),
        "admin" => Ok(Role::Admin),
        _ => Err("the role is none of read, chat and admin"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_tokens_and_bad_ones_are_named() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let text = format!(
            "\u{feff}# mine\r\nsha256:{a}\r\n\nsha256:12\nsha256:{b} chat the kitchen\nsha256:{a} read\nsha256:{b} king\nnonsense"
        );
        let (tokens, bad) = parse(&text);
        let expected = [
            Provided {
                digest: a,
                role: Role::Admin,
                name: "provided-2".to_owned(),
            },
            Provided {
                digest: b,
                role: Role::Chat,
                name: "the kitchen".to_owned(),
            },
        ];
        assert_eq!(tokens, expected);
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [4, 7, 8]);
        assert_eq!(
            bad[1].to_string(),
            "line 7: the role is none of read, chat and admin"
        );
    }

    #[test]
    fn a_missing_file_holds_nothing() {
        let (tokens, bad) = read(Path::new("/nonexistent/token-hashes")).unwrap();
        assert!(tokens.is_empty() && bad.is_empty());
    }

    #[test]
    fn files_that_are_nearly_right() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let text =
            format!("\u{feff}# mine\r\nsha256:{a}\r\n\nsha256:{b} chat the kitchen\nsha256:{a} read\n");
        let words: [&[u8]; 8] = [
            b"sha256:",
            b" chat ",
            b" read\n",
            b" admin ",
            b"\r\n",
            b"\t",
            b"\xef\xbb\xbf",
            b"\xe2\x80\xa8",
        ];
        let campaign = fuzz::Campaign {
            name: "token-hashes",
            seeds: vec![text.into_bytes(), Vec::new()],
            executions: 50_000,
            change: &|input, others, noise| fuzz::mutate::bytes(input, others, &words, noise),
        };
        let report = campaign.run(&std::env::temp_dir(), |input| {
            let text = String::from_utf8_lossy(input);
            let (tokens, bad) = parse(&text);
            assert!(tokens.len() + bad.len() <= text.lines().count());
            for (index, token) in tokens.iter().enumerate() {
                assert!(
                    !token.name.is_empty() && token.name.chars().all(is_plain),
                    "{token:?}"
                );
                assert!(
                    !tokens[..index].iter().any(|other| other.digest == token.digest),
                    "{token:?}"
                );
            }
            match bad.first() {
                Some(bad) => Err(bad.to_string()),
                None => Ok(format!("{} tokens", tokens.len())),
            }
        });
        report.show();
        assert!(report.taken > 0 && report.outcomes > 3, "{report}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            parse(&text);
        }

        #[test]
        fn each_line_counts_once(text in "(sha256:[0-9a-f]{62,66} ?(read|chat|king)? ?[a-z]{0,3}\n){0,6}") {
            let (tokens, bad) = parse(&text);
            prop_assert!(tokens.len() + bad.len() <= text.lines().count());
            prop_assert!(bad.iter().all(|bad| bad.line >= 1 && bad.line <= text.lines().count()));
        }
    }
}
