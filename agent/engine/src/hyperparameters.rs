//! A model's dimensions, read from GGUF metadata and checked before anything is allocated by them.

use std::path::Path;

use kernels::ops::RopeScaling;
use store::metadata::Metadata;

use crate::error::LoadError;
use crate::family::{FAMILIES, Family};
use crate::keys::Keys;
use crate::quote::quoted;

/// What widths are a multiple of: activations are rounded in blocks of so many.
const BLOCK: usize = 32;
/// Scales that some models of these families have and the graph does not.
const OTHER_SCALES: [&str; 5] = [
    "logit_scale",
    "embedding_scale",
    "residual_scale",
    "attention.scale",
    "rope.scaling.yarn_log_multiplier",
];

/// Dimensions of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyperparameters {
    /// What kind of model it is.
    pub family: &'static Family,
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
    pub rope_base: f64,
    /// How rotary angles are scaled, beside factors that may be among the tensors.
    pub rope_scaling: RopeScaling,
    /// Added under the root of RMSNorm.
    pub rms_epsilon: f32,
}

impl Hyperparameters {
    /// Reads and checks them.
    pub fn read(metadata: &Metadata, path: &Path) -> Result<Self, LoadError> {
        let keys = Keys::new(metadata, path);
        let family = family(&keys)?;
        let reader = Reader { keys, family };
        reader.refuse_unsupported()?;
        let heads = reader.count("attention.head_count", 1..=1_024)?;
        let width = reader.count("embedding_length", 1..=65_536)?;
        let parameters = Self {
            family,
            layers: reader.count("block_count", 1..=512)?,
            width,
            feed_forward: reader.count("feed_forward_length", 1..=1_048_576)?,
            heads,
            kv_heads: reader.count("attention.head_count_kv", 1..=heads)?,
            head_dim: reader.head_dim(width, heads)?,
            context: reader.count("context_length", 1..=16_777_216)?,
            vocabulary: reader.vocabulary()?,
            rope_base: reader.float("rope.freq_base", 1.0, 1e12)?.unwrap_or(10_000.0),
            rope_scaling: reader.scaling()?,
            rms_epsilon: reader.epsilon()?,
        };
        reader.check(&parameters)?;
        Ok(parameters)
    }

    /// Elements of all heads' queries.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Elements of all heads' keys, or values.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

fn family(keys: &Keys) -> Result<&'static Family, LoadError> {
    let key = "general.architecture";
    let found = keys.text(key)?.unwrap_or_default();
    Family::of(found).ok_or_else(|| {
        let supported = FAMILIES.map(|family| family.name).join(", ");
        keys.problem(key, format!("is `{}`; supported are: {supported}", quoted(found)))
    })
}

/// Keys that begin with a family's name.
struct Reader<'a> {
    keys: Keys<'a>,
    family: &'static Family,
}

