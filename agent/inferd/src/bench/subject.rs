//! What is measured: the one file of the measurement that knows the engine.

use std::path::Path;

use anyhow::{Context, Result, bail};
use engine::hyperparameters::Hyperparameters;
use engine::kv::KvCache;
use engine::model::Model;
use store::source::Source;

/// Tokens of a prompt that are run at once, as `inferd serve` does.
const CHUNK: usize = 32;
/// Bytes of a key's or value's element.
const KV_ELEMENT: u64 = 4;
const EMBEDDING: &str = "token_embd.weight";
const OUTPUT: &str = "output.weight";

/// A loaded model with one sequence.
pub(super) struct Subject {
    model: Model,
    kv: KvCache,
    name: String,
    source: Source,
}

impl Subject {
    /// The variables that a process is to be started with, so that it computes with that many threads.
    pub(super) fn environment(threads: u16) -> [(&'static str, String); 2] {
        ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"].map(|name| (name, threads.to_string()))
    }

    /// Loads a model for sequences of up to `positions` tokens.
    pub(super) fn load(path: &Path, positions: usize) -> Result<Self> {
        let model = Model::load(path, positions)?;
        if model.context() < positions {
            bail!(
                "{} was trained for {} tokens, and {positions} are asked for",
                path.display(),
                model.context()
            );
        }
        let name = path
            .file_stem()
            .context("a model without a name")?
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            kv: model.new_kv()?,
            model,
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
        "candle".to_owned()
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
        self.model.llama.parameters()
    }

    /// Begins a sequence anew, with these tokens in it.
    pub(super) fn start_after(&mut self, tokens: &[u32]) -> Result<()> {
        self.kv = self.model.new_kv()?;
        tokens
            .chunks(CHUNK)
            .try_for_each(|part| Ok(self.model.llama.prefill(part, &mut self.kv)?))
    }

    /// Runs tokens through the model, up to the logits after the last one.
    pub(super) fn prompt(&mut self, tokens: &[u32]) -> Result<()> {
        let last = (tokens.len() - 1) / CHUNK * CHUNK;
        for part in tokens[..last].chunks(CHUNK) {
            self.model.llama.prefill(part, &mut self.kv)?;
        }
        self.model.llama.forward(&tokens[last..], &mut self.kv)?;
        Ok(())
    }
}
