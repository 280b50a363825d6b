//! One model with one sequence, computed by whoever calls: for measuring and comparing.

use kernels::compute::Compute;
use kernels::kv::KvKind;

use crate::catalog::Source;
use crate::error::{ForwardError, LoadError};
use crate::graph::{Graph, Part};
use crate::hyperparameters::Hyperparameters;
use crate::kv::KvCache;
use crate::model::{self, Model};

/// Tokens that are run at once.
const CHUNK: usize = 512;

/// A loaded model with one sequence.
pub struct Solo {
    model: Model,
    graph: Graph,
    compute: Compute,
    kv: KvCache,
}

impl Solo {
    /// Loads a model for sequences of up to `context` tokens, or as many as it was trained for.
    pub fn load(source: &Source, context: usize, kv: KvKind, compute: Compute) -> Result<Self, LoadError> {
        let (model, graph) = model::load(source, None, context, kv)?;
        Ok(Self {
            kv: model.new_kv(),
            model,
            graph,
            compute,
        })
    }

    /// Its vocabulary and template.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Its dimensions.
    pub fn parameters(&self) -> &Hyperparameters {
        self.graph.parameters()
    }

    /// What computes.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Begins a sequence anew.
    pub fn start(&mut self) {
        self.kv = self.model.new_kv();
    }

    /// Appends tokens without asking for logits.
    pub fn read(&mut self, tokens: &[u32]) -> Result<(), ForwardError> {
        for tokens in tokens.chunks(CHUNK) {
            let mut part = [Part {
                tokens,
                kv: &mut self.kv,
                logits: false,
            }];
            self.graph.forward(&mut self.compute, &mut part)?;
        }
        Ok(())
    }

    /// Appends tokens, of which there is at least one, and gives the logits after the last, `[vocabulary]`.
    pub fn run(&mut self, tokens: &[u32]) -> Result<&[f32], ForwardError> {
        let last = (tokens.len() - 1) / CHUNK * CHUNK;
        self.read(&tokens[..last])?;
        let mut part = [Part {
            tokens: &tokens[last..],
            kv: &mut self.kv,
            logits: true,
        }];
        let logits = self.graph.forward(&mut self.compute, &mut part)?;
        Ok(logits.row(0))
    }
}
