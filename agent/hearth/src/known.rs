//! The appliances that were connected to before, with the fingerprint that was given then: a file with a line for each,
//! as ssh has its `known_hosts`.

use crate::fingerprint::Fingerprint;
use anyhow::{Context, bail};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file; `None` where there is no home to keep one in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    path: Option<PathBuf>,
}

impl Known {
    /// Below `$XDG_CONFIG_HOME`, else below `$HOME/.config` (XDG Base Directory Specification).
    pub(crate) fn from_environment() -> Self {
        let folder = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        Self {
            path: config.map(|config| config.join("hearth/known-hosts")),
        }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The fingerprint of `HOST:PORT`, if it is remembered.
    pub(crate) fn find(&self, host: &str) -> anyhow::Result<Option<Fingerprint>> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        find(&read(path)?, host).with_context(|| format!("{}", path.display()))
    }

    /// Remembers it; what was remembered of this host before is forgotten.
    pub(crate) fn remember(&self, host: &str, fingerprint: Fingerprint) -> anyhow::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let text = read(path)?;
        let others = text
            .lines()
            .filter(|line| of_line(line).is_none_or(|(found, _)| found != host));
        let kept: String = others.map(|line| format!("{line}\n")).collect();
        let folder = path.parent().unwrap_or(Path::new("/"));
        let fresh = path.with_extension("new");
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&fresh, format!("{kept}{host} {fingerprint}\n")))
            .and_then(|()| fs::rename(&fresh, path));
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

fn find(text: &str, host: &str) -> anyhow::Result<Option<Fingerprint>> {
    for (number, line) in text.lines().enumerate() {
        match of_line(line) {
            Some((found, fingerprint)) if found == host => {
                let fingerprint = fingerprint.parse();
                return fingerprint
                    .map(Some)
                    .with_context(|| format!("line {}", number + 1));
            }
            None if !line.trim().is_empty() => bail!("line {}: wanted is \"HOST:PORT SHA-256\"", number + 1),
            _ => (),
        }
    }
    Ok(None)
}

fn of_line(line: &str) -> Option<(&str, &str)> {
    line.trim().split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_a_host_counts() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known {
            path: Some(folder.path().join("a/known-hosts")),
        };
        assert_eq!(known.find("a:443").unwrap(), None);
        let [first, second] = [b"1", b"2"].map(|bytes| Fingerprint::of(bytes));
        known.remember("a:443", first).unwrap();
        known.remember("b:443", first).unwrap();
        known.remember("a:443", second).unwrap();
        assert_eq!(known.find("a:443").unwrap(), Some(second));
        assert_eq!(known.find("b:443").unwrap(), Some(first));
        assert_eq!(known.find("a:8443").unwrap(), None);
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        for (text, told) in [("nonsense\n", "line 1"), ("\nbox:443 12\n", "line 2")] {
            let error = format!("{:#}", find(text, "box:443").unwrap_err());
            assert!(error.contains(told), "{error}");
        }
    }
}
