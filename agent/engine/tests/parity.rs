//! The graph on made-up models of every family: against its definition in double precision, against candle's own model
//! code, and against itself however it is divided. The `oracle` example compares with candle on real files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Cursor;

use engine::catalog::Source;
use engine::error::{ForwardError, LoadError};
use engine::graph::{Graph, Part};
use engine::kv::KvCache;
use engine::model::{self, Model};
use engine::sampler::greedy;
use engine::tiny::{self, Shape};
use kernels::compute::{Compute, Fusions};
use kernels::kind::Kind;
use kernels::kv::KvKind;
use kernels::path::Path;
use kernels::pool::Pool;
use store::metadata::Value;

use candle::Candle;
use reference::Reference;

#[path = "parity/candle.rs"]
mod candle;
#[path = "parity/reference.rs"]
mod reference;

const CONTEXT: usize = 512;

/// Shapes of all families: tied and untied, heads that are narrower and wider than the model, weights of every kind.
fn shapes() -> Vec<Shape> {
    let llama = Shape::default();
    let qwen2 = Shape {
        family: "qwen2",
        heads: 4,
        kv_heads: 2,
        width: 128,
        tied: false,
        layers: Kind::Q8_0,
        embedding: Kind::F16,
        ..Shape::default()
    };
    let qwen3 = Shape {
        family: "qwen3",
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        layers: Kind::Q4_0,
        ..Shape::default()
    };
    let mut shapes = vec![llama, qwen2, qwen3];
    for (layers, embedding) in [
        (Kind::F32, Kind::F32),
        (Kind::F16, Kind::BF16),
        (Kind::Q5_0, Kind::Q4_1),
        (Kind::Q4K, Kind::Q6K),
        (Kind::Q5K, Kind::Q5K),
        (Kind::Q6K, Kind::Q8_0),
    ] {
        shapes.push(Shape {
            width: 256,
            feed_forward: 256,
            heads: 8,
            kv_heads: 2,
            tied: false,
            layers,
            embedding,
            ..Shape::default()
        });
    }
    shapes
}

/// A made-up model that is loaded.
struct Fixture {
    model: Model,
    graph: Graph,
    compute: Compute,
}

/// The fastest path, two threads.
fn compute() -> Compute {
    Compute::new(
        *Path::offered().last().unwrap(),
        Pool::new(2).unwrap(),
        Fusions::ALL,
    )
}

impl Fixture {
    fn load(tiny: &tiny::Model, kv: KvKind, compute: Compute) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiny.gguf");
        std::fs::write(&file, tiny.bytes()).unwrap();
        let (model, graph) = model::load(&Source::Gguf(file), None, CONTEXT, kv)?;
        Ok(Self {
            model,
            graph,
            compute,
        })
    }

    fn new(shape: &Shape) -> Self {
        Self::load(&made_up(shape), KvKind::F16, compute()).unwrap()
    }

    /// Logits after these tokens.
    fn forward(&mut self, tokens: &[u32], kv: &mut KvCache) -> Vec<f32> {
        let mut parts = [Part {
            tokens,
            kv,
            logits: true,
        }];
        let logits = self.graph.forward(&mut self.compute, &mut parts).unwrap();
        assert_eq!(logits.rows(), 1);
        logits.row(0).to_vec()
    }

    /// Logits after the first `prompt` tokens, run in parts of `chunk`, and after each further one.
    fn logits(&mut self, tokens: &[u32], prompt: usize, chunk: usize) -> Vec<Vec<f32>> {
        let mut kv = self.model.new_kv();
        let mut logits = Vec::new();
        for chunk in tokens[..prompt].chunks(chunk) {
            logits = vec![self.forward(chunk, &mut kv)];
        }
        for token in &tokens[prompt..] {
            logits.push(self.forward(&[*token], &mut kv));
        }
        logits
    }
}

/// A model of that shape, for candle, too: without being told it would compute qwen3 in half precision.
fn made_up(shape: &Shape) -> tiny::Model {
    let mut model = tiny::Model::of(shape, CONTEXT as u32);
    model
        .metadata
        .insert("general.dtype".to_owned(), Value::Integer(0));
    model
}

fn tokens(length: usize, seed: usize) -> Vec<u32> {
    (0..length)
        .map(|i| ((i * 31 + seed * 7) % 250) as u32 + 3)
        .collect()
}

fn bits(logits: &[Vec<f32>]) -> Vec<u32> {
    logits.iter().flatten().map(|logit| logit.to_bits()).collect()
}

/// The largest distance, as a part of the largest magnitude.
fn distance(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected
        .iter()
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let far = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (f64::from(*found) - expected).abs());
    far.fold(0.0, f64::max) / largest
}

fn wide(logits: &[f32]) -> Vec<f64> {
    logits.iter().map(|&logit| f64::from(logit)).collect()
}

