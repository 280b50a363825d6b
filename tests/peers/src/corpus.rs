//! The text that perplexity is measured on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Article {
    extract: String,
}

/// Writes the first `bytes` or so of all summaries, in the order of their titles, to a file in `folder`.
pub fn write(summaries: &Path, bytes: usize, folder: &Path) -> Result<PathBuf> {
    let text =
        fs::read_to_string(summaries).with_context(|| format!("cannot read {}", summaries.display()))?;
    let path = folder.join(format!("summaries-{bytes}.txt"));
    fs::write(&path, joined(&text, bytes)?).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Whole summaries, a blank line after each, until there are `bytes` of them.
fn joined(json: &str, bytes: usize) -> Result<String> {
    let articles: BTreeMap<String, Article> = serde_json::from_str(json).context("the summaries")?;
    let mut text = String::new();
    for article in articles.values() {
        if text.len() >= bytes {
            break;
        }
        text.push_str(article.extract.trim());
        text.push_str("\n\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_in_the_order_of_titles_and_whole() {
        let json = r#"{"b": {"extract": "Second. "}, "a": {"extract": "First.", "title": "a"}, "c": {"extract": "Third."}}"#;
        assert_eq!(joined(json, 10).unwrap(), "First.\n\nSecond.\n\n");
    }
}
