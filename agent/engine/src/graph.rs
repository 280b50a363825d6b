//! A model's graph: what is computed for tokens, as a list of nodes that is built once from the family and run in a
//! loop over the layers.
//!
//! A batch has rows of several sequences: parts of prompts and single tokens of answers together. What comes out for a
//! sequence does not depend on what else is in the batch nor on how its prompt was divided; the operators guarantee it
//! ([`kernels::compute`]).

mod tensors;

use std::path::Path;

use kernels::activations::Activations;
use kernels::compute::{self, Angles, Attention, Compute, Linear, Norm, Rows};
use kernels::layout::ROWS;
use kernels::ops::{Rope, RopeScaling};
use store::Hash;
use store::metadata::Metadata;
use store::packed::{Layer, Packed};
use store::tensor::{Table, TensorId};

use crate::activity::Pulse;
use crate::error::{ForwardError, LoadError};
use crate::hyperparameters::Hyperparameters;
use crate::keys::Keys;
use crate::kv::KvCache;
use tensors::Tensors;

/// One step of a layer. Between nodes there are a few registers, as in [`Registers`], and the residual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `input = norm(residual)`
    Norm(TensorId),
    /// `query, key, value = weight · input + bias`, queries and keys turned to their positions, keys and values kept,
    /// `inner = attention`
    Attend(Attend),
    /// `inner = silu(gate · input) · (up · input)`
    GateUp {
        /// The matrix whose outputs open and close.
        gate: TensorId,
        /// The matrix whose outputs are let through.
        up: TensorId,
    },
    /// `residual += weight · inner`
    Add(TensorId),
}

/// The tensors of [`Node::Attend`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attend {
    /// Weights of query, key and value.
    pub weights: [TensorId; 3],
    /// Their biases, if the family has them.
    pub biases: Option<[TensorId; 3]>,
    /// Norms of each head of queries and of keys before they are turned, if the family has them.
    pub norms: Option<[TensorId; 2]>,
}

/// A model's weights, and what is computed with them.
pub struct Graph {
    packed: Packed,
    parameters: Hyperparameters,
    rope: Rope,
    embedding: TensorId,
    layers: Vec<Vec<Node>>,
    norm: TensorId,
    output: TensorId,
    registers: Registers,
    pulse: Pulse,
}

/// What one sequence has in a batch: the tokens that follow those in its `kv`.
#[derive(Debug)]
pub struct Part<'a> {
    /// At least one.
    pub tokens: &'a [u32],
    /// Its keys and values, to which those of the tokens are added.
    pub kv: &'a mut KvCache,
    /// Whether the logits after the last token are wanted.
    pub logits: bool,
}

/// Rows between nodes, one for each token of the batch. They are kept from batch to batch for their memory.
#[derive(Default)]
struct Registers {
    residual: Rows,
    input: Activations,
    inner: Activations,
    angles: Angles,
    /// The last rows of the parts that want logits.
    last: Rows,
    logits: Rows,
    /// The logits of some row tiles of the output.
    piece: Rows,
}

/// Which tensors are whose weights.
struct Wiring {
    parameters: Hyperparameters,
    embedding: TensorId,
    layers: Vec<Vec<Node>>,
    norm: TensorId,
    output: TensorId,
    factors: Option<TensorId>,
}

impl Wiring {
    fn find(metadata: &Metadata, table: &Table, path: &Path) -> Result<Self, LoadError> {
        let parameters = Hyperparameters::read(metadata, path)?;
        let (width, vocabulary) = (parameters.width, parameters.vocabulary);
        let mut tensors = Tensors::new(table, &parameters, Keys::new(metadata, path));
        let embedding = tensors.matrix("token_embd.weight", vocabulary, width)?;
        let output = tensors.optional_matrix("output.weight", vocabulary, width)?;
        let norm = tensors.vector("output_norm.weight", width)?;
        let layers = (0..parameters.layers).map(|index| tensors.layer(index));
        let layers = layers.collect::<Result<_, _>>()?;
        let factors = tensors.optional_vector("rope_freqs.weight", parameters.head_dim / 2)?;
        tensors.none_left()?;
        Ok(Self {
            embedding,
            layers,
            norm,
            output: output.unwrap_or(embedding),
            factors,
            parameters,
        })
    }
}

