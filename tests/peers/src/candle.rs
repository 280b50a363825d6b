//! candle's own quantised models, as they come. With `CANDLE_DEQUANTIZE_ALL=1` in the environment candle makes f32 of
//! all weights first and computes in f32 throughout: the reference that rounds least.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2, quantized_qwen3};

use crate::candle_whole::CandleWhole;
use crate::subject::{Predictor, Subject};

/// The variable that has candle compute in f32.
pub const IN_F32: (&str, &str) = ("CANDLE_DEQUANTIZE_ALL", "1");

/// The model in f32, in the way in which candle reads a text soonest: whole, where its model gives what it makes of
/// every token, else token by token with [`IN_F32`] in the environment.
pub fn reference(path: &Path) -> Result<Box<dyn Predictor>> {
    Ok(match CandleWhole::load(path)? {
        Some(whole) => Box::new(whole),
        None => Box::new(Candle::load(path)?),
    })
}

/// A loaded model with one sequence.
pub struct Candle {
    model: Family,
    length: usize,
}

enum Family {
    Llama(quantized_llama::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
}

impl Candle {
    /// Loads a GGUF file.
    pub fn load(path: &Path) -> Result<Self> {
        let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let content = Content::read(&mut file)?;
        let family = content
            .metadata
            .get("general.architecture")
            .context("a model without a family")?
            .to_string()?
            .clone();
        let device = Device::Cpu;
        let model = match family.as_str() {
            "llama" => Family::Llama(quantized_llama::ModelWeights::from_gguf(
                content, &mut file, &device,
            )?),
            "qwen2" => Family::Qwen2(quantized_qwen2::ModelWeights::from_gguf(
                content, &mut file, &device,
            )?),
            "qwen3" => Family::Qwen3(quantized_qwen3::ModelWeights::from_gguf(
                content, &mut file, &device,
            )?),
            other => bail!(
                "{}: no family `{other}` here; there are llama, qwen2, qwen3",
                path.display()
            ),
        };
        Ok(Self { model, length: 0 })
    }
}

impl Subject for Candle {
    fn start(&mut self) -> Result<()> {
        self.length = 0;
        match &mut self.model {
            Family::Llama(model) => model.clear_kv_cache(),
            Family::Qwen2(model) => model.clear_kv_cache(),
            Family::Qwen3(model) => model.clear_kv_cache(),
        }
        Ok(())
    }

    fn run(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = match &mut self.model {
            Family::Llama(model) => model.forward(&input, self.length)?,
            Family::Qwen2(model) => model.forward(&input, self.length)?,
            Family::Qwen3(model) => model.forward(&input, self.length)?,
        };
        self.length += tokens.len();
        Ok(logits.flatten_all()?.to_vec1()?)
    }
}
