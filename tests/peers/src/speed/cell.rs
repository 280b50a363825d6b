//! What all engines showed of one test, and its row.

use std::collections::BTreeMap;

use peers::engines::{Engine, Instructions};
use peers::rows::Row;
use peers::statistics::{median, ratio};
use serde::Serialize;

/// The columns of a row.
pub(super) const HEADER: [&str; 9] = [
    "test",
    "threads",
    "hearth",
    "llama.cpp -fa 0",
    "llama.cpp -fa 1",
    "candle",
    "ratio",
    "of bandwidth",
    "foreign",
];

/// Everything of one test that all engines showed.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) model: String,
    pub(super) instructions: Instructions,
    pub(super) threads: u16,
    pub(super) depth: usize,
    pub(super) test: String,
    /// Tokens per second of each round, by engine.
    pub(super) samples: BTreeMap<Engine, Vec<f64>>,
    /// The memory's bandwidth that ours took, and what there is, GiB/s, of each round.
    pub(super) bandwidth: Vec<(f64, f64)>,
    /// Processors that others kept busy, of each run.
    pub(super) foreign: Vec<f64>,
}

impl Cell {
    /// Counts what an engine showed in its turn.
    pub(super) fn add(&mut self, engine: Engine, row: &Row, foreign: f64) {
        self.samples
            .entry(engine)
            .or_default()
            .push(row.tokens_per_second);
        self.foreign.push(foreign);
        if engine == Engine::Hearth {
            self.bandwidth
                .extend(row.gib_per_second.zip(row.read_gib_per_second));
        }
    }

    fn median(&self, engine: Engine) -> Option<f64> {
        median(self.samples.get(&engine)?)
    }

    /// llama.cpp's better setting.
    fn better(&self) -> Option<Engine> {
        let fa = [Engine::LlamaCppFa0, Engine::LlamaCppFa1]
            .into_iter()
            .filter(|&engine| self.median(engine).is_some());
        fa.max_by(|&a, &b| {
            self.median(a)
                .unwrap_or(0.0)
                .total_cmp(&self.median(b).unwrap_or(0.0))
        })
    }

    /// Ours to llama.cpp's better setting.
    fn ratio(&self) -> Option<f64> {
        ratio(
            self.samples.get(&Engine::Hearth)?,
            self.samples.get(&self.better()?)?,
        )
    }

    /// A row of the table, as [`HEADER`] has its columns.
    pub(super) fn row(&self) -> Vec<String> {
        let better = self.better();
        let speed = |engine| {
            let text = self
                .median(engine)
                .map_or_else(|| "–".to_owned(), |speed| format!("{speed:.1}"));
            if better == Some(engine) {
                format!("**{text}**")
            } else {
                text
            }
        };
        let test = if self.depth == 0 {
            self.test.clone()
        } else {
            format!("{} @ d{}", self.test, self.depth)
        };
        let shares: Vec<f64> = self
            .bandwidth
            .iter()
            .map(|(taken, there)| taken / there)
            .collect();
        let share = median(&shares).filter(|_| self.test.starts_with("tg"));
        let mut cells = vec![test, self.threads.to_string()];
        cells.extend(Engine::ALL.map(speed));
        cells.push(
            self.ratio()
                .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
        );
        cells.push(share.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share)));
        cells.push(median(&self.foreign).map_or_else(String::new, |foreign| format!("{foreign:.1}")));
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(samples: &[(Engine, &[f64])]) -> Cell {
        Cell {
            model: "smollm2".to_owned(),
            instructions: Instructions::Best,
            threads: 2,
            depth: 512,
            test: "tg32".to_owned(),
            samples: samples
                .iter()
                .map(|(engine, samples)| (*engine, samples.to_vec()))
                .collect(),
            bandwidth: vec![(9.0, 12.0)],
            foreign: vec![0.5, 1.5],
        }
    }

    #[test]
    fn the_better_setting_of_llama_cpp_is_what_counts() {
        let cell = cell(&[
            (Engine::Hearth, &[30.0, 20.0, 33.0]),
            (Engine::LlamaCppFa0, &[10.0, 10.0, 11.0]),
            (Engine::LlamaCppFa1, &[9.0, 50.0, 9.0]),
        ]);
        assert_eq!(cell.better(), Some(Engine::LlamaCppFa0));
        assert_eq!(cell.ratio(), Some(3.0));
        assert_eq!(cell.row().len(), HEADER.len());
        assert_eq!(
            cell.row(),
            [
                "tg32 @ d512",
                "2",
                "30.0",
                "**10.0**",
                "9.0",
                "–",
                "3.00",
                "75 %",
                "1.0"
            ]
        );
    }

    #[test]
    fn without_a_peer_there_is_no_ratio() {
        assert_eq!(cell(&[(Engine::Hearth, &[1.0])]).ratio(), None);
        assert_eq!(cell(&[(Engine::LlamaCppFa0, &[1.0])]).ratio(), None);
    }
}
