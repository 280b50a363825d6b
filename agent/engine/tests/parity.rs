//! The graph against candle-transformers' `quantized_llama`, bit for bit, on the made-up model. The `oracle` example
//! does the same on real ones.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Cursor;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use engine::model::Model;
use engine::sampler::greedy;
use engine::scheduler::part;
use engine::tiny;

const CONTEXT: usize = 512;
const CHUNK: usize = 32;

fn models() -> (Model, ModelWeights) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::write(&path, CONTEXT as u32).unwrap();
    let mut bytes = Cursor::new(std::fs::read(&path).unwrap());
    let content = Content::read(&mut bytes).unwrap();
    let oracle = ModelWeights::from_gguf(content, &mut bytes, &Device::Cpu).unwrap();
    (Model::load(&path, CONTEXT).unwrap(), oracle)
}

fn prompt(length: usize, seed: usize) -> Vec<u32> {
    (0..length)
        .map(|i| ((i * 31 + seed * 7) % 250) as u32 + 3)
        .collect()
}

/// Logits after the prompt and after each of `steps` greedy tokens.
fn candles(oracle: &mut ModelWeights, prompt: &[u32], steps: usize) -> Vec<Vec<f32>> {
    let mut forward = |tokens: &[u32], position| -> Vec<f32> {
        let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        oracle
            .forward(&input, position)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    };
    let mut logits = vec![forward(prompt, 0)];
    for step in 0..steps {
        let token = greedy(&logits[step]);
        logits.push(forward(&[token], prompt.len() + step));
    }
    logits
}

fn bits(logits: &[Vec<f32>]) -> Vec<Vec<u32>> {
    logits
        .iter()
        .map(|logits| logits.iter().map(|logit| logit.to_bits()).collect())
        .collect()
}

#[test]
fn logits_are_candles_bit_for_bit_also_in_chunks_and_interleaved() {
    let (model, mut oracle) = models();
    let prompts = [1, 16, 17, 32, 33, 37, 48, 65, 300].map(|length| prompt(length, length));
    let mut sequences: Vec<_> = prompts
        .iter()
        .map(|prompt| (prompt, model.new_kv().unwrap(), Vec::new()))
        .collect();
    for (prompt, kv, logits) in &mut sequences {
        loop {
            let part = part(prompt.len(), kv.length(), CHUNK);
            if part.end == prompt.len() {
                logits.push(model.llama.forward(&prompt[part], kv).unwrap());
                break;
            }
            model.llama.prefill(&prompt[part], kv).unwrap();
        }
    }
    for step in 0..24 {
        for (_, kv, logits) in &mut sequences {
            logits.push(model.llama.forward(&[greedy(&logits[step])], kv).unwrap());
        }
    }
    for (prompt, _, logits) in &sequences {
        let expected = candles(&mut oracle, prompt, 24);
        assert!(
            bits(&expected) == bits(logits),
            "a prompt of {} tokens",
            prompt.len()
        );
    }
}

#[test]
fn the_context_is_a_limit() {
    let (model, _) = models();
    let mut kv = model.new_kv().unwrap();
    let tokens = prompt(CONTEXT, 1);
    tokens
        .chunks(CHUNK)
        .for_each(|chunk| model.llama.prefill(chunk, &mut kv).unwrap());
    assert_eq!(kv.length(), CONTEXT);
    assert!(model.llama.forward(&[3], &mut kv).is_err());
}
