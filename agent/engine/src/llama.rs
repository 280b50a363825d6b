//! The Llama family's graph on candle tensors.
//!
//! It does what candle-transformers' `quantized_llama` does, operation by operation and in the same order, so that
//! its logits can be compared bit for bit; what differs is around the arithmetic: each sequence has its own keys and
//! values in storage that grows, shared keys are read where they are instead of repeated, and the embedding stays
//! quantised.
//!
//! Tensors here are `[positions, width]` and `[heads, positions, head_dim]`; there is no batch dimension.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::Content;
use candle_core::{DType, Device, Result, Tensor};

use crate::error::LoadError;
use crate::hyperparameters::{Hyperparameters, Keys};
use crate::kv::KvCache;
use crate::matrix::{Matrix, Ways};

/// A model's weights.
pub struct Llama {
    parameters: Hyperparameters,
    embedding: Arc<QTensor>,
    layers: Vec<Layer>,
    norm: Norm,
    output: Matrix,
    rope: Rope,
    ways: Ways,
}

struct Layer {
    attention_norm: Norm,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    attention_output: Matrix,
    feed_forward_norm: Norm,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

impl Llama {
    /// Reads the weights. `context` is how many positions the rotary table is made for.
    pub fn load(
        content: &Content,
        file: &mut BufReader<File>,
        path: &Path,
        context: usize,
    ) -> std::result::Result<Self, LoadError> {
        let parameters = Hyperparameters::read(content, path)?;
        let candle = |source| LoadError::Candle {
            path: path.to_owned(),
            source,
        };
        let ways = Ways::measure().map_err(candle)?;
        let mut tensors = Tensors {
            ways,
            keys: Keys { content, path },
            file,
        };
        let (width, vocabulary) = (parameters.width, parameters.vocabulary);
        let embedding = Arc::new(tensors.quantised("token_embd.weight", &[vocabulary, width])?);
        let output = match content.tensor_infos.contains_key("output.weight") {
            true => Arc::new(tensors.quantised("output.weight", &[vocabulary, width])?),
            false => Arc::clone(&embedding),
        };
        let norm = tensors.norm("output_norm.weight", &parameters)?;
        let layers = (0..parameters.layers)
            .map(|index| tensors.layer(index, &parameters))
            .collect::<std::result::Result<_, _>>()?;
        let rope = Rope::new(&parameters, context).map_err(candle)?;
        let output = Matrix::new(output, ways).map_err(candle)?;
        Ok(Self {
            parameters,
            embedding,
            layers,
            norm,
            output,
            rope,
            ways,
        })
    }

    /// Its dimensions.
    pub fn parameters(&self) -> &Hyperparameters {
        &self.parameters
    }

    /// How it is computed on this machine.
    pub fn ways(&self) -> Ways {
        self.ways
    }

    /// Runs tokens through the layers, appending to `kv`, and returns the last one's residual, `[1, width]`.
    fn run(&self, tokens: &[u32], kv: &mut KvCache) -> Result<Tensor> {
        kv.reserve(tokens.len())?;
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let mask = (tokens.len() > 1)
            .then(|| causal_mask(tokens.len(), kv.length()))
            .transpose()?;
        let mut x = self.embedding.embedding(&ids)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let attention = self.attend(
                index,
                layer,
                &layer.attention_norm.forward(&x)?,
                mask.as_ref(),
                kv,
            )?;
            x = (attention + &x)?;
            x = (layer.feed_forward(&layer.feed_forward_norm.forward(&x)?)? + &x)?;
        }
        kv.advance(tokens.len());
        x.narrow(0, tokens.len() - 1, 1)
    }

    // The scopes bring the computing onto one of rayon's own threads: sharing out work from there needs no waking of
    // threads and no waiting for a lock, and a token has two hundred multiplications.

    /// Runs a part of a prompt whose logits nobody needs.
    pub fn prefill(&self, tokens: &[u32], kv: &mut KvCache) -> Result<()> {
        rayon::scope(|_| self.run(tokens, kv)).map(drop)
    }

