//! Memory for packed weights.

use std::ops::{Deref, DerefMut};

use crate::layout::ALIGNMENT;

/// Bytes that begin on a multiple of [`ALIGNMENT`].
#[derive(Debug)]
pub struct AlignedBytes {
    bytes: Vec<u8>,
    first: usize,
    length: usize,
}

impl AlignedBytes {
    /// As many zeros.
    pub fn zeros(length: usize) -> Self {
        let bytes = vec![0; length + ALIGNMENT];
        let first = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, first, length }
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.first..][..self.length]
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.first..][..self.length]
    }
}
