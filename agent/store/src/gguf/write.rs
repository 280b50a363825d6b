//! Heads of files that are written.

use crate::gguf::{Entries, TensorInfo};

/// The head of a file of version 3, padded to where the tensors' bytes begin.
pub(crate) fn head(entries: &Entries, tensors: &[TensorInfo], alignment: u64) -> Vec<u8> {
    let mut head = b"GGUF\x03\0\0\0".to_vec();
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend(entries.count.to_le_bytes());
    head.extend(&entries.bytes);
    for tensor in tensors {
        head.extend((tensor.name.len() as u64).to_le_bytes());
        head.extend(tensor.name.as_bytes());
        head.extend((tensor.dimensions.len() as u32).to_le_bytes());
        head.extend(tensor.dimensions.iter().flat_map(|length| length.to_le_bytes()));
        head.extend(tensor.kind.ggml().to_le_bytes());
        head.extend(tensor.offset.to_le_bytes());
    }
    head.resize(head.len().next_multiple_of(alignment as usize), 0);
    head
}
