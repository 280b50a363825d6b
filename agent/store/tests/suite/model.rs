//! Small GGUF files.

use std::path::Path;

use kernels::kind::Kind;

/// A model file to be, of whatever is put in.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) tensors: Vec<Tensor>,
}

#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) dimensions: Vec<u64>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A metadata entry of any type.
pub(crate) fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key), &kind.to_le_bytes()[..], value].concat()
}

/// An entry that is an array.
pub(crate) fn list(key: &str, kind: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    let count = (elements.len() as u64).to_le_bytes();
    entry(
        key,
        9,
        &[&kind.to_le_bytes(), &count[..], &elements.concat()].concat(),
    )
}

/// What the head tells of a tensor.
pub(crate) fn tensor(name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend((dimensions.len() as u32).to_le_bytes());
    bytes.extend(dimensions.iter().flat_map(|length| length.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

/// A file's first bytes.
pub(crate) fn head(version: u32, tensors: u64, entries: u64, rest: &[u8]) -> Vec<u8> {
    [
        b"GGUF",
        &version.to_le_bytes()[..],
        &tensors.to_le_bytes(),
        &entries.to_le_bytes(),
        rest,
    ]
    .concat()
}

/// Bytes that are different everywhere, the same each time, and finite as floats of any width.
pub(crate) fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Exponents are never all ones: one of their bits is cleared in every byte.
        (state >> 24) as u8 & 0xbf
    };
    std::iter::repeat_with(next).take(count).collect()
}

impl Model {
    pub(crate) fn entry(mut self, entry: Vec<u8>) -> Self {
        self.entries.push(entry);
        self
    }

    /// Adds a tensor of bytes that its name determines.
    pub(crate) fn tensor(self, name: &str, kind: Kind, dimensions: &[u64]) -> Self {
        let seed = name.bytes().fold(7_u64, |seed, byte| seed * 31 + u64::from(byte));
        self.tensor_of(seed, name, kind, dimensions)
    }

    /// Adds a tensor of bytes that a seed determines.
    pub(crate) fn tensor_of(mut self, seed: u64, name: &str, kind: Kind, dimensions: &[u64]) -> Self {
        let elements = dimensions.iter().product::<u64>() as usize;
        self.tensors.push(Tensor {
            name: name.to_owned(),
            kind,
            dimensions: dimensions.to_vec(),
            bytes: bytes(seed, elements / kind.block_columns() * kind.block_bytes()),
        });
        self
    }

    /// Two layers with a tensor of most kinds, a vocabulary and an alignment of its own.
    pub(crate) fn small() -> Self {
        let words = ["a", "b", "größer", ""].map(text);
        let types = [1_i32, 1, 3, 6].map(|kind| kind.to_le_bytes().to_vec());
        let scores = [0.5_f32, -1.0, 0.0, 2.0].map(|score| score.to_le_bytes().to_vec());
        let mut model = Self::default()
            .entry(entry("general.architecture", 8, &text("llama")))
            .entry(entry("general.alignment", 4, &64_u32.to_le_bytes()))
            .entry(entry("llama.block_count", 4, &2_u32.to_le_bytes()))
            .entry(entry("llama.rope.freq_base", 6, &10_000_f32.to_le_bytes()))
            .entry(entry("general.negative", 11, &(-3_i64).to_le_bytes()))
            .entry(entry("tokenizer.ggml.add_bos_token", 7, &[1]))
            .entry(list("tokenizer.ggml.tokens", 8, &words))
            .entry(list("tokenizer.ggml.token_type", 5, &types))
            .entry(list("tokenizer.ggml.scores", 6, &scores))
            .tensor("output_norm.weight", Kind::F32, &[256])
            .tensor("token_embd.weight", Kind::Q8_0, &[256, 67]);
        for layer in 0..2 {
            let name = |name| format!("blk.{layer}.{name}.weight");
            model = model
                .tensor(&name("attn_q"), Kind::Q4K, &[256, 48])
                .tensor(&name("attn_norm"), Kind::F16, &[256])
                .tensor(&name("ffn_up"), Kind::BF16, &[256, 33])
                .tensor(&name("ffn_down"), Kind::Q4_1, &[96, 256]);
        }
        model.tensor("output.weight", Kind::Q6K, &[256, 67])
    }

    fn alignment(&self) -> usize {
        let of = entry("general.alignment", 4, &[]);
        let found = self
            .entries
            .iter()
            .find_map(|entry| entry.strip_prefix(&of[..])?.try_into().ok());
        found.map_or(32, |bytes| u32::from_le_bytes(bytes) as usize)
    }

    /// The file, tensors in order and the last one padded, as llama.cpp writes it.
    pub(crate) fn file(&self, version: u32) -> Vec<u8> {
        let alignment = self.alignment();
        let mut rest = self.entries.concat();
        let mut data = Vec::new();
        for part in &self.tensors {
            rest.extend(tensor(
                &part.name,
                &part.dimensions,
                part.kind.ggml(),
                data.len() as u64,
            ));
            data.extend(&part.bytes);
            data.resize(data.len().next_multiple_of(alignment), 0);
        }
        let mut file = head(
            version,
            self.tensors.len() as u64,
            self.entries.len() as u64,
            &rest,
        );
        file.resize(file.len().next_multiple_of(alignment), 0);
        [file, data].concat()
    }

    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, self.file(3)).unwrap();
    }
}
