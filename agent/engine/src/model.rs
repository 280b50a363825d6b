//! A model that is ready to answer: vocabulary, template, and the graph with its weights.

use std::path::Path;

use kernels::kv::{KvKind, KvShape};
use store::packed::Packed;

use crate::catalog::Source;
use crate::error::{LoadError, RequestError};
use crate::graph::Graph;
use crate::hyperparameters::Hyperparameters;
use crate::kv::KvCache;
use crate::template::{ChatTemplate, Message};
use crate::vocabulary::Vocabulary;

/// What sequences need of a model beside its arithmetic.
pub struct Model {
    /// Its tokens.
    pub vocabulary: Vocabulary,
    template: ChatTemplate,
    context: usize,
    kv: KvShape,
}

/// Loads a model and what computes it. `budget` is the most bytes of weights in memory at a time, `context` the most
/// tokens that a sequence may have; less if the model was trained for less.
pub fn load(
    source: &Source,
    budget: Option<usize>,
    context: usize,
    kv: KvKind,
) -> Result<(Model, Graph), LoadError> {
    let packed = source.load(budget)?;
    let path = &source.path();
    let model = Model::read(&packed, path, context, kv)?;
    let graph = Graph::new(packed, path)?;
    Ok((model, graph))
}

impl Model {
    fn read(packed: &Packed, path: &Path, context: usize, kv: KvKind) -> Result<Self, LoadError> {
        let metadata = packed.metadata();
        let parameters = Hyperparameters::read(metadata, path)?;
        let kv = KvShape::new(parameters.layers, parameters.kv_heads, parameters.head_dim, kv);
        let vocabulary = Vocabulary::read(metadata, path)?;
        Ok(Self {
            template: ChatTemplate::read(metadata, path, &vocabulary)?,
            vocabulary,
            context: context.min(parameters.context),
            kv: kv.map_err(|error| LoadError::Kv {
                path: path.to_owned(),
                error,
            })?,
        })
    }

    /// Most tokens that a sequence may have.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The tokens of a conversation. Fails if they leave no room for an answer.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, RequestError> {
        let context = self.context;
        let said: usize = messages.iter().map(|message| message.content.len()).sum();
        let at_least = said / self.vocabulary.longest();
        if at_least >= context {
            return Err(RequestError::ContextLength {
                prompt: at_least,
                context,
            });
        }
        let tokens = self.template.tokens(messages, &self.vocabulary)?;
        match tokens.len() {
            0 => Err(RequestError::Template(
                "it makes nothing of the messages".to_owned(),
            )),
            prompt if prompt >= context => Err(RequestError::ContextLength { prompt, context }),
            _ => Ok(tokens),
        }
    }

    /// Room for a new sequence.
    pub fn new_kv(&self) -> KvCache {
        KvCache::new(self.kv, self.context)
    }
}
