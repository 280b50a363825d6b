//! Our engine, called as a library: the one file here that knows it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use engine::catalog::Source;
use engine::solo::Solo;
use kernels::compute::{Compute, Fusions};
use kernels::kv::KvKind;
use kernels::path::choose;
use kernels::pool::Pool;
use store::Store;

use crate::subject::Subject;

/// A loaded model with one sequence.
pub struct Hearth {
    solo: Solo,
}

impl Hearth {
    /// Packs a GGUF file into memory, for sequences of up to `positions` tokens.
    pub fn load(path: &Path, positions: usize) -> Result<Self> {
        Self::load_within(&Source::Gguf(path.to_owned()), None, positions)
    }

    /// Loads a model of a store, with at most `budget` bytes of weights in memory.
    pub fn load_stored(store: &Path, id: &str, budget: Option<usize>, positions: usize) -> Result<Self> {
        let source = Source::Stored(Arc::new(Store::new(store)), id.parse()?);
        Self::load_within(&source, budget, positions)
    }

    fn load_within(source: &Source, budget: Option<usize>, positions: usize) -> Result<Self> {
        let pool = Pool::new(threads()?).context("cannot start the threads that compute")?;
        let compute = Compute::new(choose().path, pool, Fusions::ALL);
        let solo = Solo::load(source, budget, positions, KvKind::F16, compute)?;
        let context = solo.model().context();
        ensure!(
            context >= positions,
            "{} was trained for {context} tokens",
            source.path().display()
        );
        Ok(Self { solo })
    }

    /// The tokens of a text, without any that the template would add.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.solo.model().vocabulary.encode(text)?)
    }

    /// The token that a text of this model begins with, where it does.
    pub fn first(&self) -> Option<u32> {
        self.solo.model().vocabulary.first()
    }
}

impl Subject for Hearth {
    fn start(&mut self) -> Result<()> {
        self.solo.start();
        Ok(())
    }

    fn run(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        Ok(self.solo.run(tokens)?.to_vec())
    }
}

/// As many as candle is told to use, so that both use the same.
fn threads() -> Result<usize> {
    let told = std::env::var("RAYON_NUM_THREADS").ok();
    let told = told.and_then(|threads| threads.parse().ok());
    told.map_or_else(|| Ok(std::thread::available_parallelism()?.get()), Ok)
}
