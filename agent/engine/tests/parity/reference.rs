//! What a model's logits are by definition: its graph in double precision, one token at a time, without any care for
//! speed. Weights are dequantised by candle.
//!
//! Two roundings are the engine's definition and not its error, so they are made here, too: activations to 8 bits in
//! front of quantised weights, keys and values to f16.

use std::collections::HashMap;
use std::io::Cursor;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use engine::hyperparameters::Hyperparameters;
use engine::tiny;
use half::f16;
use kernels::ops::Convention;

/// A model's graph in double precision.
pub(crate) struct Reference {
    parameters: Hyperparameters,
    tensors: HashMap<String, Vec<f64>>,
    /// Tensors whose activations are rounded.
    quantised: HashMap<String, bool>,
}

/// A layer's keys and values by position.
#[derive(Default)]
struct Kv {
    keys: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

impl Reference {
    pub(crate) fn new(model: &tiny::Model) -> Self {
        let mut bytes = Cursor::new(model.bytes());
        let content = Content::read(&mut bytes).unwrap();
        let mut tensors = HashMap::new();
        for name in content.tensor_infos.keys() {
            let tensor = content.tensor(&mut bytes, name, &Device::Cpu).unwrap();
            let values = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap();
            let values = values.to_vec1::<f32>().unwrap();
            tensors.insert(name.clone(), values.into_iter().map(f64::from).collect());
        }
        let quantised = |tensor: &tiny::Tensor| !tensor.kind.is_float();
        let quantised = model
            .tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), quantised(tensor)));
        Self {
            parameters: Hyperparameters::read(&model.metadata, "tiny".as_ref()).unwrap(),
            tensors,
            quantised: quantised.collect(),
        }
    }

    /// Logits after each token.
    pub(crate) fn logits(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        let mut layers: Vec<Kv> = (0..self.parameters.layers).map(|_| Kv::default()).collect();
        let output = match self.tensors.contains_key("output.weight") {
            true => "output.weight",
            false => "token_embd.weight",
        };
        let step = |(position, &token): (usize, &u32)| {
            let width = self.parameters.width;
            let mut x = self.tensors["token_embd.weight"][token as usize * width..][..width].to_vec();
            for (index, kv) in layers.iter_mut().enumerate() {
                let attention = self.attend(index, position, &x, kv);
                add(&mut x, &attention);
                let feed_forward = self.feed_forward(index, &x);
                add(&mut x, &feed_forward);
            }
            self.product(output, &self.norm("output_norm.weight", &x))
        };
        tokens.iter().enumerate().map(step).collect()
    }

    fn attend(&self, layer: usize, position: usize, x: &[f64], kv: &mut Kv) -> Vec<f64> {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let p = &self.parameters;
        let x = self.norm(&name("attn_norm.weight"), x);
        let [mut query, mut key, mut value] = ["q", "k", "v"].map(|part| {
            let mut made = self.product(&name(&format!("attn_{part}.weight")), &x);
            if let Some(bias) = self.tensors.get(&name(&format!("attn_{part}.bias"))) {
                add(&mut made, bias);
            }
            made
        });
        for (heads, norm) in [
            (&mut query, "attn_q_norm.weight"),
            (&mut key, "attn_k_norm.weight"),
        ] {
            for head in heads.chunks_exact_mut(p.head_dim) {
                if self.tensors.contains_key(&name(norm)) {
                    head.copy_from_slice(&self.norm(&name(norm), head));
                }
                self.turn(position, head);
            }
        }
        key.iter_mut()
            .chain(&mut value)
            .for_each(|value| *value = f16::from_f64(*value).to_f64());
        kv.keys.push(key);
        kv.values.push(value);
        let mut mixed = Vec::new();
        for (index, head) in query.chunks_exact(p.head_dim).enumerate() {
            let range = index / (p.heads / p.kv_heads) * p.head_dim..;
            let part = |row: &Vec<f64>| row[range.clone()][..p.head_dim].to_vec();
            let scale = (p.head_dim as f64).sqrt();
            let scores: Vec<f64> = kv.keys.iter().map(|key| dot(head, &part(key)) / scale).collect();
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut mix = vec![0.0; p.head_dim];
            for (weight, value) in weights.iter().zip(&kv.values) {
                let weighted: Vec<f64> = part(value).iter().map(|value| value * weight / total).collect();
                add(&mut mix, &weighted);
            }
            mixed.extend(mix);
        }
        self.product(&name("attn_output.weight"), &mixed)
    }

    fn feed_forward(&self, layer: usize, x: &[f64]) -> Vec<f64> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let x = self.norm(&name("ffn_norm"), x);
        let gate = self.product(&name("ffn_gate"), &x);
        let up = self.product(&name("ffn_up"), &x);
        let silu = |gate: f64| gate / (1.0 + (-gate).exp());
        let gated: Vec<f64> = gate.iter().zip(&up).map(|(&gate, up)| silu(gate) * up).collect();
        self.product(&name("ffn_down"), &gated)
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().map(|value| value * value).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (mean + f64::from(self.parameters.rms_epsilon)).sqrt();
        x.iter()
            .zip(&self.tensors[name])
            .map(|(value, weight)| value * scale * weight)
            .collect()
    }

    fn product(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let x = match self.quantised[name] {
            true => rounded(x),
            false => x.to_vec(),
        };
        self.tensors[name]
            .chunks_exact(x.len())
            .map(|row| dot(row, &x))
            .collect()
    }

    fn turn(&self, position: usize, head: &mut [f64]) {
        let p = &self.parameters;
        for pair in 0..head.len() / 2 {
            let mut angle = position as f64 * p.rope_base.powf(-((2 * pair) as f64) / head.len() as f64);
            if let Some(factors) = self.tensors.get("rope_freqs.weight") {
                angle /= factors[pair];
            }
            let (first, second) = match p.family.convention {
                Convention::Interleaved => (2 * pair, 2 * pair + 1),
                Convention::Halves => (pair, pair + head.len() / 2),
            };
            let (a, b) = (head[first], head[second]);
            head[first] = a * angle.cos() - b * angle.sin();
            head[second] = a * angle.sin() + b * angle.cos();
        }
    }
}

/// Blocks of 32 to 8 bits, by the scale of each.
fn rounded(x: &[f64]) -> Vec<f64> {
    let block = |block: &[f64]| {
        let largest = block
            .iter()
            .fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        block
            .iter()
            .map(|value| (value / scale).round_ties_even() * scale)
            .collect::<Vec<_>>()
    };
    x.chunks(32).flat_map(block).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], more: &[f64]) {
    to.iter_mut().zip(more).for_each(|(to, more)| *to += more);
}
