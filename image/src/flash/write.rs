//! Writing in pieces, each hashed on its way, and reading them back.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::gpt::Patch;
use super::source::Source;
use super::target::{Buffer, Device};
use super::{FlashError, Result};
use crate::progress::Progress;

/// Bytes of a piece: large enough that a device works at its full rate, and a multiple of every sector.
pub(super) const PIECE: usize = 4 << 20;

/// What was written, by the hashes of its pieces.
pub(super) struct Written {
    /// Bytes that were sent to the device.
    pub(super) bytes: u64,
    pieces: Vec<[u8; 32]>,
}

/// Writes all of `source`. Pieces that are all zero are left to the device to make, where it can.
pub(super) fn write(
    source: &mut Source,
    device: &Device,
    rate: Option<u64>,
    progress: Progress<'_>,
) -> Result<Written> {
    let mut buffer = Buffer::new(PIECE);
    let mut written = Written {
        bytes: 0,
        pieces: Vec::new(),
    };
    let pace = Pace {
        begun: Instant::now(),
        rate,
    };
    for (offset, length) in pieces(source.len()) {
        let piece = buffer.first(length);
        source.read(piece, offset)?;
        written.pieces.push(Sha256::digest(&*piece).into());
        let is_zero = piece.iter().all(|byte| *byte == 0);
        if !is_zero || !device.zero(offset, length as u64)? {
            device.write(piece, offset)?;
            written.bytes += length as u64;
            pace.keep(written.bytes);
        }
        progress.amount(offset + length as u64, source.len());
    }
    if let Some(tail) = source.tail() {
        let piece = buffer.first(tail.bytes.len());
        piece.copy_from_slice(&tail.bytes);
        device.write(piece, tail.offset)?;
        written.bytes += tail.bytes.len() as u64;
    }
    device.sync()?;
    Ok(written)
}

/// Reads everything back, zeros too, and compares.
pub(super) fn verify(
    written: &Written,
    source: &Source,
    device: &Device,
    progress: Progress<'_>,
) -> Result<()> {
    let mut buffer = Buffer::new(PIECE);
    let differs = |offset, length| FlashError::Verify {
        path: device.path().to_owned(),
        offset,
        length,
    };
    for ((offset, length), expected) in pieces(source.len()).zip(&written.pieces) {
        let piece = buffer.first(length);
        device.read(piece, offset)?;
        if <[u8; 32]>::from(Sha256::digest(&*piece)) != *expected {
            return Err(differs(offset, length));
        }
        progress.amount(offset + length as u64, source.len());
    }
    if let Some(Patch { offset, bytes }) = source.tail() {
        let piece = buffer.first(bytes.len());
        device.read(piece, *offset)?;
        if piece != &bytes[..] {
            return Err(differs(*offset, bytes.len()));
        }
    }
    Ok(())
}

/// Offsets and lengths of the pieces of `total` bytes.
fn pieces(total: u64) -> impl Iterator<Item = (u64, usize)> {
    let starts = (0..total).step_by(PIECE);
    starts.map(move |offset| (offset, (total - offset).min(PIECE as u64) as usize))
}

/// Holds the writing to the rate of a slower device.
struct Pace {
    begun: Instant,
    rate: Option<u64>,
}

impl Pace {
    fn keep(&self, bytes: u64) {
        let Some(rate) = self.rate.filter(|rate| *rate > 0) else {
            return;
        };
        let due = Duration::from_secs_f64(bytes as f64 / rate as f64);
        std::thread::sleep(due.saturating_sub(self.begun.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_everything_once() {
        let total = PIECE as u64 * 2 + 512;
        let all: Vec<_> = pieces(total).collect();
        assert_eq!(all, [(0, PIECE), (PIECE as u64, PIECE), (2 * PIECE as u64, 512)]);
        assert_eq!(pieces(0).count(), 0);
    }
}
