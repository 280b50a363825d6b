//! Waking the engine and letting it go to sleep, again and again: what is lost, and what grows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::client::greedy;
use crate::host::{HostStack, Options};
use crate::report::table;
use crate::wait;

/// How long the engine may take to end when nobody wants anything.
const ASLEEP: Duration = Duration::from_secs(30);
/// Cycles at the beginning that are not counted, of so many: allocators and caches fill.
const WARM_UP: usize = 5;
/// 95 of 100 normally distributed values lie within so many standard errors.
const CONFIDENCE: f64 = 1.96;
/// What a daemon may seem to grow by, in bytes a cycle: less than a connection's buffers in all cycles together.
const TOLERATED: f64 = 512.0;

/// An engine that lets its model go after each answer, and ends.
pub fn sleepy(options: Options) -> Options {
    options.inferd("--keep-alive", 0).inferd("--exit-idle", 0)
}

/// What was seen of a daemon after each cycle.
struct Watched {
    name: &'static str,
    pid: u32,
    /// Bytes of memory that no file stands behind: all that a daemon can lose. Its share of programs' pages (`Pss`) grows,
    /// too, when somebody else who has them ends.
    memory: Vec<f64>,
    descriptors: Vec<f64>,
}

/// A straight line through what was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// What is added in a cycle.
    pub per_cycle: f64,
    /// By how much that may be wrong, with a confidence of 95 %.
    pub error: f64,
}

/// What cycles came to.
pub struct Cycles {
    /// How many.
    pub count: usize,
    /// How long each took, from the question to the end of the engine's process.
    times: Vec<Duration>,
    watched: Vec<Watched>,
}

impl Cycles {
    /// Asks a stopped engine for a short answer so many times, and waits for its end each time. An error if a request is
    /// not answered or is answered by an engine that was there.
    pub fn run(stack: &mut HostStack, model: &str, count: usize) -> Result<Self> {
        let [hearthd, gateway] = stack.others()?;
        let mut cycles = Self {
            count,
            times: Vec::new(),
            watched: vec![Watched::new("hearthd", hearthd), Watched::new("gateway", gateway)],
        };
        asleep(stack)?;
        let before = stack.inferd_starts();
        for index in 0..count {
            let begun = Instant::now();
            let answer = stack.admin().chat(&greedy(model, "Say yes.", 2));
            let answer = answer.with_context(|| format!("cycle {index}"))?;
            ensure!(
                answer.usage.completion_tokens > 0,
                "cycle {index}: an empty answer"
            );
            asleep(stack).with_context(|| format!("cycle {index}"))?;
            cycles.times.push(begun.elapsed());
            for watched in &mut cycles.watched {
                watched.look()?;
            }
        }
        let starts = stack.inferd_starts() - before;
        ensure!(
            starts == count,
            "inferd was started {starts} times for {count} requests"
        );
        ensure!(stack.others()? == [hearthd, gateway], "another daemon restarted");
        Ok(cycles)
    }

    /// A line for each daemon.
    pub fn table(&self) -> String {
        let rows: Vec<_> = self.watched.iter().map(Watched::row).collect();
        let header = [
            "",
            "memory",
            "bytes a cycle (95 %)",
            "descriptors",
            "a cycle (95 %)",
        ];
        format!("{}\n{}", table(&header, &rows), self.summary())
    }

    /// How many there were, and how long they took.
    pub fn summary(&self) -> String {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
        let (median, most) = (at(50), at(100));
        format!(
            "{} cycles, none lost; question to end {median} ms (median), {most} ms (most)",
            self.count
        )
    }

    /// An error if a daemon grows.
    pub fn must_not_grow(&self) -> Result<()> {
        for watched in &self.watched {
            let (memory, descriptors) = (watched.memory(), watched.descriptors());
            let name = watched.name;
            ensure!(!memory.exceeds(TOLERATED), "{name} grows by {memory:?} bytes");
            ensure!(
                !descriptors.exceeds(0.0),
                "{name} opens {descriptors:?} descriptors"
            );
        }
        Ok(())
    }
}

/// Waits until the engine's process has ended.
pub fn asleep(stack: &HostStack) -> Result<()> {
    wait::until("the engine's end", ASLEEP, || {
        Ok(stack.inferd_pid().is_none().then_some(()))
    })
}

