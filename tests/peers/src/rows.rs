//! What engines say of their speed.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// One test of an engine: of `inferd bench --json`, of `probe bench`, and of llama-bench in [`llama_bench`]'s words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `pp512` or `tg128`.
    pub test: String,
    /// Tokens that were there before.
    pub depth: usize,
    /// Threads that computed; 0 where the engine does not say.
    #[serde(default)]
    pub threads: u16,
    /// Mean over the repetitions.
    pub tokens_per_second: f64,
    /// What the machine's memory gives to a reader, where the engine measures that.
    #[serde(default)]
    pub read_gib_per_second: Option<f64>,
    /// What the test had to read at the least, by time, where the engine knows that.
    #[serde(default)]
    pub gib_per_second: Option<f64>,
    /// Which instructions computed, where the engine says so.
    #[serde(default)]
    pub path: Option<String>,
}

/// A line of `llama-bench --output jsonl`.
#[derive(Deserialize)]
struct LlamaBench {
    n_prompt: usize,
    n_gen: usize,
    n_depth: usize,
    n_threads: u16,
    avg_ts: f64,
}

/// Rows of a JSON list.
pub fn list(text: &str) -> Result<Vec<Row>> {
    let rows: Vec<Row> = serde_json::from_str(text).with_context(|| format!("an engine said {text}"))?;
    ensure!(!rows.is_empty(), "an engine measured nothing");
    Ok(rows)
}

/// Rows of what llama-bench writes with `--output jsonl`.
pub fn llama_bench(text: &str) -> Result<Vec<Row>> {
    let rows = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let row: LlamaBench =
            serde_json::from_str(line).with_context(|| format!("llama-bench said {line}"))?;
        Ok(Row {
            test: match row.n_gen {
                0 => format!("pp{}", row.n_prompt),
                tokens => format!("tg{tokens}"),
            },
            depth: row.n_depth,
            threads: row.n_threads,
            tokens_per_second: row.avg_ts,
            read_gib_per_second: None,
            gib_per_second: None,
            path: None,
        })
    });
    let rows: Vec<Row> = rows.collect::<Result<_>>()?;
    ensure!(!rows.is_empty(), "llama-bench measured nothing");
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_llama_bench() {
        let text = "{\"n_prompt\": 128, \"n_gen\": 0, \"n_depth\": 0, \"avg_ts\": 286.5, \"n_threads\": 2}\n\
            {\"n_prompt\": 0, \"n_gen\": 32, \"n_depth\": 512, \"avg_ts\": 92.1, \"n_threads\": 1}\n";
        let seen: Vec<_> = llama_bench(text)
            .unwrap()
            .into_iter()
            .map(|row| (row.test, row.depth, row.threads, row.tokens_per_second))
            .collect();
        assert_eq!(
            seen,
            [
                ("pp128".to_owned(), 0, 2, 286.5),
                ("tg32".to_owned(), 512, 1, 92.1)
            ]
        );
        assert!(llama_bench("").is_err());
        assert!(llama_bench("error: no model\n").is_err());
    }

    #[test]
    fn fields_that_an_engine_does_not_know_are_none() {
        let rows =
            list(r#"[{"test": "tg32", "depth": 0, "tokens_per_second": 30.5, "threads": 2}]"#).unwrap();
        assert_eq!(rows[0].path, None);
        assert!(list("[]").is_err());
    }
}
