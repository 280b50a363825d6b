//! A model's dimensions, read from GGUF metadata and checked before anything is allocated by them.

use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};

use crate::error::LoadError;

/// Architectures that the graph in [`crate::llama`] computes.
pub const ARCHITECTURES: [&str; 1] = ["llama"];

/// Dimensions of a Llama-family model.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyperparameters {
    /// Layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Width inside the feed-forward network.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides [`Self::heads`].
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Tokens that the model was trained to look back on.
    pub context: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// Added under the root of RMSNorm.
    pub rms_epsilon: f64,
}

impl Hyperparameters {
    /// Reads and checks them.
    pub fn read(content: &Content, path: &Path) -> Result<Self, LoadError> {
        let keys = Keys { content, path };
        keys.supported()?;
        let width = keys.count("llama.embedding_length", 1..=65_536)?;
        let heads = keys.count("llama.attention.head_count", 1..=1_024)?;
        let kv_heads = keys.count("llama.attention.head_count_kv", 1..=heads)?;
        let parameters = Self {
            layers: keys.count("llama.block_count", 1..=512)?,
            width,
            feed_forward: keys.count("llama.feed_forward_length", 1..=1_048_576)?,
            heads,
            kv_heads,
            head_dim: width / heads,
            context: keys.count("llama.context_length", 1..=16_777_216)?,
            vocabulary: keys.vocabulary()?,
            rope_base: keys.float("llama.rope.freq_base")?.unwrap_or(10_000.0),
            rms_epsilon: f64::from(keys.required_float("llama.attention.layer_norm_rms_epsilon")?),
        };
        parameters.check(&keys)?;
        Ok(parameters)
    }

    fn check(&self, keys: &Keys) -> Result<(), LoadError> {
        if !self.width.is_multiple_of(self.heads) || !self.head_dim.is_multiple_of(2) {
            let problem = format!(
                "is {}, which {} heads do not divide evenly",
                self.width, self.heads
            );
            return Err(keys.problem("llama.embedding_length", problem));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let problem = format!(
                "is {}, which does not divide the {} heads",
                self.kv_heads, self.heads
            );
            return Err(keys.problem("llama.attention.head_count_kv", problem));
        }
        let rope = keys.count("llama.rope.dimension_count", 1..=self.width)?;
        if rope != self.head_dim {
            let problem = format!("is {rope}; only the whole head, {}, is supported", self.head_dim);
            return Err(keys.problem("llama.rope.dimension_count", problem));
        }
        if !(self.rope_base.is_finite() && self.rope_base > 0.0) {
            return Err(keys.problem("llama.rope.freq_base", format!("is {}", self.rope_base)));
        }
        if !(self.rms_epsilon > 0.0 && self.rms_epsilon < 1.0) {
            let problem = format!("is {}; above 0 and below 1 is allowed", self.rms_epsilon);
            return Err(keys.problem("llama.attention.layer_norm_rms_epsilon", problem));
        }
        Ok(())
    }
}

/// Metadata of one file, with errors that name it.
pub(crate) struct Keys<'a> {
    pub(crate) content: &'a Content,
    pub(crate) path: &'a Path,
}

impl<'a> Keys<'a> {
    pub(crate) fn problem(&self, key: &str, problem: impl Into<String>) -> LoadError {
        LoadError::Key {
            path: self.path.to_owned(),
            key: key.to_owned(),
            problem: problem.into(),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, LoadError> {
        match self.content.metadata.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.problem(key, format!("is {:?}, not a string", other.value_type()))),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, LoadError> {
        match self.content.metadata.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.problem(
                key,
                format!("is {:?}, neither true nor false", other.value_type()),
            )),
        }
    }

    pub(crate) fn integer(&self, key: &str) -> Result<Option<u64>, LoadError> {
        match self.content.metadata.get(key) {
            None => Ok(None),
            Some(value) => value
                .to_u64()
                .map(Some)
                .map_err(|_| self.problem(key, format!("is {:?}, not a whole number", value.value_type()))),
        }
    }

    /// The strings of an array.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&'a str>, LoadError> {
        let Some(Value::Array(values)) = self.content.metadata.get(key) else {
            return Err(self.problem(key, "is missing, or is not an array"));
        };
        let text = |value: &'a Value| match value {
            Value::String(text) => Ok(text.as_str()),
            _ => Err(self.problem(key, "has an element that is not a string")),
        };
        values.iter().map(text).collect()
    }

    fn float(&self, key: &str) -> Result<Option<f32>, LoadError> {
        match self.content.metadata.get(key) {
            None => Ok(None),
            Some(Value::F32(value)) => Ok(Some(*value)),
            Some(other) => Err(self.problem(key, format!("is {:?}, not a 32-bit float", other.value_type()))),
        }
    }

    fn required_float(&self, key: &str) -> Result<f32, LoadError> {
        self.float(key)?.ok_or_else(|| self.problem(key, "is missing"))
    }

    fn count(&self, key: &str, allowed: std::ops::RangeInclusive<usize>) -> Result<usize, LoadError> {
        let found = self
            .integer(key)?
            .ok_or_else(|| self.problem(key, "is missing"))?;
        usize::try_from(found)
            .ok()
            .filter(|count| allowed.contains(count))
            .ok_or_else(|| {
                let problem = format!("is {found}; {} to {} is allowed", allowed.start(), allowed.end());
                self.problem(key, problem)
            })
    }

    fn vocabulary(&self) -> Result<usize, LoadError> {
        match self.content.metadata.get("tokenizer.ggml.tokens") {
            Some(Value::Array(tokens)) if !tokens.is_empty() => Ok(tokens.len()),
            _ => Err(self.problem("tokenizer.ggml.tokens", "is missing or empty")),
        }
    }

    fn supported(&self) -> Result<(), LoadError> {
        let key = "general.architecture";
        let found = self.text(key)?.unwrap_or_default();
        if !ARCHITECTURES.contains(&found) {
            let problem = format!("is `{found}`; supported is: {}", ARCHITECTURES.join(", "));
            return Err(self.problem(key, problem));
        }
        if let Some(experts @ 2..) = self.integer("llama.expert_count")? {
            let problem = format!("is {experts}; models with experts are not supported");
            return Err(self.problem("llama.expert_count", problem));
        }
        match self.text("llama.rope.scaling.type")? {
            None | Some("none") => {}
            Some(other) => {
                let problem = format!("is `{other}`; only `none` is supported");
                return Err(self.problem("llama.rope.scaling.type", problem));
            }
        }
        if self.content.tensor_infos.contains_key("rope_freqs.weight") {
            return Err(self.problem(
                "rope_freqs.weight",
                "is there; scaled rotary frequencies are not supported",
            ));
        }
        Ok(())
    }
}
