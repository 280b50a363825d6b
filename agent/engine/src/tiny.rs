//! A made-up model of a few dozen kilobytes, for tests: two layers with a vocabulary of bytes, in the shape of any
//! family.
//!
//! Its answers are noise, but always the same noise, and every part of loading, templates, tokens and arithmetic is
//! gone through. It practically never ends an answer of itself.

pub mod bad;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use half::{bf16, f16};
use kernels::kind::Kind;
use store::metadata::{Metadata, Value};

use crate::template::KEY as TEMPLATE_KEY;

/// The chat template of the made-up model: ChatML with a default system message, as SmolLM2's.
pub const TEMPLATE: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
    {{ '<|im_start|>system\\nYou are tiny<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + \
    message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|im_start|>assistant\\n' }}{% endif %}";

const LAYERS: usize = 2;
const MARKS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const MERGES: [&str; 6] = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r"];
/// What tensors' bytes begin on a multiple of, in the file.
const ALIGNMENT: usize = 32;

/// What a made-up model looks like. [`Shape::default`] is SmolLM2 made small.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// `general.architecture`: `llama`, `qwen2` or `qwen3`.
    pub family: &'static str,
    /// Width of the residual stream; a multiple of the kinds' blocks.
    pub width: usize,
    /// Width inside the feed-forward network; so is this.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// The type of the layers' matrices.
    pub layers: Kind,
    /// The type of the embedding, and of the output if it is another.
    pub embedding: Kind,
    /// Whether the embedding is the output, too.
    pub tied: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            family: "llama",
            width: 64,
            feed_forward: 128,
            heads: 2,
            kv_heads: 1,
            head_dim: 32,
            layers: Kind::Q4_1,
            embedding: Kind::Q8_0,
            tied: true,
        }
    }
}

/// Writes the model to a file. `context` is how many tokens it says that it was trained to look back on.
pub fn write(path: &Path, context: u32) -> io::Result<()> {
    std::fs::write(path, Model::new(context).bytes())
}

/// Metadata and tensors of the made-up model, open to change before they are written.
#[derive(Clone, Debug)]
pub struct Model {
    /// GGUF metadata.
    pub metadata: Metadata,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// A tensor as a GGUF file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The element type.
    pub kind: Kind,
    /// Lengths, as GGUF orders them: columns, then rows if there is more than one.
    pub lengths: Vec<usize>,
    /// Rows of blocks.
    pub bytes: Vec<u8>,
}

impl Model {
    /// The model as [`write`] writes it.
    pub fn new(context: u32) -> Self {
        Self::of(&Shape::default(), context)
    }

    /// A model of that shape.
    pub fn of(shape: &Shape, context: u32) -> Self {
        let mut metadata = hyperparameters(shape, context);
        metadata.extend(tokenizer());
        Self {
            metadata,
            tensors: tensors(shape, tokens().len()),
        }
    }

    /// The file's bytes, GGUF version 3.
    pub fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            push_text(&mut file, key);
            push_value(&mut file, value);
        }
        let mut data = Vec::new();
        for (name, tensor) in &self.tensors {
            push_text(&mut file, name);
            file.extend((tensor.lengths.len() as u32).to_le_bytes());
            file.extend(
                tensor
                    .lengths
                    .iter()
                    .flat_map(|&length| (length as u64).to_le_bytes()),
            );
            file.extend(tensor.kind.ggml().to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            data.extend(&tensor.bytes);
            data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
        }
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file.extend(data);
        file
    }
}

fn push_text(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.as_bytes());
}