impl Watched {
    fn new(name: &'static str, pid: u32) -> Self {
        Self {
            name,
            pid,
            memory: Vec::new(),
            descriptors: Vec::new(),
        }
    }

    fn look(&mut self) -> Result<()> {
        let rollup = format!("/proc/{}/smaps_rollup", self.pid);
        let text = std::fs::read_to_string(&rollup).with_context(|| rollup.clone())?;
        let kib = |key: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u32>().ok());
            Ok(kib.with_context(|| format!("{rollup} has no {key}"))?.into())
        };
        self.memory.push((kib("Anonymous:")? + kib("Swap:")?) * 1024.0);
        let folder = format!("/proc/{}/fd", self.pid);
        let descriptors = std::fs::read_dir(&folder).context(folder)?.count();
        self.descriptors.push(descriptors as f64);
        Ok(())
    }

    fn memory(&self) -> Slope {
        Slope::of(counted(&self.memory))
    }

    fn descriptors(&self) -> Slope {
        Slope::of(counted(&self.descriptors))
    }

    fn row(&self) -> Vec<String> {
        let span = |values: &[f64], unit: f64| {
            let of = |fold: fn(f64, f64) -> f64| {
                counted(values).iter().copied().reduce(fold).unwrap_or(0.0) / unit
            };
            (of(f64::min), of(f64::max))
        };
        let (least, most) = span(&self.memory, 1024.0 * 1024.0);
        let (fewest, greatest) = span(&self.descriptors, 1.0);
        let slope = |slope: Slope| format!("{:+.1} ± {:.1}", slope.per_cycle, slope.error);
        vec![
            self.name.to_owned(),
            format!("{least:.2} to {most:.2} MiB"),
            slope(self.memory()),
            format!("{fewest} to {greatest}"),
            format!(
                "{:+.4} ± {:.4}",
                self.descriptors().per_cycle,
                self.descriptors().error
            ),
        ]
    }
}

/// Without the first cycles.
fn counted(values: &[f64]) -> &[f64] {
    &values[values.len() / WARM_UP..]
}

impl Slope {
    /// By least squares, of values one cycle apart.
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
        let (x, y) = ((count - 1.0) / 2.0, mean(&mut values.iter().copied()));
        let points = || {
            values
                .iter()
                .enumerate()
                .map(|(index, value)| (index as f64 - x, value - y))
        };
        let spread: f64 = points().map(|(x, _)| x * x).sum();
        if values.len() < 3 {
            return Self {
                per_cycle: 0.0,
                error: f64::INFINITY,
            };
        }
        let per_cycle = points().map(|(x, y)| x * y).sum::<f64>() / spread;
        let rest: f64 = points().map(|(x, y)| (y - per_cycle * x).powi(2)).sum();
        let error = CONFIDENCE * (rest / (count - 2.0) / spread).sqrt();
        Self { per_cycle, error }
    }

    /// Whether it is above a bound with confidence.
    fn exceeds(self, bound: f64) -> bool {
        self.per_cycle - self.error > bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_noise_is_none() {
        let line: Vec<f64> = (0..50).map(|index| 7.0 + 3.0 * f64::from(index)).collect();
        let slope = Slope::of(&line);
        assert!((slope.per_cycle - 3.0).abs() < 1e-9 && slope.error < 1e-6);
        assert!(slope.exceeds(2.9) && !slope.exceeds(3.1));
        let noise: Vec<f64> = (0..50).map(|index| f64::from(index * 37 % 11)).collect();
        assert!(!Slope::of(&noise).exceeds(0.0));
        assert!(!Slope::of(&[1.0, 2.0]).exceeds(0.0), "nothing is known of two");
    }

    #[test]
    fn growth_is_told() {
        let mut watched = Watched::new("x", 1);
        watched.memory = (0..100).map(|index| 1e6 + 4096.0 * f64::from(index)).collect();
        watched.descriptors = vec![9.0; 100];
        let mut cycles = Cycles {
            count: 100,
            times: vec![Duration::ZERO; 100],
            watched: vec![watched],
        };
        let error = cycles.must_not_grow().unwrap_err().to_string();
        assert!(error.starts_with("x grows by"), "{error}");
        cycles.watched[0].memory = vec![1e6; 100];
        cycles.must_not_grow().unwrap();
        cycles.watched[0].descriptors = (0..100).map(f64::from).collect();
        assert!(cycles.must_not_grow().is_err());
    }
}