/// Distances are parts of the largest logit. Activations are rounded to 8 bits: where a value lies between two of them, the last bit of a float decides which it
/// becomes, and that is carried on. Without such rounding, in models of floats, only keys and values are, to f16.
#[test]
fn logits_are_those_of_the_definition() {
    for shape in shapes() {
        let tolerance = if shape.layers.is_float() { 1e-3 } else { 3e-2 };
        let mut fixture = Fixture::new(&shape);
        let tokens = tokens(90, 1);
        let expected = Reference::new(&made_up(&shape)).logits(&tokens);
        let found = fixture.logits(&tokens, 70, 32);
        for (found, expected) in found.iter().zip(&expected[69..]) {
            let distance = distance(found, expected);
            assert!(distance < tolerance, "{shape:?}: {distance}");
        }
    }
}

/// candle rounds activations in blocks of 256 for weights that have such blocks, scales to f16 for others, and keeps
/// keys and values in f32; random weights carry each difference on in full.
#[test]
fn logits_are_near_candles_and_greedy_tokens_mostly_the_same() {
    let (mut same, mut all) = (0, 0);
    for shape in shapes() {
        let tolerance = match shape.layers.block_columns() {
            1 => 5e-3,
            32 => 5e-2,
            _ => 0.2,
        };
        let mut candle = Candle::load(&mut Cursor::new(made_up(&shape).bytes())).unwrap();
        let mut fixture = Fixture::new(&shape);
        let tokens = tokens(60, 2);
        let expected = candle.logits(&tokens, 40).unwrap();
        let found = fixture.logits(&tokens, 40, 40);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let distance = distance(found, &wide(expected));
            assert!(distance < tolerance, "{shape:?}: {distance}");
            same += usize::from(greedy(found) == greedy(expected));
            all += 1;
        }
    }
    assert!(same * 20 >= all * 19, "{same} of {all}");
}

#[test]
fn keys_and_values_in_8_bits_change_little() {
    for shape in shapes() {
        let tokens = tokens(100, 3);
        let expected = Fixture::new(&shape).logits(&tokens, 100, 100);
        let mut fixture = Fixture::load(&made_up(&shape), KvKind::Q8, compute()).unwrap();
        let found = fixture.logits(&tokens, 100, 100);
        let distance = distance(&found[0], &wide(&expected[0]));
        assert!(distance > 0.0 && distance < 0.1, "{shape:?}: {distance}");
    }
}

#[test]
fn bits_depend_on_no_path_no_number_of_threads_and_no_fusion() {
    for (shape, kv) in shapes()
        .iter()
        .flat_map(|shape| [(shape, KvKind::F16), (shape, KvKind::Q8)])
    {
        let tokens = tokens(80, 4);
        let logits = |path, threads, fused| {
            let compute = Compute::new(path, Pool::new(threads).unwrap(), fused);
            let mut fixture = Fixture::load(&made_up(shape), kv, compute).unwrap();
            bits(&fixture.logits(&tokens, 77, 77))
        };
        let expected = logits(Path::SCALAR, 1, Fusions::NONE);
        for path in Path::offered() {
            assert!(logits(path, 3, Fusions::ALL) == expected, "{shape:?} {path:?}");
        }
        for (name, fusion) in Fusions::each() {
            assert!(logits(Path::SCALAR, 2, fusion) == expected, "{shape:?} {name}");
        }
    }
}

#[test]
fn bits_depend_on_no_chunk_and_no_company() {
    for shape in &shapes()[..3] {
        let mut fixture = Fixture::new(shape);
        let prompts = [1, 16, 33, 65, 200].map(|length| tokens(length, length));
        let alone: Vec<_> = prompts
            .iter()
            .map(|prompt| fixture.logits(prompt, prompt.len(), CONTEXT))
            .collect();
        for (prompt, alone) in prompts.iter().zip(&alone) {
            for chunk in [1, 7, 64] {
                let chunked = fixture.logits(prompt, prompt.len(), chunk);
                assert!(
                    bits(&chunked) == bits(alone),
                    "{shape:?}: {chunk} of {}",
                    prompt.len()
                );
            }
        }
        assert!(together(&mut fixture, &prompts) == alone, "{shape:?}");
    }
}

/// Logits after each of the prompts, in batches with rows of all of them.
fn together(fixture: &mut Fixture, prompts: &[Vec<u32>]) -> Vec<Vec<Vec<f32>>> {
    let mut kvs: Vec<_> = prompts.iter().map(|_| fixture.model.new_kv()).collect();
    let mut logits = vec![Vec::new(); prompts.len()];
    while kvs
        .iter()
        .zip(prompts)
        .any(|(kv, prompt)| kv.length() < prompt.len())
    {
        let mut parts = Vec::new();
        let mut wanted = Vec::new();
        for (index, (kv, prompt)) in kvs.iter_mut().zip(prompts).enumerate() {
            let rest = &prompt[kv.length()..];
            // Of different lengths, so that rows of several sequences lie in all ways.
            let tokens = &rest[..rest.len().min(1 + 13 * index)];
            let last = tokens.len() == rest.len();
            if tokens.is_empty() {
                continue;
            }
            wanted.extend(last.then_some(index));
            parts.push(Part {
                tokens,
                kv,
                logits: last,
            });
        }
        let made = fixture.graph.forward(&mut fixture.compute, &mut parts).unwrap();
        assert_eq!(made.rows(), wanted.len());
        for (row, index) in wanted.into_iter().enumerate() {
            logits[index].push(made.row(row).to_vec());
        }
    }
    logits
}

