//! Results, as rows for programs and as a table for people.

use serde::{Deserialize, Serialize};

use crate::screen::one_line;

const GIB: f64 = (1_u64 << 30) as f64;
const MIB: f64 = (1_u64 << 20) as f64;

/// What one test showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// The model's id.
    pub(super) model: String,
    /// The element type that most of its weights have.
    pub(super) kind: String,
    /// Bytes of its file or files.
    pub(super) model_bytes: u64,
    /// Which instructions computed.
    pub(super) path: String,
    /// `pp512`, `tg128`.
    pub(super) test: String,
    /// Tokens that were there before.
    pub(super) depth: usize,
    pub(super) threads: u16,
    /// Mean of the samples.
    pub(super) tokens_per_second: f64,
    pub(super) stddev: f64,
    pub(super) samples: Vec<f64>,
    /// What had to be read at the least, weights and keys and values, by time.
    pub(super) gib_per_second: f64,
    /// What this machine's memory gives to as many threads that only read.
    pub(super) read_gib_per_second: Option<f64>,
    /// Seconds from the beginning until the model was ready.
    pub(super) load_seconds: f64,
    /// Most memory that the process had until then, pages of mapped files included.
    pub(super) peak_rss_bytes: u64,
}

impl Row {
    /// The share of the memory's bandwidth: what limits generating, and not prompts.
    fn share(&self) -> String {
        match self.read_gib_per_second {
            Some(limit) if self.test.starts_with("tg") => {
                format!("{:.0} % of {limit:.1}", 100.0 * self.gib_per_second / limit)
            }
            _ => String::new(),
        }
    }

    fn cells(&self) -> [String; 9] {
        let test = match self.depth {
            0 => self.test.clone(),
            depth => format!("{} @ d{depth}", self.test),
        };
        [
            one_line(&self.model),
            one_line(&self.kind),
            self.path.clone(),
            self.threads.to_string(),
            test,
            format!("{:.2} ± {:.2}", self.tokens_per_second, self.stddev),
            format!("{:.2}", self.gib_per_second),
            self.share(),
            format!("{:.0}", self.peak_rss_bytes as f64 / MIB),
        ]
    }
}

/// Bytes per second in GiB per second.
pub(super) fn gib(bytes_per_second: f64) -> f64 {
    bytes_per_second / GIB
}

/// Mean and standard deviation (of a sample; 0 for a single value).
pub(super) fn statistics(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

/// The rows as a table in Markdown.
pub(super) fn table(rows: &[Row]) -> String {
    let header = [
        "model",
        "kind",
        "path",
        "threads",
        "test",
        "t/s",
        "GiB/s",
        "of the limit",
        "peak MiB",
    ];
    let rows: Vec<[String; 9]> = rows.iter().map(Row::cells).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; 9] = std::array::from_fn(width);
    let line = |cells: [&str; 9]| {
        let cells = cells.iter().zip(widths).enumerate();
        let padded = cells.map(|(column, (cell, width))| match column {
            0..=2 => format!(" {cell:<width$} |"),
            _ => format!(" {cell:>width$} |"),
        });
        format!("|{}\n", padded.collect::<String>())
    };
    let rule = widths.map(|width| "-".repeat(width));
    let body = rows
        .iter()
        .map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    [
        line(header),
        line(std::array::from_fn(|column| rule[column].as_str())),
    ]
    .into_iter()
    .chain(body)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(test: &str, depth: usize) -> Row {
        Row {
            model: "m".to_owned(),
            kind: "Q4_1".to_owned(),
            model_bytes: 1 << 20,
            path: "avx2".to_owned(),
            test: test.to_owned(),
            depth,
            threads: 2,
            tokens_per_second: 100.0,
            stddev: 1.25,
            samples: vec![100.0],
            gib_per_second: 9.0,
            read_gib_per_second: Some(12.0),
            load_seconds: 0.5,
            peak_rss_bytes: 3 << 20,
        }
    }

    #[test]
    fn a_table_for_people() {
        let text = table(&[row("pp128", 0), row("tg32", 512)]);
        let expected = "\
| model | kind | path | threads |        test |           t/s | GiB/s | of the limit | peak MiB |
| ----- | ---- | ---- | ------- | ----------- | ------------- | ----- | ------------ | -------- |
| m     | Q4_1 | avx2 |       2 |       pp128 | 100.00 ± 1.25 |  9.00 |              |        3 |
| m     | Q4_1 | avx2 |       2 | tg32 @ d512 | 100.00 ± 1.25 |  9.00 | 75 % of 12.0 |        3 |
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_name_steers_no_terminal_and_ends_no_line() {
        let named = Row {
            model: "m\x1b[2J\n".to_owned(),
            ..row("pp8", 0)
        };
        let text = table(&[named]);
        assert!(text.contains("| m\\u{1b}[2J\\n | Q4_1 |"), "{text}");
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn the_deviation_of_samples() {
        assert_eq!(statistics(&[2.0]), (2.0, 0.0));
        assert_eq!(statistics(&[1.0, 3.0]), (2.0, 2_f64.sqrt()));
    }
}
