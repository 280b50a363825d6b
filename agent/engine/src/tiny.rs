//! A made-up model of a few dozen kilobytes, for tests: a Llama of two layers with a vocabulary of bytes.
//!
//! Its answers are noise, but always the same noise, and every part of loading, templates, tokens and arithmetic is
//! gone through. It practically never ends an answer of itself.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result, Tensor};

/// The chat template of the made-up model: ChatML with a default system message, as SmolLM2's.
pub const TEMPLATE: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
    {{ '<|im_start|>system\\nYou are tiny<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + \
    message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|im_start|>assistant\\n' }}{% endif %}";

const WIDTH: usize = 64;
const FEED_FORWARD: usize = 128;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const LAYERS: usize = 2;
const MARKS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const MERGES: [&str; 6] = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r"];

/// Writes the model to a file. `context` is how many tokens it says that it was trained to look back on.
pub fn write(path: &Path, context: u32) -> Result<()> {
    let model = Model::new(context)?;
    std::fs::write(path, model.bytes()?).map_err(candle_core::Error::wrap)
}

/// Metadata and tensors of the made-up model, open to change before they are written.
pub struct Model {
    /// GGUF metadata.
    pub metadata: HashMap<String, Value>,
    /// Tensors by name.
    pub tensors: HashMap<String, QTensor>,
}

impl Model {
    /// The model as [`write`] writes it.
    pub fn new(context: u32) -> Result<Self> {
        let mut metadata = hyperparameters(context);
        metadata.extend(tokenizer());
        let tokens = tokens().len();
        Ok(Self {
            metadata,
            tensors: tensors(tokens)?,
        })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut metadata: Vec<_> = self
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let mut tensors: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        metadata.sort_by_key(|(key, _)| *key);
        tensors.sort_by_key(|(name, _)| *name);
        let mut file = Cursor::new(Vec::new());
        gguf_file::write(&mut file, &metadata, &tensors)?;
        Ok(file.into_inner())
    }
}

fn hyperparameters(context: u32) -> HashMap<String, Value> {
    let counts = [
        ("llama.block_count", LAYERS as u32),
        ("llama.context_length", context),
        ("llama.embedding_length", WIDTH as u32),
        ("llama.feed_forward_length", FEED_FORWARD as u32),
        ("llama.attention.head_count", HEADS as u32),
        ("llama.attention.head_count_kv", KV_HEADS as u32),
        ("llama.rope.dimension_count", (WIDTH / HEADS) as u32),
    ];
    let mut metadata: HashMap<_, _> = counts
        .map(|(key, count)| (key.to_owned(), Value::U32(count)))
        .into();
    metadata.insert(
        "general.architecture".to_owned(),
        Value::String("llama".to_owned()),
    );
    metadata.insert(
        "llama.attention.layer_norm_rms_epsilon".to_owned(),
        Value::F32(1e-5),
    );
    metadata
}

fn tokenizer() -> HashMap<String, Value> {
    let texts = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    let tokens = tokens();
    let kinds = (0..tokens.len())
        .map(|id| Value::I32(if id < MARKS.len() { 3 } else { 1 }))
        .collect();
    let entries = [
        ("model", Value::String("gpt2".to_owned())),
        ("pre", Value::String("smollm".to_owned())),
        ("tokens", texts(tokens)),
        ("token_type", Value::Array(kinds)),
        ("merges", texts(MERGES.map(str::to_owned).into())),
        ("bos_token_id", Value::U32(1)),
        ("eos_token_id", Value::U32(2)),
    ];
    let mut metadata: HashMap<_, _> = entries
        .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
        .into();
    metadata.insert(
        "tokenizer.chat_template".to_owned(),
        Value::String(TEMPLATE.to_owned()),
    );
    metadata
}

/// The marks, GPT-2's alphabet of bytes, and what the merges make of it.
fn tokens() -> Vec<String> {
    let printable = |code: &u32| matches!(code, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let alphabet = (0..256)
        .filter(printable)
        .chain(256..256 + 68)
        .filter_map(char::from_u32)
        .map(String::from);
    let merged = MERGES.map(|merge| merge.replace(' ', ""));
    MARKS
        .map(str::to_owned)
        .into_iter()
        .chain(alphabet)
        .chain(merged)
        .collect()
}

fn tensors(tokens: usize) -> Result<HashMap<String, QTensor>> {
    let mut noise = Noise(1);
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize], kind| -> Result<()> {
        tensors.insert(name, noise.tensor(shape, kind)?);
        Ok(())
    };
    add("token_embd.weight".to_owned(), &[tokens, WIDTH], GgmlDType::Q8_0)?;
    add("output_norm.weight".to_owned(), &[WIDTH], GgmlDType::F32)?;
    let kv_width = WIDTH / HEADS * KV_HEADS;
    for layer in 0..LAYERS {
        for norm in ["attn_norm", "ffn_norm"] {
            add(format!("blk.{layer}.{norm}.weight"), &[WIDTH], GgmlDType::F32)?;
        }
        for (part, rows, columns) in [
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", kv_width, WIDTH),
            ("attn_v", kv_width, WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_gate", FEED_FORWARD, WIDTH),
            ("ffn_up", FEED_FORWARD, WIDTH),
            ("ffn_down", WIDTH, FEED_FORWARD),
        ] {
            add(
                format!("blk.{layer}.{part}.weight"),
                &[rows, columns],
                GgmlDType::Q4_1,
            )?;
        }
    }
    Ok(tensors)
}

/// A linear congruential generator (Knuth, MMIX).
struct Noise(u64);

impl Noise {
    /// Values from -0.5 to 0.5; in a matrix of tokens the marks' rows are 0, so that they are never likeliest.
    fn tensor(&mut self, shape: &[usize], kind: GgmlDType) -> Result<QTensor> {
        let count = shape.iter().product();
        let mut values: Vec<f32> = (0..count).map(|_| self.next()).collect();
        if kind == GgmlDType::Q8_0 {
            values[..MARKS.len() * WIDTH].fill(0.0);
        }
        QTensor::quantize(&Tensor::from_vec(values, shape, &Device::Cpu)?, kind)
    }

    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    }
}

#[cfg(test)]
pub(crate) fn content(model: &Model) -> gguf_file::Content {
    gguf_file::Content::read(&mut Cursor::new(model.bytes().unwrap())).unwrap()
}

#[cfg(test)]
pub(crate) fn vocabulary() -> crate::vocabulary::Vocabulary {
    let content = content(&Model::new(256).unwrap());
    crate::vocabulary::Vocabulary::read(&content, Path::new("tiny.gguf")).unwrap()
}
