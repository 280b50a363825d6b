//! Export: a stored model as a GGUF file again, with the bytes it was imported from.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use kernels::kind::Kind;
use kernels::layout::{ROWS, unpack_tile};
use kernels::matrix::Matrix;

use crate::error::Error;
use crate::folder::sync_folder;
use crate::gguf::{self, Entries, TensorInfo};
use crate::packed::Packed;
use crate::progress::{Count, OnProgress, Phase};
use crate::tensor::{Shape, Tensor, TensorId};

/// Writes a model as a GGUF file of version 3: first beside `path`, then under that name when it is whole.
pub(crate) fn export(
    packed: &Packed,
    entries: &Entries,
    path: &Path,
    progress: OnProgress<'_>,
) -> Result<(), Error> {
    if path.is_dir() {
        return Err(Error::write(path)(io::ErrorKind::IsADirectory.into()));
    }
    let (file, incoming) = new_incoming(path)?;
    write(packed, entries, BufWriter::new(file), &incoming, progress)
        .and_then(|()| fs::rename(&incoming, path).map_err(Error::io("rename to", path)))
        .inspect_err(|_| {
            // The first error is the one to tell.
            fs::remove_file(&incoming).ok();
        })?;
    match path.parent() {
        Some(folder) if folder != Path::new("") => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}

/// A new file beside `path`: one that is there, or where a link leads, is somebody else's.
fn new_incoming(path: &Path) -> Result<(File, PathBuf), Error> {
    let mut number = 0_u64;
    loop {
        let incoming = path.with_added_extension(format!("incoming-{number}"));
        match File::create_new(&incoming) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            file => {
                let file = file.map_err(Error::write(&incoming))?;
                return Ok((file, incoming));
            }
        }
    }
}

fn write(
    packed: &Packed,
    entries: &Entries,
    mut file: BufWriter<File>,
    path: &Path,
    progress: OnProgress<'_>,
) -> Result<(), Error> {
    let infos = infos(packed);
    let alignment = gguf::alignment(packed.metadata());
    let total = infos.iter().map(|info| info.bytes).sum();
    let count = Count::new(Phase::Exporting, total, progress);
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(Error::write(path));
    put(&gguf::head(entries, &infos, alignment))?;
    for ((id, tensor), info) in packed.tensors().iter().zip(&infos) {
        unpacked(packed, id, tensor, &mut |bytes| {
            count.add(bytes.len());
            put(bytes)
        })?;
        put(&vec![
            0;
            (info.bytes.next_multiple_of(alignment) - info.bytes)
                as usize
        ])?;
    }
    let file = file
        .into_inner()
        .map_err(|error| Error::write(path)(error.into_error()))?;
    file.sync_all().map_err(Error::write(path))
}

/// What the head says of the tensors: they lie one after the other.
fn infos(packed: &Packed) -> Vec<TensorInfo> {
    let alignment = gguf::alignment(packed.metadata());
    let mut offset = 0_u64;
    let info = |(_, tensor): (TensorId, &Tensor)| {
        let elements: u64 = tensor.dimensions.iter().product();
        let kind = tensor.source_kind;
        let info = TensorInfo {
            name: tensor.name.clone(),
            kind,
            dimensions: tensor.dimensions.clone(),
            offset,
            bytes: elements / kind.block_columns() as u64 * kind.block_bytes() as u64,
        };
        offset = (offset + info.bytes).next_multiple_of(alignment);
        info
    };
    packed.tensors().iter().map(info).collect()
}

/// A tensor's bytes in the source, a row tile at a time.
fn unpacked(
    packed: &Packed,
    id: TensorId,
    tensor: &Tensor,
    put: &mut impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let Shape::Matrix { kind, rows, columns } = tensor.shape else {
        return put(&narrow(tensor.source_kind, packed.vector(id)));
    };
    let mut put_matrix = |first: usize, matrix: &Matrix<'_>| {
        (0..matrix.tiles()).try_for_each(|tile| {
            let rows = (rows - (first + tile) * ROWS).min(ROWS);
            let mut target = vec![0; rows * kind.row_bytes(columns)];
            unpack_tile(kind, columns, matrix.tile(tile), &mut target);
            put(&target)
        })
    };
    match tensor.layer() {
        Some(layer) => put_matrix(0, &packed.layer(layer)?.matrix(id)),
        None => packed.pieces(id).try_for_each(|piece| {
            let piece = piece?;
            put_matrix(piece.tiles().start, &piece.matrix())
        }),
    }
}

/// 32-bit floats as what they were, which loses nothing.
fn narrow(kind: Kind, values: &[f32]) -> Vec<u8> {
    match kind {
        Kind::F16 => values
            .iter()
            .flat_map(|&value| f16::from_f32(value).to_le_bytes())
            .collect(),
        Kind::BF16 => values
            .iter()
            .flat_map(|&value| bf16::from_f32(value).to_le_bytes())
            .collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}
