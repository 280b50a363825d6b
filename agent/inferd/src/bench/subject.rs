//! What is measured: the one file of the measurement that knows the engine.

use std::path::Path;

use anyhow::{Context, Result, bail};
use engine::catalog;
use engine::hyperparameters::Hyperparameters;
use engine::solo::Solo;
use kernels::compute::{Compute, Fusions};
use kernels::kv::KvKind;
use kernels::pool::Pool;
use store::source::Source;

use crate::cpu;

/// Bytes of a key's or value's element.
const KV_ELEMENT: u64 = 2;
const EMBEDDING: &str = "token_embd.weight";
const OUTPUT: &str = "output.weight";

/// A loaded model with one sequence.
pub(super) struct Subject {
    solo: Solo,
    name: String,
    source: Source,
}

impl Subject {
    /// Loads a model for sequences of up to `positions` tokens. `HEARTH_CPU` may name the instructions that compute.
    pub(super) fn load(path: &Path, positions: usize, threads: u16) -> Result<Self> {
        let cpu = cpu::choose(std::env::var("HEARTH_CPU").ok().as_deref(), None)?;
        let pool = Pool::new(usize::from(threads)).context("cannot start the threads that compute")?;
        let compute = Compute::new(cpu, pool, Fusions::ALL);
        let source = catalog::Source::Gguf(path.to_owned());
        let solo = Solo::load(&source, positions, KvKind::F16, compute)?;
        if solo.model().context() < positions {
            bail!(
                "{} was trained for {} tokens, and {positions} are asked for",
                path.display(),
                solo.model().context()
            );
        }
        let name = path
            .file_stem()
            .context("a model without a name")?
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            solo,
            name,
            source: Source::open(path)?,
        })
    }

    /// The file's name without its ending.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The element type that most bytes of its weights have.
    pub(super) fn kind(&self) -> String {
        let kinds = self.source.tensors().map(|tensor| tensor.kind);
        let bytes = |kind| -> u64 {
            self.source
                .tensors()
                .filter(|tensor| tensor.kind == kind)
                .map(|tensor| tensor.bytes)
                .sum()
        };
        kinds
            .max_by_key(|&kind| bytes(kind))
            .map_or_else(String::new, |kind| kind.name().to_owned())
    }

    /// Bytes of its files.
    pub(super) fn file_bytes(&self) -> u64 {
        self.source.files().map(|(_, bytes)| bytes).sum()
    }

    /// Which instructions compute.
    pub(super) fn path(&self) -> String {
        self.solo.compute().path().instructions().name().to_owned()
    }

    /// Tokens of its vocabulary.
    pub(super) fn vocabulary(&self) -> usize {
        self.parameters().vocabulary
    }

    /// Bytes of weights that one pass reads: all but the table of embeddings, unless that is the output's matrix, too.
    pub(super) fn weight_bytes(&self) -> u64 {
        let tied = self.source.tensors().all(|tensor| tensor.name != OUTPUT);
        let read = self
            .source
            .tensors()
            .filter(|tensor| tied || tensor.name != EMBEDDING);
        read.map(|tensor| tensor.bytes).sum()
    }

    /// Bytes of keys and values of that many tokens.
    pub(super) fn kv_bytes(&self, positions: usize) -> u64 {
        let Hyperparameters {
            layers,
            kv_heads,
            head_dim,
            ..
        } = *self.parameters();
        (positions * layers * kv_heads * head_dim * 2) as u64 * KV_ELEMENT
    }

    fn parameters(&self) -> &Hyperparameters {
        self.solo.parameters()
    }

    /// Begins a sequence anew, with these tokens in it.
    pub(super) fn start_after(&mut self, tokens: &[u32]) -> Result<()> {
        self.solo.start();
        Ok(self.solo.read(tokens)?)
    }

    /// Runs tokens through the model, up to the logits after the last one.
    pub(super) fn prompt(&mut self, tokens: &[u32]) -> Result<()> {
        self.solo.run(tokens)?;
        Ok(())
    }
}
