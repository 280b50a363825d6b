//! The keys and values of one sequence.

use candle_core::{DType, Device, Result, Tensor};

use crate::hyperparameters::Hyperparameters;

/// Positions that storage grows by at first; it doubles from there.
const FIRST_POSITIONS: usize = 256;

/// Keys and values of the tokens that a sequence has seen, for all layers.
///
/// Storage is `[kv_heads, capacity, head_dim]` in f32 for each of keys and values of each layer. It grows with the
/// sequence, so that a short answer under a long context takes little.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<LayerKv>,
    length: usize,
    capacity: usize,
    limit: usize,
}

#[derive(Debug)]
struct LayerKv {
    keys: Tensor,
    values: Tensor,
}

impl KvCache {
    /// An empty one that may grow to `limit` positions.
    pub fn new(parameters: &Hyperparameters, limit: usize) -> Result<Self> {
        let capacity = FIRST_POSITIONS.min(limit);
        let shape = (parameters.kv_heads, capacity, parameters.head_dim);
        let empty = || Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let layer = |_| {
            Ok(LayerKv {
                keys: empty()?,
                values: empty()?,
            })
        };
        let layers = (0..parameters.layers).map(layer).collect::<Result<_>>()?;
        Ok(Self {
            layers,
            length: 0,
            capacity,
            limit,
        })
    }

    /// Positions that are filled.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Makes room for `more` positions.
    pub(crate) fn reserve(&mut self, more: usize) -> Result<()> {
        let needed = self.length + more;
        if needed > self.limit {
            candle_core::bail!(
                "{needed} positions are needed, and the context holds {}",
                self.limit
            )
        }
        if needed <= self.capacity {
            return Ok(());
        }
        let capacity = (self.capacity * 2).max(needed).min(self.limit);
        for layer in &mut self.layers {
            layer.keys = grown(&layer.keys, self.length, capacity)?;
            layer.values = grown(&layer.values, self.length, capacity)?;
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Appends keys and values, each `[kv_heads, new, head_dim]`, to a layer, and returns views of all that it has
    /// then. [`Self::reserve`] came before, [`Self::advance`] comes after the last layer.
    pub(crate) fn append(&self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let storage = &self.layers[layer];
        let total = self.length + keys.dim(1)?;
        storage.keys.slice_set(keys, 1, self.length)?;
        storage.values.slice_set(values, 1, self.length)?;
        Ok((
            storage.keys.narrow(1, 0, total)?,
            storage.values.narrow(1, 0, total)?,
        ))
    }

    /// Counts the appended positions as filled.
    pub(crate) fn advance(&mut self, new: usize) {
        self.length += new;
    }
}

fn grown(old: &Tensor, length: usize, capacity: usize) -> Result<Tensor> {
    let (heads, _, head_dim) = old.dims3()?;
    let new = Tensor::zeros((heads, capacity, head_dim), DType::F32, &Device::Cpu)?;
    if length > 0 {
        new.slice_set(&old.narrow(1, 0, length)?.contiguous()?, 1, 0)?;
    }
    Ok(new)
}