    /// Runs tokens, of which there is at least one, and returns the logits after the last, one for each token of the
    /// vocabulary.
    pub fn forward(&self, tokens: &[u32], kv: &mut KvCache) -> Result<Vec<f32>> {
        rayon::scope(|_| self.logits(tokens, kv))
    }

    fn logits(&self, tokens: &[u32], kv: &mut KvCache) -> Result<Vec<f32>> {
        let last = self.run(tokens, kv)?;
        self.output
            .forward(&self.norm.forward(&last)?)?
            .flatten_all()?
            .to_vec1()
    }

    fn attend(
        &self,
        index: usize,
        layer: &Layer,
        x: &Tensor,
        mask: Option<&Tensor>,
        kv: &KvCache,
    ) -> Result<Tensor> {
        let Hyperparameters {
            heads,
            kv_heads,
            head_dim,
            width,
            ..
        } = self.parameters;
        let new = x.dim(0)?;
        let query = by_head(&layer.query.forward(x)?, heads, head_dim)?;
        let key = by_head(&layer.key.forward(x)?, kv_heads, head_dim)?;
        let value = by_head(&layer.value.forward(x)?, kv_heads, head_dim)?;
        let query = self.rope.apply(&query, kv.length())?;
        let key = self.rope.apply(&key, kv.length())?;
        let (keys, values) = kv.append(index, &key, &value)?;

        let mixed = attention(&query, &keys, &values, mask)?;
        layer
            .attention_output
            .forward(&mixed.transpose(0, 1)?.reshape((new, width))?)
    }
}

impl Layer {
    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let gate = self.gate.forward(x)?;
        let up = self.up.forward(x)?;
        self.down.forward(&(candle_nn::ops::silu(&gate)? * up)?)
    }
}

/// Attention of queries `[heads, new, head_dim]` over keys and values `[kv_heads, total, head_dim]`, of which several
/// heads share each: `softmax(q · kᵀ / √head_dim + mask) · v`, of the queries' shape.
///
/// One multiplication for each head, for the heads that share keys together would be rounded differently: candle
/// chooses its kernel by the number of rows.
fn attention(query: &Tensor, keys: &Tensor, values: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let (heads, _, head_dim) = query.dims3()?;
    let sharing = heads / keys.dim(0)?;
    let score = |head| query.get(head)?.matmul(&keys.get(head / sharing)?.t()?);
    let scores = (0..heads).map(score).collect::<Result<Vec<_>>>()?;
    let scores = (Tensor::stack(&scores, 0)? / (head_dim as f64).sqrt())?;
    let scores = match mask {
        None => scores,
        Some(mask) => scores.broadcast_add(mask)?,
    };
    let weights = candle_nn::ops::softmax_last_dim(&scores)?;
    let mix = |head| weights.get(head)?.matmul(&values.get(head / sharing)?);
    Tensor::stack(&(0..heads).map(mix).collect::<Result<Vec<_>>>()?, 0)
}

/// `[positions, heads * head_dim]` to `[heads, positions, head_dim]`, contiguous.
fn by_head(x: &Tensor, heads: usize, head_dim: usize) -> Result<Tensor> {
    x.reshape((x.dim(0)?, heads, head_dim))?
        .transpose(0, 1)?
        .contiguous()
}

/// What is added to scores `[heads, new, old + new]`: 0 where a token may look, negative infinity ahead of it.
fn causal_mask(new: usize, old: usize) -> Result<Tensor> {
    let row = |i: usize| (0..old + new).map(move |j| if j > old + i { f32::NEG_INFINITY } else { 0.0 });
    let mask: Vec<f32> = (0..new).flat_map(row).collect();
    Tensor::from_vec(mask, (1, new, old + new), &Device::Cpu)
}

struct Norm {
    weight: Tensor,
    epsilon: f32,
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(x, &self.weight, self.epsilon)
    }
}

