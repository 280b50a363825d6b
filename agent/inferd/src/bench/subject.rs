//! What is measured: the one file of the measurement that knows the engine.

use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use engine::catalog::Source;
use engine::hyperparameters::Hyperparameters;
use engine::kv::KvCache;
use engine::solo::Solo;
use kernels::compute::{Compute, Fusions};
use kernels::kv::KvKind;
use kernels::path::Path;
use kernels::pool::Pool;
use store::manifest::Manifest;

use super::place::Place;
use crate::cpu;

/// Bytes of a key's or value's element.
const KV_ELEMENT: u64 = 2;
/// Most threads that fill a sequence.
const MOST_FILLING: usize = 16;
const OUTPUT: &str = "output.weight";

/// A loaded model with one sequence.
pub(super) struct Subject {
    solo: Solo,
    manifest: Manifest,
}

impl Subject {
    /// Loads a model for sequences of up to `positions` tokens. `HEARTH_CPU` may name the instructions that compute.
    pub(super) fn load(place: &Place, positions: usize, threads: u16) -> Result<Self> {
        let forced = std::env::var("HEARTH_CPU").ok();
        let forced = forced.map(|name| Path::from_environment(&name)).transpose()?;
        let cpu = cpu::choose(forced, None);
        cpu::place(usize::from(threads));
        let pool = Pool::new(usize::from(threads)).context("cannot start the threads that compute")?;
        let compute = Compute::new(cpu, pool, Fusions::ALL);
        let (store, id) = place.open()?;
        let manifest = store.manifest(&id)?;
        let source = Source::Stored(Arc::new(store), id);
        let solo = Solo::load(&source, None, positions, KvKind::F16, compute)?;
        if solo.model().context() < positions {
            bail!(
                "{} was trained for {} tokens, and {positions} are asked for",
                place.name,
                solo.model().context()
            );
        }
        Ok(Self { solo, manifest })
    }

    /// The element type that most bytes of its weights have.
    pub(super) fn kind(&self) -> &str {
        &self.manifest.model.summary.kind
    }

    /// Bytes of the files that it was packed from.
    pub(super) fn file_bytes(&self) -> u64 {
        self.manifest.model.sources.iter().map(|file| file.bytes).sum()
    }

    /// Which instructions compute.
    pub(super) fn path(&self) -> String {
        self.solo.compute().path().instructions().name().to_owned()
    }

    /// Tokens of its vocabulary.
    pub(super) fn vocabulary(&self) -> usize {
        self.parameters().vocabulary
    }

    /// Bytes of weights that a pass over one token reads: all but the table of embeddings, unless that is the output's
    /// matrix, too.
    pub(super) fn weight_bytes(&self) -> u64 {
        let model = &self.manifest.model;
        let tied = model.tensors.iter().all(|tensor| tensor.name != OUTPUT);
        let embedding = model.segments.first().map_or(0, |segment| segment.bytes);
        model.bytes() - if tied { 0 } else { embedding as u64 }
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

    /// A sequence that has seen these tokens. It is not what is measured, so all processors read them.
    pub(super) fn fill(&mut self, tokens: &[u32]) -> Result<KvCache> {
        self.solo.start();
        if !tokens.is_empty() {
            let all = available_parallelism().context("cannot count the processors that may be used")?;
            let pool = Pool::new(all.get().min(MOST_FILLING)).context("cannot start threads")?;
            let mut compute = Compute::new(self.solo.compute().path(), pool, Fusions::ALL);
            self.solo.read_by(&mut compute, tokens)?;
        }
        Ok(self.solo.seen())
    }

    /// Begins a sequence anew, after what another has seen.
    pub(super) fn start_after(&mut self, seen: &KvCache) {
        self.solo.start_after(seen);
    }

    /// Runs tokens through the model, up to the logits after the last one.
    pub(super) fn prompt(&mut self, tokens: &[u32]) -> Result<()> {
        self.solo.run(tokens)?;
        Ok(())
    }
}
