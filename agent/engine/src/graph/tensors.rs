//! Which tensors of a model are the weights of which node.

use std::collections::HashSet;

use store::tensor::{Shape, Table, TensorId};

use super::{Attend, Node};
use crate::error::LoadError;
use crate::hyperparameters::Hyperparameters;
use crate::keys::Keys;

/// Finds tensors of the shapes that the hyperparameters demand, and knows which were never asked for.
pub(super) struct Tensors<'a> {
    table: &'a Table,
    parameters: &'a Hyperparameters,
    keys: Keys<'a>,
    found: HashSet<TensorId>,
}

impl<'a> Tensors<'a> {
    pub(super) fn new(table: &'a Table, parameters: &'a Hyperparameters, keys: Keys<'a>) -> Self {
        Self {
            table,
            parameters,
            keys,
            found: HashSet::new(),
        }
    }

    /// A matrix `[rows, columns]`.
    pub(super) fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<TensorId, LoadError> {
        let found = self.optional_matrix(name, rows, columns)?;
        found.ok_or_else(|| self.keys.problem(name, "is missing"))
    }

    /// A matrix, if there is one of that name.
    pub(super) fn optional_matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Option<TensorId>, LoadError> {
        let fits =
            |shape| matches!(shape, Shape::Matrix { rows: r, columns: c, .. } if (r, c) == (rows, columns));
        self.find(name, fits, || format!("[{rows}, {columns}]"))
    }

    /// A vector `[length]`.
    pub(super) fn vector(&mut self, name: &str, length: usize) -> Result<TensorId, LoadError> {
        let found = self.optional_vector(name, length)?;
        found.ok_or_else(|| self.keys.problem(name, "is missing"))
    }

    /// A vector, if there is one of that name.
    pub(super) fn optional_vector(
        &mut self,
        name: &str,
        length: usize,
    ) -> Result<Option<TensorId>, LoadError> {
        self.find(
            name,
            |shape| shape == Shape::Vector(length),
            || format!("[{length}]"),
        )
    }

    fn find(
        &mut self,
        name: &str,
        fits: impl Fn(Shape) -> bool,
        demanded: impl Fn() -> String,
    ) -> Result<Option<TensorId>, LoadError> {
        let Some(id) = self.table.find(name) else {
            return Ok(None);
        };
        let tensor = self.table.get(id);
        if !fits(tensor.shape) {
            let columns_last: Vec<_> = tensor.dimensions.iter().rev().collect();
            let problem = format!(
                "has the shape {columns_last:?}; the metadata demands {}",
                demanded()
            );
            return Err(self.keys.problem(name, problem));
        }
        self.found.insert(id);
        Ok(Some(id))
    }

    /// The nodes of a layer.
    pub(super) fn layer(&mut self, index: usize) -> Result<Vec<Node>, LoadError> {
        let p = self.parameters;
        let name = |part: &str| format!("blk.{index}.{part}");
        let (query, kv) = (p.query_width(), p.kv_width());
        let weights = [
            self.matrix(&name("attn_q.weight"), query, p.width)?,
            self.matrix(&name("attn_k.weight"), kv, p.width)?,
            self.matrix(&name("attn_v.weight"), kv, p.width)?,
        ];
        let biases = match p.family.biases {
            false => None,
            true => Some([
                self.vector(&name("attn_q.bias"), query)?,
                self.vector(&name("attn_k.bias"), kv)?,
                self.vector(&name("attn_v.bias"), kv)?,
            ]),
        };
        let norms = match p.family.head_norms {
            false => None,
            true => Some([
                self.vector(&name("attn_q_norm.weight"), p.head_dim)?,
                self.vector(&name("attn_k_norm.weight"), p.head_dim)?,
            ]),
        };
        Ok(vec![
            Node::Norm(self.vector(&name("attn_norm.weight"), p.width)?),
            Node::Attend(Attend {
                weights,
                biases,
                norms,
            }),
            Node::Add(self.matrix(&name("attn_output.weight"), p.width, query)?),
            Node::Norm(self.vector(&name("ffn_norm.weight"), p.width)?),
            Node::GateUp {
                gate: self.matrix(&name("ffn_gate.weight"), p.feed_forward, p.width)?,
                up: self.matrix(&name("ffn_up.weight"), p.feed_forward, p.width)?,
            },
            Node::Add(self.matrix(&name("ffn_down.weight"), p.width, p.feed_forward)?),
        ])
    }

    /// Refuses tensors that no node uses: a graph that lacks something would answer, but wrongly.
    pub(super) fn none_left(&self) -> Result<(), LoadError> {
        let mut unused = self.table.iter().filter(|(id, _)| !self.found.contains(id));
        match unused.next() {
            None => Ok(()),
            Some((_, tensor)) => {
                let family = self.parameters.family.name;
                let problem = format!("is there, and the graph of `{family}` has no use for it");
                Err(self.keys.problem(&tensor.name, problem))
            }
        }
    }
}