#[test]
fn the_context_is_a_limit() {
    let mut fixture = Fixture::new(&Shape::default());
    let mut kv = fixture.model.new_kv();
    let tokens = tokens(CONTEXT, 1);
    fixture.forward(&tokens, &mut kv);
    assert_eq!(kv.length(), CONTEXT);
    assert_eq!(kv.blocks().len(), CONTEXT / 64);
    let mut parts = [Part {
        tokens: &[3],
        kv: &mut kv,
        logits: true,
    }];
    let refused = fixture.graph.forward(&mut fixture.compute, &mut parts);
    assert!(matches!(refused, Err(ForwardError::ContextFull { .. })));
}

#[test]
fn a_token_that_is_none_is_refused() {
    let mut fixture = Fixture::new(&Shape::default());
    let vocabulary = fixture.graph.parameters().vocabulary;
    let mut kv = fixture.model.new_kv();
    let mut parts = [Part {
        tokens: &[3, vocabulary as u32],
        kv: &mut kv,
        logits: true,
    }];
    let refused = fixture.graph.forward(&mut fixture.compute, &mut parts);
    assert!(matches!(refused, Err(ForwardError::Token { .. })));
    assert_eq!(kv.length(), 0);
}

#[test]
fn factors_of_rotary_angles_are_used() {
    let shape = Shape {
        layers: Kind::F32,
        embedding: Kind::F32,
        ..Shape::default()
    };
    let mut model = made_up(&shape);
    let factors: Vec<u8> = (0..16)
        .flat_map(|pair| (1.0 + pair as f32).to_le_bytes())
        .collect();
    let factors = tiny::Tensor {
        kind: Kind::F32,
        lengths: vec![16],
        bytes: factors,
    };
    model.tensors.insert("rope_freqs.weight".to_owned(), factors);
    let tokens = tokens(40, 5);
    let expected = Reference::new(&model).logits(&tokens);
    let found = Fixture::load(&model, KvKind::F16, compute())
        .unwrap()
        .logits(&tokens, 40, 40);
    assert!(distance(&found[0], &expected[39]) < 2e-4);
    let without = Fixture::new(&shape).logits(&tokens, 40, 40);
    assert!(distance(&without[0], &expected[39]) > 1e-2);
}

/// What loading a model says once it was changed.
fn refusal(change: impl FnOnce(&mut tiny::Model)) -> String {
    let mut model = made_up(&Shape::default());
    change(&mut model);
    let refused = Fixture::load(&model, KvKind::F16, compute()).err();
    refused.map(|error| error.to_string()).unwrap_or_default()
}

fn assert_names(error: &str, name: &str) {
    assert!(error.contains(&format!("`{name}`")), "{name}: {error}");
    assert!(error.contains("tiny.gguf"), "{error}");
}

#[test]
fn what_the_graph_has_not_is_refused_by_name() {
    let text = |text: &str| Value::Text(text.to_owned());
    for (key, value, named) in [
        ("general.architecture", text("mamba"), None),
        ("llama.expert_count", Value::Integer(8), None),
        ("llama.attention.sliding_window", Value::Integer(128), None),
        ("llama.rope.scaling.type", text("longrope"), None),
        (
            "llama.rope.scaling.type",
            text("linear"),
            Some("llama.rope.scaling.factor"),
        ),
        ("llama.rope.dimension_count", Value::Integer(16), None),
        ("llama.attention.value_length", Value::Integer(64), None),
        ("llama.embedding_length", Value::Integer(40), None),
        (
            "llama.embedding_length",
            Value::Integer(96),
            Some("token_embd.weight"),
        ),
        ("llama.attention.head_count_kv", Value::Integer(0), None),
    ] {
        let error = refusal(|model| drop(model.metadata.insert(key.to_owned(), value)));
        assert_names(&error, named.unwrap_or(key));
    }
}

#[test]
fn tensors_that_are_missing_or_too_many_are_refused_by_name() {
    let missing = refusal(|model| drop(model.tensors.remove("blk.1.attn_v.weight")));
    assert_names(&missing, "blk.1.attn_v.weight");
    let more = refusal(|model| {
        let norm = model.tensors["output_norm.weight"].clone();
        model.tensors.insert("blk.0.attn_q.bias".to_owned(), norm);
    });
    assert_names(&more, "blk.0.attn_q.bias");
}
