//! What the pool costs and what disturbs it: an empty region, a token's regions, and the same with a foreign process
//! spinning on one of the processors.
//!
//! `cargo bench -p kernels --bench pool`; on a busy machine under `nice -n -10`, so that only the spinner disturbs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kernels::pool::Pool;
use kernels::pool::topology::Topology;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// As SmolLM2 has them: regions of a token, chunks of a region and the length of a chunk.
const REGIONS: usize = 30 * 5;
const CHUNKS: usize = 16;
const CHUNK: Duration = Duration::from_micros(3);
const REPEATS: usize = 9;
/// An argument that makes this program the foreign spinner.
const SPIN: &str = "spin-on-processor";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, command, processor] = &arguments[..]
        && command == SPIN
    {
        go_to(&[processor.parse()?])?;
        println!("{SPIN}");
        loop {
            std::hint::spin_loop();
        }
    }
    let topology = Topology::read().expect("the machine's processors");
    println!("{topology:?}");
    let processors: Vec<_> = topology
        .processors()
        .iter()
        .map(|processor| processor.number)
        .collect();
    let steps = calibrated();
    for threads in [1, 2, 4]
        .into_iter()
        .filter(|&threads| threads <= processors.len())
    {
        empty(threads)?;
        decode(threads, steps)?;
    }
    for threads in [2, 4].into_iter().filter(|&threads| threads <= processors.len()) {
        disturbed(&processors[..threads], steps)?;
    }
    Ok(())
}

/// Confines this thread, and those that it starts, to some processors.
fn go_to(processors: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &processor in processors {
        set.set(processor)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Additions that take as long as a chunk where nobody disturbs: the fastest of many short runs.
fn calibrated() -> u64 {
    let steps = 1_000_000;
    let run = |_| {
        let begin = Instant::now();
        add(steps);
        begin.elapsed().as_secs_f64()
    };
    let fastest = (0..200).map(run).fold(f64::INFINITY, f64::min);
    (steps as f64 * CHUNK.as_secs_f64() / fastest) as u64
}

/// Work that needs nothing but a processor; the same code for all who call it.
#[inline(never)]
fn add(steps: u64) {
    let sum = (0..steps).fold(0_u64, |sum, step| std::hint::black_box(sum ^ step));
    std::hint::black_box(sum);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// An empty region, which whoever is first may do alone, and one for which all threads must come.
fn empty(threads: usize) -> Result<()> {
    let mut pool = Pool::new(threads)?;
    let mut nanoseconds = |regions: usize, meet: bool| {
        let begin = Instant::now();
        for _ in 0..regions {
            let here = AtomicUsize::new(0);
            pool.run(threads, |_, _| {
                here.fetch_add(1, Ordering::Relaxed);
                while meet && here.load(Ordering::Relaxed) < threads {
                    std::hint::spin_loop();
                }
            });
        }
        begin.elapsed().as_secs_f64() * 1e9 / regions as f64
    };
    nanoseconds(100, true);
    let alone = median((0..REPEATS).map(|_| nanoseconds(20_000, false)).collect());
    let together = median((0..REPEATS).map(|_| nanoseconds(2_000, true)).collect());
    println!(
        "{threads} threads: an empty region takes {alone:.0} ns, one that all threads come to {together:.0} ns"
    );
    Ok(())
}

/// Tokens per second of a decode-like loop for about as long as said.
fn tokens(pool: &mut Pool, steps: u64, length: Duration) -> f64 {
    let begin = Instant::now();
    let mut tokens = 0;
    while begin.elapsed() < length {
        for _ in 0..REGIONS {
            pool.run(CHUNKS, |_, _| add(steps));
        }
        tokens += 1;
    }
    f64::from(tokens) / begin.elapsed().as_secs_f64()
}

fn decode(threads: usize, steps: u64) -> Result<()> {
    let mut pool = Pool::new(threads)?;
    let length = Duration::from_millis(300);
    let rates = (0..REPEATS).map(|_| tokens(&mut pool, steps, length)).collect();
    println!(
        "{threads} threads: {:.0} tokens/s of a decode-like loop",
        median(rates)
    );
    Ok(())
}

/// As many threads as processors, one of which a foreign process spins on, beside one thread without it.
fn disturbed(processors: &[usize], steps: u64) -> Result<()> {
    let length = Duration::from_millis(500);
    let (last, threads) = (processors[processors.len() - 1], processors.len());
    thread::scope(|scope| {
        let measure = scope.spawn(|| {
            go_to(processors).map_err(|error| error.to_string())?;
            let mut one = Pool::new(1).map_err(|error| error.to_string())?;
            let mut all = Pool::new(threads).map_err(|error| error.to_string())?;
            let (mut alone, mut quiet, mut beside) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..REPEATS {
                alone.push(tokens(&mut one, steps, length));
                quiet.push(tokens(&mut all, steps, length));
                let spinner = Spinner::start(last).map_err(|error| error.to_string())?;
                beside.push(tokens(&mut all, steps, length));
                drop(spinner);
            }
            let (alone, quiet, beside) = (median(alone), median(quiet), median(beside));
            println!(
                "{threads} threads on {threads} processors: {quiet:.0} tokens/s; with a spinner on one of them \
                 {beside:.0}, which is {:.2} of one undisturbed thread's {alone:.0}",
                beside / alone
            );
            Ok::<_, String>(())
        });
        measure
            .join()
            .map_err(|_| "the measuring thread panicked")?
            .map_err(Into::into)
    })
}

/// A foreign process that takes what it gets of one processor.
struct Spinner(Child);

impl Spinner {
    /// Starts it, and returns when it says that it is where it belongs.
    fn start(processor: usize) -> Result<Self> {
        let program = std::env::current_exe()?;
        let child = Command::new(program)
            .arg(SPIN)
            .arg(processor.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut spinner = Self(child);
        let mut said = String::new();
        let output = spinner.0.stdout.take().ok_or("the spinner has no output")?;
        BufReader::new(output).read_line(&mut said)?;
        if said.trim_end() != SPIN {
            return Err(format!("the spinner did not start on processor {processor}").into());
        }
        Ok(spinner)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        if let Err(error) = ended {
            eprintln!("the spinner could not be ended: {error}");
        }
    }
}
