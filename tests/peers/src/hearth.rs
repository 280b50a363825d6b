//! Our engine, called as a library: the one file here that knows it.

use std::path::Path;

use anyhow::{Result, ensure};
use engine::kv::KvCache;
use engine::model::Model;

use crate::subject::Subject;

/// Tokens of a prompt that are run at once.
const CHUNK: usize = 32;

/// A loaded model with one sequence.
pub struct Hearth {
    model: Model,
    kv: KvCache,
}

impl Hearth {
    /// Loads a model for sequences of up to `positions` tokens.
    pub fn load(path: &Path, positions: usize) -> Result<Self> {
        let model = Model::load(path, positions)?;
        ensure!(
            model.context() >= positions,
            "{} was trained for {} tokens",
            path.display(),
            model.context()
        );
        Ok(Self {
            kv: model.new_kv()?,
            model,
        })
    }

    /// The tokens of a text, without any that the template would add.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.model.vocabulary.encode(text)?)
    }
}

impl Subject for Hearth {
    fn start(&mut self) -> Result<()> {
        self.kv = self.model.new_kv()?;
        Ok(())
    }

    fn run(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let last = (tokens.len() - 1) / CHUNK * CHUNK;
        for part in tokens[..last].chunks(CHUNK) {
            self.model.llama.prefill(part, &mut self.kv)?;
        }
        Ok(self.model.llama.forward(&tokens[last..], &mut self.kv)?)
    }
}