impl Graph {
    /// The graph of a model's family over its weights. `path` is for messages.
    pub fn new(packed: Packed, path: &Path) -> Result<Self, LoadError> {
        let wiring = Wiring::find(packed.metadata(), packed.tensors(), path)?;
        Ok(Self {
            rope: rope(&packed, &wiring.parameters, wiring.factors, path)?,
            embedding: wiring.embedding,
            layers: wiring.layers,
            norm: wiring.norm,
            output: wiring.output,
            registers: Registers::default(),
            pulse: Pulse::default(),
            parameters: wiring.parameters,
            packed,
        })
    }

    /// Whether there is a graph for a model that says this of itself and has these tensors; the error says what it
    /// lacks or has too much. No weight is looked at. `path` is for messages.
    pub fn check(metadata: &Metadata, tensors: &Table, path: &Path) -> Result<(), LoadError> {
        Wiring::find(metadata, tensors, path).map(drop)
    }

    /// The hash that names its model; none if that is not from a store.
    pub fn root(&self) -> Option<Hash> {
        self.packed.root()
    }

    /// Has this counter beat for each layer that is computed.
    pub fn beating(mut self, pulse: Pulse) -> Self {
        self.pulse = pulse;
        self
    }

    /// Its dimensions.
    pub fn parameters(&self) -> &Hyperparameters {
        &self.parameters
    }

    /// The nodes of each layer.
    pub fn layers(&self) -> &[Vec<Node>] {
        &self.layers
    }

