//! Which tensors a model has and where each of them lies when it is packed.
//!
//! A packed model is a list of segments: the token embedding, each layer in order, and the rest. In a segment the
//! vectors come first, then the matrices, each by name, so that models of one family agree in what is equal.

use std::collections::HashMap;
use std::ops::Range;

use kernels::kind::Kind;
use kernels::layout::{ALIGNMENT, ROWS, packed_bytes, tile_bytes};

use crate::gguf::{MAX_TENSOR_ELEMENTS, TensorInfo};

/// The tensor that a segment of its own is made for: one row of it is read for each token.
pub const EMBEDDING: &str = "token_embd.weight";
/// Most layers that a model may have.
pub const MAX_LAYERS: usize = 4_096;
/// Most bytes that a packed tensor may have: a quarter of what an address can name.
const MAX_BYTES: usize = isize::MAX as usize / 2;

/// A tensor of a packed model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name, as GGUF has it.
    pub name: String,
    /// What it is.
    pub shape: Shape,
    /// Its element type in the source; a vector is kept as [`Kind::F32`] whatever that was.
    pub source_kind: Kind,
    /// Lengths of its dimensions in the source, columns first.
    pub dimensions: Vec<u64>,
    /// The segment that it lies in.
    pub segment: usize,
    /// Where it begins in the segment, a multiple of 64.
    pub offset: usize,
}

/// Vector or matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Norms, biases and such: as many 32-bit floats.
    Vector(usize),
    /// Weights in the layout of [`kernels::layout`].
    Matrix {
        /// The element type.
        kind: Kind,
        /// Outputs of the product.
        rows: usize,
        /// Inputs of the product.
        columns: usize,
    },
}

/// A tensor's name and what is wrong with it.
pub(crate) type TensorProblem = (String, String);

/// A tensor of a model, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub(crate) usize);

impl Shape {
    /// What a tensor becomes when it is packed: one dimension is a vector, more are a matrix. The error says what is
    /// wrong with it.
    pub(crate) fn new(kind: Kind, dimensions: &[u64]) -> Result<Self, String> {
        let elements = dimensions
            .iter()
            .try_fold(1_u64, |product, &length| product.checked_mul(length));
        if !elements.is_some_and(|elements| (1..=MAX_TENSOR_ELEMENTS).contains(&elements)) {
            return Err("has no elements, or more than any model".to_owned());
        }
        match *dimensions {
            [_] if !kind.is_float() => {
                let kind = kind.name();
                Err(format!(
                    "is a vector of type {kind}; F32, F16 and BF16 are supported"
                ))
            }
            [length] => Ok(Self::Vector(length as usize)),
            [columns, ..] if !columns.is_multiple_of(kind.block_columns() as u64) => {
                let (kind, block) = (kind.name(), kind.block_columns());
                Err(format!(
                    "has rows of {columns} elements; {kind} needs a multiple of {block}"
                ))
            }
            [columns, ref rest @ ..] => Ok(Self::Matrix {
                kind,
                rows: rest.iter().product::<u64>() as usize,
                columns: columns as usize,
            }),
            [] => Err("has no dimensions".to_owned()),
        }
    }

    /// Bytes when packed.
    pub fn bytes(&self) -> usize {
        match *self {
            Self::Vector(length) => length.saturating_mul(size_of::<f32>()),
            Self::Matrix { kind, rows, columns } => packed_bytes(kind, rows, columns),
        }
    }

    /// Bytes of the smallest part that can be packed on its own: a row tile, or one float.
    pub(crate) fn unit_bytes(&self) -> usize {
        match *self {
            Self::Vector(_) => size_of::<f32>(),
            Self::Matrix { kind, columns, .. } => tile_bytes(kind, columns),
        }
    }

    /// Row tiles of a matrix.
    pub fn tiles(&self) -> usize {
        match *self {
            Self::Vector(_) => 0,
            Self::Matrix { rows, .. } => rows.div_ceil(ROWS),
        }
    }
}

impl Tensor {
    /// Where it lies in its segment.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.bytes()
    }

    /// The layer that it is of: `blk.7.attn_q.weight` is of layer 7.
    pub fn layer(&self) -> Option<usize> {
        layer(&self.name)
    }

    /// Whether it is a vector.
    pub fn is_vector(&self) -> bool {
        matches!(self.shape, Shape::Vector(_))
    }
}

/// All tensors of a model, in the order of the source, and its segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    tensors: Vec<Tensor>,
    names: HashMap<String, usize>,
    segments: Vec<usize>,
}

