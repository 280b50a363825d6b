//! candle-transformers' own model code, of whichever family a file is.

use std::io::{Read, Seek};

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Result, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2, quantized_qwen3};

/// A model of candle's, with one sequence.
pub(crate) enum Candle {
    Llama(quantized_llama::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
}

impl Candle {
    pub(crate) fn load(file: &mut (impl Read + Seek)) -> Result<Self> {
        let content = Content::read(file)?;
        let device = &Device::Cpu;
        let family = content.metadata.get("general.architecture");
        let family = family.map(|family| family.to_string().cloned()).transpose()?;
        match family.as_deref() {
            Some("llama") => quantized_llama::ModelWeights::from_gguf(content, file, device).map(Self::Llama),
            Some("qwen2") => quantized_qwen2::ModelWeights::from_gguf(content, file, device).map(Self::Qwen2),
            Some("qwen3") => quantized_qwen3::ModelWeights::from_gguf(content, file, device).map(Self::Qwen3),
            other => candle_core::bail!("candle has no family {other:?}"),
        }
    }

    /// Logits after the first `prompt` tokens of a new sequence, and after each further one, which is run alone.
    pub(crate) fn logits(&mut self, tokens: &[u32], prompt: usize) -> Result<Vec<Vec<f32>>> {
        self.forget();
        let mut logits = vec![self.forward(&tokens[..prompt], 0)?];
        for (position, &token) in tokens.iter().enumerate().skip(prompt) {
            logits.push(self.forward(&[token], position)?);
        }
        Ok(logits)
    }

    fn forget(&mut self) {
        match self {
            Self::Llama(model) => model.clear_kv_cache(),
            Self::Qwen2(model) => model.clear_kv_cache(),
            Self::Qwen3(model) => model.clear_kv_cache(),
        }
    }

    fn forward(&mut self, tokens: &[u32], position: usize) -> Result<Vec<f32>> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = match self {
            Self::Llama(model) => model.forward(&input, position),
            Self::Qwen2(model) => model.forward(&input, position),
            Self::Qwen3(model) => model.forward(&input, position),
        };
        logits?.flatten_all()?.to_vec1()
    }
}