    /// Runs the tokens of all parts through the layers, and appends to their keys and values. Gives the logits of
    /// those that want them, in the order of the parts: `[wanted, vocabulary]`.
    ///
    /// If it fails nothing counts as done.
    ///
    /// # Panics
    /// If a part has no tokens.
    pub fn forward(&mut self, compute: &mut Compute, parts: &mut [Part<'_>]) -> Result<&Rows, ForwardError> {
        self.begin(parts)?;
        self.embed(parts)?;
        let mut batch: Vec<_> = parts.iter_mut().map(Part::rows).collect();
        compute.angles(&self.rope, &batch, &mut self.registers.angles);
        for layer in 0..self.layers.len() {
            self.run_layer(compute, &mut batch, layer)?;
            self.pulse.beat();
        }
        self.logits(compute, parts)?;
        for part in parts {
            part.kv.advance(part.tokens.len());
        }
        Ok(&self.registers.logits)
    }

    /// Checks the tokens and makes room for them.
    fn begin(&mut self, parts: &mut [Part<'_>]) -> Result<(), ForwardError> {
        let vocabulary = self.parameters.vocabulary;
        for part in parts {
            assert!(!part.tokens.is_empty(), "a part has tokens");
            if let Some(&token) = part.tokens.iter().find(|&&token| token as usize >= vocabulary) {
                return Err(ForwardError::Token { token, vocabulary });
            }
            part.kv.reserve(part.tokens.len())?;
        }
        Ok(())
    }

    /// `residual`: the embeddings of all tokens.
    fn embed(&mut self, parts: &[Part<'_>]) -> Result<(), ForwardError> {
        let tokens = parts.iter().flat_map(|part| part.tokens);
        let residual = &mut self.registers.residual;
        residual.reset(tokens.clone().count(), self.parameters.width);
        for (row, &token) in tokens.enumerate() {
            let row_in_tile = token as usize % ROWS;
            let tile = self.packed.row_tile(self.embedding, token as usize / ROWS)?;
            tile.matrix().dequantise(row_in_tile, residual.row_mut(row));
        }
        Ok(())
    }

    fn run_layer(
        &mut self,
        compute: &mut Compute,
        batch: &mut [compute::Part<'_>],
        index: usize,
    ) -> Result<(), ForwardError> {
        let weights = self.packed.layer(index)?;
        let r = &mut self.registers;
        for node in &self.layers[index] {
            match node {
                Node::Norm(weight) => {
                    let norm = norm(&self.packed, *weight, &self.parameters);
                    compute.norm(&r.residual, norm, &mut r.input);
                }
                Node::Attend(tensors) => {
                    let how = tensors.attention(&self.packed, &weights, &self.parameters, index);
                    compute.attend(&how, &r.angles, batch, &r.input, &mut r.inner);
                }
                Node::GateUp { gate, up } => {
                    let (gate, up) = (weights.matrix(*gate), weights.matrix(*up));
                    compute.gate_up(&gate, &up, &r.input, &mut r.inner);
                }
                Node::Add(weight) => {
                    compute.linear_add(weights.matrix(*weight).into(), &r.inner, &mut r.residual);
                }
            }
        }
        Ok(())
    }

    /// `logits`: of the last rows of the parts that want them.
    fn logits(&mut self, compute: &mut Compute, parts: &[Part<'_>]) -> Result<(), ForwardError> {
        let r = &mut self.registers;
        let ends = parts.iter().scan(0, |end, part| {
            *end += part.tokens.len();
            Some((*end, part.logits))
        });
        let wanted: Vec<usize> = ends
            .filter(|(_, wanted)| *wanted)
            .map(|(end, _)| end - 1)
            .collect();
        r.last.reset(wanted.len(), self.parameters.width);
        r.logits.reset(wanted.len(), self.parameters.vocabulary);
        if wanted.is_empty() {
            return Ok(());
        }
        for (row, &from) in wanted.iter().enumerate() {
            r.last.row_mut(row).copy_from_slice(r.residual.row(from));
        }
        let norm = norm(&self.packed, self.norm, &self.parameters);
        compute.norm(&r.last, norm, &mut r.input);
        for piece in self.packed.pieces(self.output) {
            let piece = piece?;
            let first = piece.tiles().start * ROWS;
            compute.linear(&[piece.matrix().into()], &r.input, &mut [&mut r.piece]);
            for row in 0..wanted.len() {
                let from = r.piece.row(row);
                r.logits.row_mut(row)[first..][..from.len()].copy_from_slice(from);
            }
        }
        let finite = |row| r.logits.row(row).iter().any(|logit| logit.is_finite());
        if !(0..wanted.len()).all(finite) {
            return Err(ForwardError::NotFinite);
        }
        Ok(())
    }
}

impl Attend {
    fn attention<'a>(
        &self,
        packed: &'a Packed,
        weights: &'a Layer<'_>,
        parameters: &Hyperparameters,
        layer: usize,
    ) -> Attention<'a> {
        let [query, key, value] = [0, 1, 2].map(|which| Linear {
            weight: weights.matrix(self.weights[which]),
            bias: self.biases.map(|biases| packed.vector(biases[which])),
        });
        let head_norm = |which: usize| Some(norm(packed, self.norms?[which], parameters));
        Attention {
            layer,
            query,
            key,
            value,
            query_norm: head_norm(0),
            key_norm: head_norm(1),
            convention: parameters.family.convention,
            scale: 1.0 / (parameters.head_dim as f32).sqrt(),
        }
    }
}

impl Part<'_> {
    /// What its rows are for attention.
    fn rows(&mut self) -> compute::Part<'_> {
        compute::Part {
            rows: self.tokens.len(),
            position: self.kv.length(),
            blocks: self.kv.blocks_mut(),
        }
    }
}

fn norm<'a>(packed: &'a Packed, weight: TensorId, parameters: &Hyperparameters) -> Norm<'a> {
    Norm {
        weight: packed.vector(weight),
        epsilon: parameters.rms_epsilon,
    }
}

/// Rotary angles, with the factors that are among the tensors.
fn rope(
    packed: &Packed,
    parameters: &Hyperparameters,
    factors: Option<TensorId>,
    path: &Path,
) -> Result<Rope, LoadError> {
    let key = "rope_freqs.weight";
    let problem = |problem: String| Keys::new(packed.metadata(), path).problem(key, problem);
    let scaling = match (factors, &parameters.rope_scaling) {
        (None, scaling) => scaling.clone(),
        (Some(factors), RopeScaling::None) => RopeScaling::Factors(packed.vector(factors).to_vec()),
        (Some(_), other) => return Err(problem(format!("is there beside a scaling by {other:?}"))),
    };
    let rope = Rope::new(parameters.head_dim, parameters.rope_base, &scaling);
    rope.map_err(|error| problem(error.to_string()))
}
