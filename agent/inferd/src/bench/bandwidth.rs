//! How fast this machine reads memory.

use std::hint::black_box;
use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use store::Pages;

/// What each thread reads: more than any cache that a mini PC has.
const BYTES: usize = 256 << 20;
/// Sums that do not wait for one another.
const LANES: usize = 64;
const WORD: usize = size_of::<u64>();
/// The best of these counts: whatever else the machine does can only slow a pass down.
const PASSES: usize = 8;

/// The bandwidth, in bytes per second, of `threads` threads that each read memory of their own from its beginning to
/// its end, in huge pages where the kernel has them, as packed weights are.
pub(super) fn measure(threads: usize) -> io::Result<f64> {
    let mut memories = (0..threads)
        .map(|_| Pages::new(BYTES))
        .collect::<io::Result<Vec<_>>>()?;
    let barrier = &Barrier::new(threads);
    let seconds = thread::scope(|scope| {
        let readers = memories
            .iter_mut()
            .map(|memory| scope.spawn(|| passes(memory.bytes_mut(), barrier)));
        let readers: Vec<_> = readers.collect();
        let times = readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or(f64::INFINITY));
        times.fold(0.0, f64::max)
    });
    Ok((threads * BYTES) as f64 / seconds)
}

/// Seconds of the fastest pass, during which all other threads read, too.
fn passes(memory: &mut [u8], barrier: &Barrier) -> f64 {
    // Memory that nobody has written on is one page of zeros.
    memory.fill(1);
    let memory = &*memory;
    let pass = |_| {
        barrier.wait();
        let start = Instant::now();
        black_box(sum(black_box(memory)));
        start.elapsed().as_secs_f64()
    };
    (0..PASSES).map(pass).fold(f64::INFINITY, f64::min)
}

/// A sum that reads every word and takes no time beside reading it.
fn sum(memory: &[u8]) -> u64 {
    let mut sums = [0_u64; LANES];
    for bytes in memory.chunks_exact(LANES * WORD) {
        for (sum, word) in sums.iter_mut().zip(bytes.as_chunks::<WORD>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read() {
        let words: Vec<u8> = (0..10 * LANES as u64).flat_map(u64::to_le_bytes).collect();
        let count = (words.len() / WORD) as u64;
        assert_eq!(sum(&words), count * (count - 1) / 2);
    }
}
