//! Tokens per second, side by side.

use std::collections::BTreeMap;
use std::path::Path;

use ::tests::report::table;
use anyhow::{Result, bail};
use clap::Args;
use peers::engines::{Engine, Engines, Instructions, Job, model};
use peers::machine;
use peers::parts::Parts;
use peers::rows::Row;
use peers::statistics::{median, ratio};
use serde::Serialize;

use crate::show::note;

/// What to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Models: smollm2, qwen, or a GGUF file
    #[arg(short, long = "model", value_delimiter = ',', default_value = "smollm2,qwen")]
    models: Vec<String>,
    /// Lengths of prompts, at depth 0
    #[arg(short, long, value_delimiter = ',', default_value = "128,512")]
    prompts: Vec<usize>,
    /// Tokens to generate, at each depth; 0: none
    #[arg(short = 'n', long, default_value_t = 32)]
    generate: usize,
    /// Depths; 0, 512 and 2048 if nothing is said, and 8192 for qwen
    #[arg(short, long, value_delimiter = ',')]
    depths: Vec<usize>,
    /// Threads
    #[arg(short, long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<u16>,
    /// Instructions that the engines may use
    #[arg(short, long, value_enum, value_delimiter = ',', default_value = "best,avx2")]
    instructions: Vec<Instructions>,
    /// Engines; candle only takes part at depth 0, where it can be waited for
    #[arg(
        short,
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "hearth,llama.cpp-fa0,llama.cpp-fa1,candle"
    )]
    engines: Vec<Engine>,
    /// Rounds: in each, every engine has its turn
    #[arg(short, long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Runs of each test in a turn, of which the mean counts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// All tests, but one round and without candle: twenty minutes
    #[arg(long)]
    quick: bool,
}

impl Options {
    /// What `--quick` stands for, where it is said.
    fn settled(&self) -> Self {
        if !self.quick {
            return self.clone();
        }
        let mut quick = self.clone();
        quick.engines.retain(|&engine| engine != Engine::Candle);
        quick.rounds = 1;
        quick
    }

    fn depths(&self, model: &str) -> Vec<usize> {
        match (self.depths.is_empty(), model) {
            (false, _) => self.depths.clone(),
            (true, "qwen") => vec![0, 512, 2048, 8192],
            (true, _) => vec![0, 512, 2048],
        }
    }
}

/// Everything of one test that all engines showed.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    model: String,
    instructions: Instructions,
    threads: u16,
    depth: usize,
    test: String,
    /// Tokens per second of each round, by engine.
    samples: BTreeMap<Engine, Vec<f64>>,
    /// The memory's bandwidth that ours took, and what there is, GiB/s, of each round.
    bandwidth: Vec<(f64, f64)>,
    /// Processors that others kept busy, of each run.
    foreign: Vec<f64>,
}

impl Cell {
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
    pub(crate) fn ratio(&self) -> Option<f64> {
        ratio(
            self.samples.get(&Engine::Hearth)?,
            self.samples.get(&self.better()?)?,
        )
    }

    fn row(&self) -> Vec<String> {
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
        let mut cells = vec![test];
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

/// A comparison: cells in the order of the tests, and what engines failed at.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    pub(crate) cells: Vec<Cell>,
    pub(crate) failures: Vec<String>,
}

/// Measures all that is asked for.
pub(crate) fn measure(parts: &Parts, options: &Options) -> Result<Comparison> {
    let options = options.settled();
    let mut comparison = Comparison::default();
    for &instructions in &options.instructions {
        let engines = Engines::new(parts, instructions)?;
        for name in &options.models {
            for depth in options.depths(name) {
                let setting = Setting {
                    engines: &engines,
                    instructions,
                    model: name,
                    file: &model(parts, name),
                    depth,
                };
                setting.measure(&options, &mut comparison);
            }
        }
    }
    if comparison.cells.is_empty() {
        bail!("nothing was measured: {}", comparison.failures.join("; "));
    }
    Ok(comparison)
}

/// What stays the same while engines take turns.
struct Setting<'a> {
    engines: &'a Engines<'a>,
    instructions: Instructions,
    model: &'a str,
    file: &'a Path,
    depth: usize,
}

