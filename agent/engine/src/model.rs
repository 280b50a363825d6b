//! A model that is ready to answer: vocabulary, template, and the graph with its weights.

use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use kernels::kv::{KvKind, KvShape};
use store::metadata::Metadata;

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
    let (opened, path) = (source.open()?, &source.path());
    // The vocabulary takes as long as the weights of a small model.
    thread::scope(|scope| {
        let weights = scope.spawn(|| opened.load(budget));
        let model = Model::read(opened.metadata(), path, context, kv);
        let packed = weights.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok((model?, Graph::new(packed?, path)?))
    })
}

impl Model {
    fn read(metadata: &Metadata, path: &Path, context: usize, kv: KvKind) -> Result<Self, LoadError> {
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