impl Table {
    /// Gives every tensor its place. The error names the tensor and says what is wrong with it.
    pub fn plan<'a>(infos: impl Iterator<Item = &'a TensorInfo>) -> Result<Self, TensorProblem> {
        let mut tensors = Vec::new();
        for info in infos {
            let shape =
                Shape::new(info.kind, &info.dimensions).map_err(|problem| (info.name.clone(), problem))?;
            tensors.push(Tensor {
                name: info.name.clone(),
                shape,
                source_kind: info.kind,
                dimensions: info.dimensions.clone(),
                segment: 0,
                offset: 0,
            });
        }
        Self::placed(tensors)
    }

    /// Gives tensors their places, whatever places they had: names and shapes alone decide.
    pub(crate) fn placed(mut tensors: Vec<Tensor>) -> Result<Self, TensorProblem> {
        let layers = layers(&tensors)?;
        let segments = place(&mut tensors, layers)?;
        Self::new(tensors, segments)
    }

    /// A table of tensors that have their places: each name once, and the embedding among them.
    fn new(tensors: Vec<Tensor>, segments: Vec<usize>) -> Result<Self, TensorProblem> {
        let mut names = HashMap::new();
        for (index, tensor) in tensors.iter().enumerate() {
            if names.insert(tensor.name.clone(), index).is_some() {
                return Err((tensor.name.clone(), "appears twice".to_owned()));
            }
        }
        if !names.contains_key(EMBEDDING) {
            return Err((
                EMBEDDING.to_owned(),
                "is missing: every supported model has it".to_owned(),
            ));
        }
        Ok(Self {
            tensors,
            names,
            segments,
        })
    }

    /// The tensor of that name.
    pub fn find(&self, name: &str) -> Option<TensorId> {
        self.names.get(name).copied().map(TensorId)
    }

    /// One of them.
    pub fn get(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TensorId, &Tensor)> {
        let numbered = |(index, tensor)| (TensorId(index), tensor);
        self.tensors.iter().enumerate().map(numbered)
    }

    /// Bytes of each segment: embedding, layers, the rest.
    pub fn segments(&self) -> &[usize] {
        &self.segments
    }

    /// How many layers there are.
    pub fn layers(&self) -> usize {
        self.segments.len().saturating_sub(2)
    }

    /// The tensors of a segment in the order in which they lie there.
    pub(crate) fn in_segment(&self, segment: usize) -> Vec<(TensorId, &Tensor)> {
        let mut tensors: Vec<_> = self
            .iter()
            .filter(|(_, tensor)| tensor.segment == segment)
            .collect();
        tensors.sort_by_key(|(_, tensor)| tensor.offset);
        tensors
    }
}

/// The segment of a layer.
pub(crate) fn layer_segment(layer: usize) -> usize {
    layer + 1
}

/// The layer that a name tells.
fn layer(name: &str) -> Option<usize> {
    let (number, _) = name.strip_prefix("blk.")?.split_once('.')?;
    number.parse().ok()
}

/// How many layers there are; none is missing.
fn layers(tensors: &[Tensor]) -> Result<usize, TensorProblem> {
    let mut layers: Vec<_> = tensors
        .iter()
        .filter_map(|tensor| Some((layer(&tensor.name)?, tensor)))
        .collect();
    layers.sort_by_key(|(layer, _)| *layer);
    let mut count = 0;
    for (layer, tensor) in layers {
        let problem = |problem| Err((tensor.name.clone(), problem));
        if layer >= MAX_LAYERS {
            return problem(format!(
                "is of layer {layer}; at most {MAX_LAYERS} layers are supported"
            ));
        }
        if layer > count {
            return problem(format!("is of layer {layer}, but layer {count} has no tensor"));
        }
        count = layer + 1;
    }
    Ok(count)
}

/// Gives each tensor its segment and offset, and tells the bytes of each segment.
fn place(tensors: &mut [Tensor], layers: usize) -> Result<Vec<usize>, TensorProblem> {
    let mut segments = vec![0_usize; layers + 2];
    let mut ordered: Vec<&mut Tensor> = tensors.iter_mut().collect();
    ordered.sort_by(|a, b| (!a.is_vector(), &a.name).cmp(&(!b.is_vector(), &b.name)));
    for tensor in ordered {
        tensor.segment = match layer(&tensor.name) {
            Some(layer) => layer_segment(layer),
            None if tensor.name == EMBEDDING => 0,
            None => layers + 1,
        };
        let end = &mut segments[tensor.segment];
        tensor.offset = end.next_multiple_of(ALIGNMENT);
        *end = tensor
            .offset
            .checked_add(tensor.shape.bytes())
            .filter(|&end| end <= MAX_BYTES)
            .ok_or_else(|| (tensor.name.clone(), "is too large".to_owned()))?;
    }
    Ok(segments)
}
