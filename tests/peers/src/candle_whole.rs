//! candle's own qwen2 in f32, which gives what it makes of every token of a text at once: it reads its weights once for
//! all of them, where its quantised twin, which gives the last token's logits only, reads them for each.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::qwen2::{Config, Model};

use crate::subject::Predictor;

/// The longest text, tokens.
const POSITIONS: usize = 4096;

/// A loaded model.
pub struct CandleWhole {
    model: Model,
    /// `[embedding, vocabulary]`.
    output: Tensor,
}

impl CandleWhole {
    /// Makes f32 of a GGUF file's weights; `None` for a family other than qwen2.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let content = Content::read(&mut file)?;
        if text(&content.metadata, "general.architecture")? != "qwen2" {
            return Ok(None);
        }
        let mut weights = HashMap::new();
        for name in content.tensor_infos.keys() {
            let tensor = content.tensor(&mut file, name, &Device::Cpu)?;
            weights.insert(name_of(name), tensor.dequantize(&Device::Cpu)?);
        }
        let embedding = weights
            .get("model.embed_tokens.weight")
            .with_context(|| format!("{} has no `token_embd.weight`", path.display()))?;
        let output = weights.get("lm_head.weight").unwrap_or(embedding).t()?;
        let config = config(&content.metadata, embedding.dim(0)?)?;
        let builder = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
        let model = Model::new(&config, builder)?;
        Ok(Some(Self { model, output }))
    }
}

impl Predictor for CandleWhole {
    fn predictions(&mut self, tokens: &[u32], first: usize) -> Result<Vec<Vec<f32>>> {
        self.model.clear_kv_cache();
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let states = self.model.forward(&input, 0, None)?.squeeze(0)?;
        let asked = states.narrow(0, first, tokens.len() - 1 - first)?;
        Ok(asked.matmul(&self.output)?.to_vec2()?)
    }
}

/// What candle calls a tensor that GGUF calls `name` (`gguf-py/gguf/tensor_mapping.py` in llama.cpp).
fn name_of(name: &str) -> String {
    let ends = [
        ("token_embd", "model.embed_tokens"),
        ("output_norm", "model.norm"),
        ("output", "lm_head"),
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ];
    let parts: Vec<&str> = name.split('.').collect();
    let known = |part: &str| {
        ends.iter()
            .find(|(gguf, _)| *gguf == part)
            .map(|(_, candle)| *candle)
    };
    match parts[..] {
        ["blk", layer, part, kind] => {
            format!("model.layers.{layer}.{}.{kind}", known(part).unwrap_or(part))
        }
        [part, kind] => format!("{}.{kind}", known(part).unwrap_or(part)),
        _ => name.to_owned(),
    }
}

fn config(metadata: &HashMap<String, Value>, vocabulary: usize) -> Result<Config> {
    let count = |key| Ok::<_, anyhow::Error>(value(metadata, key)?.to_u32()? as usize);
    let real = |key| Ok::<_, anyhow::Error>(f64::from(value(metadata, key)?.to_f32()?));
    let layers = count("qwen2.block_count")?;
    Ok(Config {
        vocab_size: vocabulary,
        hidden_size: count("qwen2.embedding_length")?,
        intermediate_size: count("qwen2.feed_forward_length")?,
        num_hidden_layers: layers,
        num_attention_heads: count("qwen2.attention.head_count")?,
        num_key_value_heads: count("qwen2.attention.head_count_kv")?,
        max_position_embeddings: POSITIONS,
        sliding_window: POSITIONS,
        max_window_layers: layers,
        // Of no account for the model without its head.
        tie_word_embeddings: false,
        rope_theta: real("qwen2.rope.freq_base")?,
        rms_norm_eps: real("qwen2.attention.layer_norm_rms_epsilon")?,
        use_sliding_window: false,
        hidden_act: Activation::Silu,
    })
}

fn value<'a>(metadata: &'a HashMap<String, Value>, key: &str) -> Result<&'a Value> {
    metadata.get(key).with_context(|| format!("`{key}` is missing"))
}

fn text<'a>(metadata: &'a HashMap<String, Value>, key: &str) -> Result<&'a str> {
    Ok(value(metadata, key)?.to_string()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_by_their_names_in_candle() {
        assert_eq!(name_of("token_embd.weight"), "model.embed_tokens.weight");
        assert_eq!(name_of("output.weight"), "lm_head.weight");
        assert_eq!(name_of("output_norm.weight"), "model.norm.weight");
        assert_eq!(
            name_of("blk.12.attn_q.bias"),
            "model.layers.12.self_attn.q_proj.bias"
        );
        assert_eq!(
            name_of("blk.0.ffn_norm.weight"),
            "model.layers.0.post_attention_layernorm.weight"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = config(&HashMap::new(), 1).unwrap_err();
        assert!(error.to_string().contains("`qwen2.block_count`"), "{error}");
    }
}
