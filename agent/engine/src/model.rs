//! A model that is ready to answer: weights, vocabulary, template.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file::Content;

use crate::error::{LoadError, RequestError};
use crate::gguf;
use crate::kv::KvCache;
use crate::llama::Llama;
use crate::template::{ChatTemplate, Message};
use crate::vocabulary::Vocabulary;

/// A model that is ready to answer.
pub struct Model {
    /// The weights.
    pub llama: Llama,
    /// Its tokens.
    pub vocabulary: Vocabulary,
    template: ChatTemplate,
    context: usize,
}

impl Model {
    /// Loads a GGUF file. `context` is the most tokens that a sequence may have; less if the model was trained for
    /// less.
    pub fn load(path: &Path, context: usize) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::new(File::open(path).map_err(io)?);
        let bytes = file.get_ref().metadata().map_err(io)?.len();
        gguf::check(&mut file, bytes).map_err(|source| LoadError::Head {
            path: path.to_owned(),
            source,
        })?;
        std::io::Seek::rewind(&mut file).map_err(io)?;
        let content = Content::read(&mut file).map_err(|source| LoadError::Candle {
            path: path.to_owned(),
            source,
        })?;
        let vocabulary = Vocabulary::read(&content, path)?;
        let template = ChatTemplate::read(&content, path, &vocabulary)?;
        let context = context.min(crate::hyperparameters::Hyperparameters::read(&content, path)?.context);
        let llama = Llama::load(&content, &mut file, path, context)?;
        Ok(Self {
            llama,
            vocabulary,
            template,
            context,
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
    pub fn new_kv(&self) -> Result<KvCache, RequestError> {
        let kv = KvCache::new(self.llama.parameters(), self.context);
        kv.map_err(|error| RequestError::Internal(error.to_string()))
    }
}