/// A value with its type. Types are GGUF's numbers: 4 a `u32`, 5 an `i32`, 6 an `f32`, 7 a truth, 8 text, 9 a list,
/// 11 an `i64`.
fn push_value(file: &mut Vec<u8>, value: &Value) {
    let kind = |file: &mut Vec<u8>, number: u32| file.extend(number.to_le_bytes());
    let list = |file: &mut Vec<u8>, number: u32, length: usize| {
        kind(file, 9);
        kind(file, number);
        file.extend((length as u64).to_le_bytes());
    };
    match value {
        Value::Bool(flag) => {
            kind(file, 7);
            file.push(u8::from(*flag));
        }
        Value::Integer(number) => match u32::try_from(*number) {
            Ok(number) => {
                kind(file, 4);
                file.extend(number.to_le_bytes());
            }
            Err(_) => {
                kind(file, 11);
                file.extend((*number as i64).to_le_bytes());
            }
        },
        Value::Float(number) => {
            kind(file, 6);
            file.extend((*number as f32).to_le_bytes());
        }
        Value::Text(text) => {
            kind(file, 8);
            push_text(file, text);
        }
        Value::Bools(flags) => {
            list(file, 7, flags.len());
            file.extend(flags.iter().map(|&flag| u8::from(flag)));
        }
        Value::Integers(numbers) => {
            list(file, 5, numbers.len());
            file.extend(numbers.iter().flat_map(|&number| (number as i32).to_le_bytes()));
        }
        Value::Floats(numbers) => {
            list(file, 6, numbers.len());
            file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        Value::Texts(texts) => {
            list(file, 8, texts.len());
            texts.iter().for_each(|text| push_text(file, text));
        }
    }
}

fn hyperparameters(shape: &Shape, context: u32) -> Metadata {
    let family = shape.family;
    let counts = [
        ("block_count", LAYERS),
        ("context_length", context as usize),
        ("embedding_length", shape.width),
        ("feed_forward_length", shape.feed_forward),
        ("attention.head_count", shape.heads),
        ("attention.head_count_kv", shape.kv_heads),
        ("attention.key_length", shape.head_dim),
        ("attention.value_length", shape.head_dim),
        ("rope.dimension_count", shape.head_dim),
    ];
    let counts = counts.map(|(key, count)| (format!("{family}.{key}"), Value::Integer(count as i128)));
    let mut metadata = Metadata::from(counts);
    metadata.insert("general.architecture".to_owned(), Value::Text(family.to_owned()));
    let floats = [
        ("attention.layer_norm_rms_epsilon", 1e-5),
        ("rope.freq_base", 10_000.0),
    ];
    metadata.extend(floats.map(|(key, value)| (format!("{family}.{key}"), Value::Float(value))));
    metadata
}

fn tokenizer() -> Metadata {
    let tokens = tokens();
    let kinds = (0..tokens.len()).map(|id| if id < MARKS.len() { 3 } else { 1 });
    let entries = [
        ("model", Value::Text("gpt2".to_owned())),
        ("pre", Value::Text("smollm".to_owned())),
        ("token_type", Value::Integers(kinds.collect())),
        ("tokens", Value::Texts(tokens.iter().collect())),
        ("merges", Value::Texts(MERGES.iter().collect())),
        ("bos_token_id", Value::Integer(1)),
        ("eos_token_id", Value::Integer(2)),
    ];
    let mut metadata = Metadata::from(entries.map(|(key, value)| (format!("tokenizer.ggml.{key}"), value)));
    metadata.insert(TEMPLATE_KEY.to_owned(), Value::Text(TEMPLATE.to_owned()));
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

fn tensors(shape: &Shape, tokens: usize) -> BTreeMap<String, Tensor> {
    let mut noise = Noise(1);
    let mut tensors = BTreeMap::new();
    let width = shape.width;
    let (query, kv) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    tensors.insert("token_embd.weight".to_owned(), noise.of_tokens(shape, tokens));
    if !shape.tied {
        tensors.insert("output.weight".to_owned(), noise.of_tokens(shape, tokens));
    }
    tensors.insert("output_norm.weight".to_owned(), noise.vector(width));
    for layer in 0..LAYERS {
        let mut vectors = vec![("attn_norm.weight", width), ("ffn_norm.weight", width)];
        if shape.family == "qwen2" {
            vectors.extend([("attn_q.bias", query), ("attn_k.bias", kv), ("attn_v.bias", kv)]);
        }
        if shape.family == "qwen3" {
            vectors.extend([
                ("attn_q_norm.weight", shape.head_dim),
                ("attn_k_norm.weight", shape.head_dim),
            ]);
        }
        for (part, length) in vectors {
            tensors.insert(format!("blk.{layer}.{part}"), noise.vector(length));
        }
        for (part, rows, columns) in [
            ("attn_q", query, width),
            ("attn_k", kv, width),
            ("attn_v", kv, width),
            ("attn_output", width, query),
            ("ffn_gate", shape.feed_forward, width),
            ("ffn_up", shape.feed_forward, width),
            ("ffn_down", width, shape.feed_forward),
        ] {
            let matrix = noise.matrix(shape.layers, rows, columns);
            tensors.insert(format!("blk.{layer}.{part}.weight"), matrix);
        }
    }
    tensors
}

/// A linear congruential generator (Knuth, MMIX).
struct Noise(u64);

impl Noise {
    fn vector(&mut self, length: usize) -> Tensor {
        Tensor {
            kind: Kind::F32,
            lengths: vec![length],
            bytes: self.row(Kind::F32, length),
        }
    }

    fn matrix(&mut self, kind: Kind, rows: usize, columns: usize) -> Tensor {
        Tensor {
            kind,
            lengths: vec![columns, rows],
            bytes: (0..rows).flat_map(|_| self.row(kind, columns)).collect(),
        }
    }

    /// A matrix with a row for each token. Those of the marks are 0, so that they are never likeliest.
    fn of_tokens(&mut self, shape: &Shape, tokens: usize) -> Tensor {
        let mut matrix = self.matrix(shape.embedding, tokens, shape.width);
        matrix.bytes[..MARKS.len() * shape.embedding.row_bytes(shape.width)].fill(0);
        matrix
    }

    /// Blocks of random bytes with scales that make values of about −0.5 to 0.5 of them.
    fn row(&mut self, kind: Kind, columns: usize) -> Vec<u8> {
        let mut row: Vec<u8> = (0..kind.row_bytes(columns)).map(|_| self.next() as u8).collect();
        let blocks = row.chunks_exact_mut(kind.block_bytes());
        blocks.for_each(|block| self.scale(kind, block));
        row
    }

    fn scale(&mut self, kind: Kind, block: &mut [u8]) {
        let mut put = |at: usize, scale: f32| {
            block[at..at + 2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
        };
        match kind {
            Kind::F32 => block.copy_from_slice(&self.unit().to_le_bytes()),
            Kind::F16 => block.copy_from_slice(&f16::from_f32(self.unit()).to_le_bytes()),
            Kind::BF16 => block.copy_from_slice(&bf16::from_f32(self.unit()).to_le_bytes()),
            Kind::Q4_0 => put(0, 1.0 / 15.0),
            Kind::Q5_0 => put(0, 1.0 / 31.0),
            Kind::Q8_0 => put(0, 1.0 / 255.0),
            Kind::Q4_1 => {
                put(0, 1.0 / 15.0);
                put(2, -0.5);
            }
            // Scales and minima have 6 bits: up to 63 · 15 · d above, 63 · dmin below.
            Kind::Q4K => {
                put(0, 1.0 / 945.0);
                put(2, 1.0 / 126.0);
            }
            Kind::Q5K => {
                put(0, 1.0 / 1953.0);
                put(2, 1.0 / 126.0);
            }
            Kind::Q6K => put(208, 0.5 / 4096.0),
        }
    }

    /// From −0.5 to 0.5.
    fn unit(&mut self) -> f32 {
        self.next() as f32 / (1_u64 << 24) as f32 - 0.5
    }

    /// 24 random bits.
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 40
    }
}

#[cfg(test)]
pub(crate) fn vocabulary() -> crate::vocabulary::Vocabulary {
    let metadata = Model::new(256).metadata;
    crate::vocabulary::Vocabulary::read(&metadata, Path::new("tiny.gguf")).unwrap()
}
