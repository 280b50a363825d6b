//! The keys and values of one sequence.

use std::sync::Arc;

use kernels::kv::{KvBlock, KvShape, POSITIONS};

use crate::error::ForwardError;

/// Keys and values of the tokens that a sequence has seen, for all layers: a list of blocks of 64 positions. It grows
/// with the sequence, so that a short answer under a long context takes little.
#[derive(Debug)]
pub struct KvCache {
    shape: KvShape,
    blocks: Vec<Arc<KvBlock>>,
    length: usize,
    limit: usize,
}

impl KvCache {
    /// An empty one that may grow to `limit` positions.
    pub fn new(shape: KvShape, limit: usize) -> Self {
        Self {
            shape,
            blocks: Vec::new(),
            length: 0,
            limit,
        }
    }

    /// Another sequence that begins with the same tokens: full blocks are shared, for they never change; the last one is
    /// copied.
    pub fn branch(&self) -> Self {
        let (full, rest) = (self.length / POSITIONS, self.length % POSITIONS);
        let mut blocks = self.blocks[..full].to_vec();
        if rest > 0 {
            let mut block = KvBlock::new(self.shape);
            block.bytes_mut().copy_from_slice(self.blocks[full].bytes());
            blocks.push(Arc::new(block));
        }
        Self { blocks, ..*self }
    }

    /// Positions that are filled.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The blocks, in order of positions.
    pub fn blocks(&self) -> &[Arc<KvBlock>] {
        &self.blocks
    }

    /// Makes room for `more` positions.
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), ForwardError> {
        let needed = self.length + more;
        if needed > self.limit {
            return Err(ForwardError::ContextFull {
                needed,
                limit: self.limit,
            });
        }
        while self.blocks.len() * POSITIONS < needed {
            self.blocks.push(Arc::new(KvBlock::new(self.shape)));
        }
        Ok(())
    }

    /// The blocks, to be written at positions that were reserved.
    pub(crate) fn blocks_mut(&mut self) -> &mut [Arc<KvBlock>] {
        &mut self.blocks
    }

    /// Counts written positions as filled.
    pub(crate) fn advance(&mut self, new: usize) {
        self.length += new;
    }
}
