//! From a source's tensors to the bytes of a segment.

use std::ops::Range;

use half::{bf16, f16};
use kernels::kind::Kind;
use kernels::layout::{ROWS, pack_tile, tile_bytes};

use crate::codec::Content;
use crate::error::Error;
use crate::source::Source;
use crate::tensor::{Shape, Table, Tensor, TensorId};

/// Packs any part of any segment, by itself: threads share nothing but the source.
#[derive(Debug)]
pub(crate) struct Packer<'a> {
    source: &'a Source,
    segments: Vec<Vec<(TensorId, &'a Tensor)>>,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(source: &'a Source, table: &'a Table) -> Self {
        let segments = 0..table.segments().len();
        Self {
            source,
            segments: segments.map(|segment| table.in_segment(segment)).collect(),
        }
    }

    /// Writes what lies in the segment from `start` on into `target`, which is all zeros. `scratch` is used again.
    pub(crate) fn fill(
        &self,
        segment: usize,
        start: usize,
        target: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let wanted = start..start + target.len();
        for &(id, tensor) in &self.segments[segment] {
            let here = intersection(&wanted, &tensor.range());
            if here.is_empty() {
                continue;
            }
            let part = &mut target[here.start - start..here.end - start];
            let offset = here.start - tensor.offset;
            match tensor.shape {
                Shape::Vector(_) => self.fill_vector(id, tensor, offset, part, scratch)?,
                Shape::Matrix { kind, rows, columns } => {
                    let matrix = MatrixShape { kind, rows, columns };
                    self.fill_matrix(id, matrix, offset, part, scratch)?;
                }
            }
        }
        Ok(())
    }

    /// What most bytes of a part of a segment are.
    pub(crate) fn content(&self, segment: usize, start: usize, bytes: usize) -> Content {
        let mut found = [0; 3];
        for (_, tensor) in &self.segments[segment] {
            let here = intersection(&(start..start + bytes), &tensor.range());
            found[content(tensor.shape) as usize] += here.len();
        }
        let all = [Content::Bytes, Content::Halves, Content::Floats];
        all.into_iter()
            .max_by_key(|&content| found[content as usize])
            .unwrap_or(Content::Bytes)
    }

    /// Vectors begin on 64 bytes and blocks end on such, so that no float is ever cut.
    fn fill_vector(
        &self,
        id: TensorId,
        tensor: &Tensor,
        offset: usize,
        part: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let element = tensor.source_kind.block_bytes();
        let (first, count) = (offset / size_of::<f32>(), part.len() / size_of::<f32>());
        let source = scratch.source(count * element);
        self.source.read(id.0, (first * element) as u64, source)?;
        widen(tensor.source_kind, source, part).map_err(|()| Error::Tensor {
            path: self.source.path().to_owned(),
            tensor: tensor.name.clone(),
            problem: "has a value that is not a number".to_owned(),
        })
    }

    /// A row tile that only reaches into `part` is packed aside.
    fn fill_matrix(
        &self,
        id: TensorId,
        matrix: MatrixShape,
        offset: usize,
        part: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let tile_bytes = matrix.tile_bytes();
        let wanted = offset..offset + part.len();
        let tiles = wanted.start / tile_bytes..wanted.end.div_ceil(tile_bytes);
        let rows = tiles.start * ROWS..(tiles.end * ROWS).min(matrix.rows);
        let row_bytes = matrix.kind.row_bytes(matrix.columns);
        let (source, aside) = scratch.both(rows.len() * row_bytes, tile_bytes);
        self.source.read(id.0, (rows.start * row_bytes) as u64, source)?;
        for (tile, rows) in tiles.zip(source.chunks(ROWS * row_bytes)) {
            let place = tile * tile_bytes..(tile + 1) * tile_bytes;
            let here = intersection(&place, &wanted);
            let to = &mut part[here.start - offset..here.end - offset];
            if here == place {
                pack_tile(matrix.kind, matrix.columns, rows, to);
            } else {
                pack_tile(matrix.kind, matrix.columns, rows, aside);
                to.copy_from_slice(&aside[here.start - place.start..here.end - place.start]);
            }
        }
        Ok(())
    }
}

fn content(shape: Shape) -> Content {
    match shape {
        Shape::Vector(_) => Content::Floats,
        Shape::Matrix { kind, .. } => match kind {
            Kind::F32 => Content::Floats,
            Kind::F16 | Kind::BF16 => Content::Halves,
            _ => Content::Bytes,
        },
    }
}

#[derive(Clone, Copy)]
struct MatrixShape {
    kind: Kind,
    rows: usize,
    columns: usize,
}

impl MatrixShape {
    fn tile_bytes(&self) -> usize {
        tile_bytes(self.kind, self.columns)
    }
}

/// Memory that one thread uses again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    source: Vec<u8>,
    tile: Vec<u8>,
}

impl Scratch {
    fn source(&mut self, bytes: usize) -> &mut [u8] {
        self.source.resize(bytes, 0);
        &mut self.source
    }

    fn both(&mut self, source: usize, tile: usize) -> (&mut [u8], &mut [u8]) {
        self.source.resize(source, 0);
        self.tile.resize(tile, 0);
        (&mut self.source, &mut self.tile)
    }
}

fn intersection(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// Writes 16- or 32-bit floats as 32-bit ones, which loses nothing; what is not a number is refused, for its bits
/// might not come back.
fn widen(kind: Kind, source: &[u8], target: &mut [u8]) -> Result<(), ()> {
    let (targets, _) = target.as_chunks_mut::<4>();
    for (source, target) in source.chunks_exact(kind.block_bytes()).zip(targets) {
        let value = match (kind, source) {
            (Kind::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
            (Kind::BF16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
            (_, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            // A shape's vector has floats only.
            _ => return Err(()),
        };
        if value.is_nan() {
            return Err(());
        }
        *target = value.to_le_bytes();
    }
    Ok(())
}