impl Setting<'_> {
    /// All rounds. An engine that fails has no further turns here.
    fn measure(&self, options: &Options, comparison: &mut Comparison) {
        let wanted =
            |engine: &Engine| self.engines.has(*engine) && (*engine != Engine::Candle || self.depth == 0);
        let mut engines: Vec<Engine> = options.engines.iter().copied().filter(wanted).collect();
        let prompts = if self.depth == 0 {
            &options.prompts[..]
        } else {
            &[]
        };
        let job = Job {
            model: self.file,
            prompts,
            generate: options.generate,
            depth: self.depth,
            threads: &options.threads,
            repetitions: options.repetitions,
        };
        if prompts.is_empty() && options.generate == 0 {
            return;
        }
        let first = comparison.cells.len();
        for round in 1..=options.rounds {
            note(&format!("… {} ({round}/{})", self.words(), options.rounds));
            engines.retain(|&engine| match self.engines.run(engine, &job) {
                Ok(outcome) => {
                    for row in outcome.rows {
                        let cell = self.cell(&mut comparison.cells, first, &row);
                        cell.samples
                            .entry(engine)
                            .or_default()
                            .push(row.tokens_per_second);
                        cell.foreign.push(outcome.foreign);
                        if engine == Engine::Hearth {
                            cell.bandwidth
                                .extend(row.gib_per_second.zip(row.read_gib_per_second));
                        }
                    }
                    true
                }
                Err(error) => {
                    let failure = format!("{}: {error:#}", self.words());
                    note(&format!("FAIL {failure}"));
                    comparison.failures.push(failure);
                    false
                }
            });
            // Whoever is first in a round may find the machine as the round before left it: take turns at that, too.
            if !engines.is_empty() {
                engines.rotate_left(1);
            }
        }
    }

    fn words(&self) -> String {
        let Self {
            model,
            instructions,
            depth,
            ..
        } = self;
        format!("{model}, {instructions:?}, depth {depth}")
    }

    fn cell<'c>(&self, cells: &'c mut Vec<Cell>, first: usize, row: &Row) -> &'c mut Cell {
        let of_row = |cell: &Cell| cell.test == row.test && cell.threads == row.threads;
        let known = cells[first..].iter().position(of_row);
        let index = known.map_or(cells.len(), |index| first + index);
        if index == cells.len() {
            cells.push(Cell {
                model: self.model.to_owned(),
                instructions: self.instructions,
                threads: row.threads,
                depth: self.depth,
                test: row.test.clone(),
                samples: BTreeMap::new(),
                bandwidth: Vec::new(),
                foreign: Vec::new(),
            });
        }
        &mut cells[index]
    }
}

/// The tables, one for each model, number of threads and choice of instructions.
pub(crate) fn print(comparison: &Comparison) -> Result<()> {
    let title = |cell: &Cell| {
        format!(
            "{}, {:?} instructions, {} threads",
            cell.model, cell.instructions, cell.threads
        )
    };
    let header = [
        "test",
        "hearth",
        "llama.cpp -fa 0",
        "llama.cpp -fa 1",
        "candle",
        "ratio",
        "of bandwidth",
        "foreign",
    ];
    println!(
        "Tokens per second: medians; ratio: ours to llama.cpp's better setting (bold), median of the rounds;"
    );
    println!(
        "foreign: processors that others kept busy meanwhile. Load averages now: {}.",
        machine::load()?
    );
    let titles: Vec<String> = comparison.cells.iter().map(title).collect();
    for (index, name) in titles.iter().enumerate() {
        if !titles[..index].contains(name) {
            let cells = comparison.cells.iter().filter(|cell| title(cell) == *name);
            let rows: Vec<Vec<String>> = cells.map(Cell::row).collect();
            println!("\n## {name}\n\n{}", table(&header, &rows));
        }
    }
    for failure in &comparison.failures {
        println!("\nfailed: {failure}");
    }
    Ok(())
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
        assert_eq!(
            cell.row(),
            [
                "tg32 @ d512",
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
