//! Tokens per second, side by side.

mod cell;
mod outlook;
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use ::tests::report::say;
use anyhow::{Context, Result, bail};
use clap::Args;
use peers::engines::{Engine, Engines, Instructions, Job, model};
use peers::machine;
use peers::parts::Parts;
use peers::rows::Row;
use serde::Serialize;

use crate::show::note;
use cell::Cell;
use outlook::{Outlook, work};
use rows::Rows;

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

/// A comparison: cells in the order of the tests, and what engines failed at.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    cells: Vec<Cell>,
    pub(crate) failures: Vec<String>,
}

/// Measures all that is asked for. Each row is printed when all engines had all their turns at it, unless `quiet`;
/// `saved` is told of all that there is after each turn.
pub(crate) fn measure(
    parts: &Parts,
    options: &Options,
    quiet: bool,
    saved: &dyn Fn(&Comparison) -> Result<()>,
) -> Result<Comparison> {
    let options = options.settled();
    let engines: Vec<Engines<'_>> = options
        .instructions
        .iter()
        .map(|&instructions| Engines::new(parts, instructions))
        .collect::<Result<_>>()?;
    let settings = settings(parts, &options, &engines)?;
    let mut run = Run {
        saved,
        rows: if quiet { None } else { Some(introduced()?) },
        comparison: Comparison::default(),
        outlook: outlook(&settings),
    };
    for setting in &settings {
        run.carry_out(setting)?;
    }
    let comparison = run.comparison;
    if comparison.cells.is_empty() {
        bail!("nothing was measured: {}", comparison.failures.join("; "));
    }
    if !quiet {
        comparison
            .failures
            .iter()
            .for_each(|failure| say(&format!("\nfailed: {failure}")));
    }
    Ok(comparison)
}

/// Rows, with what is to be known of them said before the first.
fn introduced() -> Result<Rows> {
    say(
        "Tokens per second: medians; ratio: ours to llama.cpp's better setting (bold), median of the rounds;",
    );
    say(&format!(
        "foreign: processors that others kept busy meanwhile. Load averages at the start: {}.",
        machine::load()?
    ));
    Ok(Rows::default())
}

/// All settings in their order: instructions, models, depths.
fn settings<'a>(parts: &Parts, options: &'a Options, engines: &'a [Engines<'a>]) -> Result<Vec<Setting<'a>>> {
    let mut settings = Vec::new();
    for engines in engines {
        for name in &options.models {
            let file = model(parts, name);
            let about = file
                .metadata()
                .with_context(|| format!("cannot read {}", file.display()))?;
            for depth in options.depths(name) {
                settings.push(Setting {
                    options,
                    engines,
                    model: name,
                    file: file.clone(),
                    weights: about.len(),
                    depth,
                });
            }
        }
    }
    Ok(settings)
}

fn outlook(settings: &[Setting<'_>]) -> Outlook {
    let mut outlook = Outlook::default();
    for setting in settings {
        for _ in 0..setting.options.rounds {
            for engine in setting.engines() {
                outlook.plan(engine, setting.work());
            }
        }
    }
    outlook
}

/// What stays the same while engines take turns.
struct Setting<'a> {
    options: &'a Options,
    engines: &'a Engines<'a>,
    model: &'a str,
    file: PathBuf,
    /// Bytes of the file.
    weights: u64,
    depth: usize,
}

impl Setting<'_> {
    fn job(&self) -> Job<'_> {
        let prompts = if self.depth == 0 {
            &self.options.prompts[..]
        } else {
            &[]
        };
        Job {
            model: &self.file,
            prompts,
            generate: self.options.generate,
            depth: self.depth,
            threads: &self.options.threads,
            repetitions: self.options.repetitions,
        }
    }

    /// The engines that take part; none where nothing is asked for.
    fn engines(&self) -> Vec<Engine> {
        let job = self.job();
        let asked = !job.prompts.is_empty() || job.generate > 0;
        let takes_part = |engine: &Engine| {
            asked && self.engines.has(*engine) && (*engine != Engine::Candle || self.depth == 0)
        };
        self.options.engines.iter().copied().filter(takes_part).collect()
    }

    fn work(&self) -> f64 {
        let job = self.job();
        work(self.weights, job.prompts.iter().sum(), job.depth, job.generate)
    }

    fn words(&self) -> String {
        let instructions = self.engines.instructions();
        format!("{}, {instructions:?}, depth {}", self.model, self.depth)
    }

    fn cell(&self, row: &Row) -> Cell {
        Cell {
            model: self.model.to_owned(),
            instructions: self.engines.instructions(),
            threads: row.threads,
            depth: self.depth,
            test: row.test.clone(),
            samples: BTreeMap::new(),
            bandwidth: Vec::new(),
            foreign: Vec::new(),
        }
    }
}

/// What comes of a comparison while it runs.
struct Run<'a> {
    saved: &'a dyn Fn(&Comparison) -> Result<()>,
    rows: Option<Rows>,
    comparison: Comparison,
    outlook: Outlook,
}

impl Run<'_> {
    /// All rounds. An engine that fails has no further turns here.
    fn carry_out(&mut self, setting: &Setting<'_>) -> Result<()> {
        let mut engines = setting.engines();
        let first = self.comparison.cells.len();
        for round in 1..=setting.options.rounds {
            let mut able = Vec::new();
            for engine in engines {
                if self.turn(setting, engine, round, first) {
                    able.push(engine);
                }
                (self.saved)(&self.comparison)?;
            }
            engines = able;
            // Whoever is first in a round may find the machine as the round before left it: take turns at that, too.
            if !engines.is_empty() {
                engines.rotate_left(1);
            }
        }
        if let Some(rows) = &mut self.rows {
            let mut cells: Vec<&Cell> = self.comparison.cells[first..].iter().collect();
            cells.sort_by_key(|cell| cell.threads);
            rows.print(&cells);
        }
        Ok(())
    }

    /// An engine's turn in a round; whether it is to have another.
    fn turn(&mut self, setting: &Setting<'_>, engine: Engine, round: u32, first: usize) -> bool {
        let rounds = setting.options.rounds;
        let words = setting.words();
        note(&format!(
            "… {words}, {engine} ({round}/{rounds}): {}",
            self.outlook.words()
        ));
        let start = Instant::now();
        match setting.engines.run(engine, &setting.job()) {
            Ok(outcome) => {
                self.outlook.finish(engine, setting.work(), start.elapsed());
                for row in &outcome.rows {
                    self.cell(setting, first, row).add(engine, row, outcome.foreign);
                }
                true
            }
            Err(error) => {
                (round..=rounds).for_each(|_| self.outlook.skip(engine, setting.work()));
                let failure = format!("{words}: {error:#}");
                note(&format!("FAIL {failure}"));
                self.comparison.failures.push(failure);
                false
            }
        }
    }

    fn cell(&mut self, setting: &Setting<'_>, first: usize, row: &Row) -> &mut Cell {
        let cells = &mut self.comparison.cells;
        let of_row = |cell: &Cell| cell.test == row.test && cell.threads == row.threads;
        let known = cells[first..].iter().position(of_row);
        let index = known.map_or(cells.len(), |index| first + index);
        if index == cells.len() {
            cells.push(setting.cell(row));
        }
        &mut cells[index]
    }
}
