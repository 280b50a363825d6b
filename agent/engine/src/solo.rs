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
    /// Loads a model for sequences of up to `context` tokens, or as many as it was trained for, with at most `budget`
    /// bytes of weights in memory.
    pub fn load(
        source: &Source,
        budget: Option<usize>,
        context: usize,
        kv: KvKind,
        compute: Compute,
    ) -> Result<Self, LoadError> {
        let (model, graph) = model::load(source, budget, context, kv)?;
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

    /// What the sequence has seen so far, to begin others with.
    pub fn seen(&self) -> KvCache {
        self.kv.branch()
    }

    /// Begins a sequence that has seen what another had.
    pub fn start_after(&mut self, seen: &KvCache) {
        self.kv = seen.branch();
    }

    /// Appends tokens without asking for logits.
    pub fn read(&mut self, tokens: &[u32]) -> Result<(), ForwardError> {
        read(&mut self.graph, &mut self.compute, &mut self.kv, tokens)
    }

    /// As [`Self::read`], and with the same outcome, by other threads.
    pub fn read_by(&mut self, compute: &mut Compute, tokens: &[u32]) -> Result<(), ForwardError> {
        read(&mut self.graph, compute, &mut self.kv, tokens)
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

fn read(
    graph: &mut Graph,
    compute: &mut Compute,
    kv: &mut KvCache,
    tokens: &[u32],
) -> Result<(), ForwardError> {
    for tokens in tokens.chunks(CHUNK) {
        let mut part = [Part {
            tokens,
            kv,
            logits: false,
        }];
        graph.forward(compute, &mut part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernels::compute::Fusions;
    use kernels::path::Path;
    use kernels::pool::Pool;

    use super::*;
    use crate::tiny;

    fn compute(threads: usize) -> Compute {
        Compute::new(Path::SCALAR, Pool::new(threads).unwrap(), Fusions::ALL)
    }

    #[test]
    fn what_was_seen_can_be_gone_on_from_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiny.gguf");
        tiny::write(&file, 256).unwrap();
        let mut solo = Solo::load(&Source::Gguf(file), None, 256, KvKind::F16, compute(1)).unwrap();
        for seen in [64, 100] {
            let (seen, next): (Vec<u32>, _) = ((0..seen).map(|token| token % 50).collect(), [7, 8]);
            solo.start();
            solo.read(&seen).unwrap();
            let expected = solo.run(&next).unwrap().to_vec();
            solo.start();
            solo.read_by(&mut compute(2), &seen).unwrap();
            let kept = solo.seen();
            for _ in 0..2 {
                solo.run(&[9, 10, 11]).unwrap();
                solo.start_after(&kept);
                assert_eq!(solo.run(&next).unwrap(), expected);
            }
        }
    }
}