/// Rotary position embedding in the interleaved convention, which GGUF files of the Llama family are converted to:
/// elements 2i and 2i + 1 of a head turn by `position * base^(-2i / head_dim)`.
struct Rope {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    fn new(parameters: &Hyperparameters, context: usize) -> Result<Self> {
        let dim = parameters.head_dim;
        let frequency = |i| 1_f32 / parameters.rope_base.powf(i as f32 / dim as f32);
        let frequencies: Vec<f32> = (0..dim).step_by(2).map(frequency).collect();
        let frequencies = Tensor::new(frequencies, &Device::Cpu)?.reshape((1, dim / 2))?;
        let positions = Tensor::arange(0, context as u32, &Device::Cpu)?.to_dtype(DType::F32)?;
        let angles = positions.reshape((context, 1))?.matmul(&frequencies)?;
        Ok(Self {
            cos: angles.cos()?,
            sin: angles.sin()?,
        })
    }

    /// Turns `[heads, positions, head_dim]` whose first position is `start`.
    fn apply(&self, x: &Tensor, start: usize) -> Result<Tensor> {
        let positions = x.dim(1)?;
        let cos = self.cos.narrow(0, start, positions)?;
        let sin = self.sin.narrow(0, start, positions)?;
        candle_nn::rotary_emb::rope_i(&x.unsqueeze(0)?, &cos, &sin)?.squeeze(0)
    }
}

/// Reads tensors of the shapes that the hyperparameters demand.
struct Tensors<'a> {
    ways: Ways,
    keys: Keys<'a>,
    file: &'a mut BufReader<File>,
}

impl Tensors<'_> {
    fn layer(&mut self, index: usize, p: &Hyperparameters) -> std::result::Result<Layer, LoadError> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let kv_width = p.kv_heads * p.head_dim;
        Ok(Layer {
            attention_norm: self.norm(&name("attn_norm"), p)?,
            query: self.matrix(&name("attn_q"), p.width, p.width)?,
            key: self.matrix(&name("attn_k"), kv_width, p.width)?,
            value: self.matrix(&name("attn_v"), kv_width, p.width)?,
            attention_output: self.matrix(&name("attn_output"), p.width, p.width)?,
            feed_forward_norm: self.norm(&name("ffn_norm"), p)?,
            gate: self.matrix(&name("ffn_gate"), p.feed_forward, p.width)?,
            up: self.matrix(&name("ffn_up"), p.feed_forward, p.width)?,
            down: self.matrix(&name("ffn_down"), p.width, p.feed_forward)?,
        })
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> std::result::Result<Matrix, LoadError> {
        let tensor = self.quantised(name, &[rows, columns])?;
        Matrix::new(Arc::new(tensor), self.ways).map_err(|source| self.candle(source))
    }

    fn norm(&mut self, name: &str, p: &Hyperparameters) -> std::result::Result<Norm, LoadError> {
        let tensor = self.quantised(name, &[p.width])?;
        let weight = tensor
            .dequantize(&Device::Cpu)
            .map_err(|source| self.candle(source))?;
        Ok(Norm {
            weight,
            epsilon: p.rms_epsilon as f32,
        })
    }

    fn quantised(&mut self, name: &str, shape: &[usize]) -> std::result::Result<QTensor, LoadError> {
        let info = self.keys.content.tensor_infos.get(name);
        let info = info.ok_or_else(|| self.keys.problem(name, "is missing"))?;
        if info.shape.dims() != shape {
            let problem = format!(
                "has the shape {:?}; the metadata demands {shape:?}",
                info.shape.dims()
            );
            return Err(self.keys.problem(name, problem));
        }
        let offset = self.keys.content.tensor_data_offset;
        info.read(self.file, offset, &Device::Cpu)
            .map_err(|source| self.candle(source))
    }

    fn candle(&self, source: candle_core::Error) -> LoadError {
        LoadError::Candle {
            path: self.keys.path.to_owned(),
            source,
        }
    }
}