impl Reader<'_> {
    fn key(&self, rest: &str) -> String {
        format!("{}.{rest}", self.family.name)
    }

    fn problem(&self, rest: &str, problem: impl Into<String>) -> LoadError {
        self.keys.problem(&self.key(rest), problem)
    }

    fn count(&self, rest: &str, allowed: std::ops::RangeInclusive<usize>) -> Result<usize, LoadError> {
        self.keys.count(&self.key(rest), allowed)
    }

    fn float(&self, rest: &str, low: f64, high: f64) -> Result<Option<f64>, LoadError> {
        self.keys.float_between(&self.key(rest), low, high)
    }

    fn vocabulary(&self) -> Result<usize, LoadError> {
        let key = "tokenizer.ggml.tokens";
        match self.keys.texts(key)?.len() {
            0 => Err(self.keys.problem(key, "is empty")),
            count => Ok(count),
        }
    }

    fn epsilon(&self) -> Result<f32, LoadError> {
        let key = "attention.layer_norm_rms_epsilon";
        let found = self.float(key, 0.0, 1.0)?;
        found
            .map(|epsilon| epsilon as f32)
            .ok_or_else(|| self.problem(key, "is missing"))
    }

    fn head_dim(&self, width: usize, heads: usize) -> Result<usize, LoadError> {
        let length = |rest: &str| self.keys.optional_count(&self.key(rest), 2..=1_024);
        let (keys, values) = (length("attention.key_length")?, length("attention.value_length")?);
        let head_dim = match keys {
            Some(keys) => keys,
            None if width.is_multiple_of(heads) => width / heads,
            None => {
                let problem = format!("is {width}, which {heads} heads do not divide evenly");
                return Err(self.problem("embedding_length", problem));
            }
        };
        if let Some(values) = values.filter(|&values| values != head_dim) {
            let problem = format!("is {values}; only the keys' length, {head_dim}, is supported");
            return Err(self.problem("attention.value_length", problem));
        }
        Ok(head_dim)
    }

    fn check(&self, p: &Hyperparameters) -> Result<(), LoadError> {
        for (rest, elements) in [
            ("embedding_length", p.width),
            ("feed_forward_length", p.feed_forward),
            ("attention.key_length", p.head_dim),
        ] {
            if !elements.is_multiple_of(BLOCK) {
                let problem = format!("is {elements}; multiples of {BLOCK} are supported");
                return Err(self.problem(rest, problem));
            }
        }
        if !p.heads.is_multiple_of(p.kv_heads) {
            let problem = format!("is {}, which does not divide the {} heads", p.kv_heads, p.heads);
            return Err(self.problem("attention.head_count_kv", problem));
        }
        let key = self.key("rope.dimension_count");
        if let Some(rope) = self.keys.optional_count(&key, 1..=p.width)?
            && rope != p.head_dim
        {
            let problem = format!("is {rope}; only the whole head, {}, is supported", p.head_dim);
            return Err(self.keys.problem(&key, problem));
        }
        Ok(())
    }

    /// Parts of an architecture that the graph lacks are refused by name; else answers would be silently wrong.
    fn refuse_unsupported(&self) -> Result<(), LoadError> {
        if let Some(experts @ 1..) = self.keys.integer(&self.key("expert_count"))? {
            let problem = format!("is {experts}; models with experts are not supported");
            return Err(self.problem("expert_count", problem));
        }
        let window = self.keys.integer(&self.key("attention.sliding_window"))?;
        let context = self.keys.integer(&self.key("context_length"))?;
        if let Some(window @ 1..) = window.filter(|&window| context.is_none_or(|context| window < context)) {
            let problem =
                format!("is {window}; attention that looks back on less than the context is not supported");
            return Err(self.problem("attention.sliding_window", problem));
        }
        for rest in OTHER_SCALES {
            if self.keys.get(&self.key(rest)).is_some() {
                return Err(self.problem(rest, "is there, and is not supported"));
            }
        }
        Ok(())
    }

    fn scaling(&self) -> Result<RopeScaling, LoadError> {
        let key = "rope.scaling.type";
        let factor = || {
            let factor = self.float("rope.scaling.factor", 0.0, 1e6)?;
            factor.ok_or_else(|| self.problem("rope.scaling.factor", "is missing"))
        };
        match self.keys.text(&self.key(key))? {
            None | Some("none") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear { factor: factor()? }),
            Some("yarn") => self.yarn(factor()?),
            Some(other) => {
                let problem = format!("is `{}`; supported are: none, linear, yarn", quoted(other));
                Err(self.problem(key, problem))
            }
        }
    }

    fn yarn(&self, factor: f64) -> Result<RopeScaling, LoadError> {
        let within = |rest: &str| self.float(rest, 0.0, 1e6);
        let key = "rope.scaling.yarn_ext_factor";
        if let Some(value) = self.keys.float(&self.key(key))?.filter(|&value| value != 1.0) {
            return Err(self.problem(key, format!("is {value}; only 1 is supported")));
        }
        Ok(RopeScaling::Yarn {
            factor,
            original_context: self.count("rope.scaling.original_context_length", 1..=16_777_216)? as f64,
            beta_fast: within("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            beta_slow: within("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
            attention_factor: within("rope.scaling.attn_factor")?.unwrap_or(1.0),
        })
    }
}
