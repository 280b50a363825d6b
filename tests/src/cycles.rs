//! Waking the engine and letting it rest, again and again: what is lost, and what grows.
//!
//! Memory moves in steps of a page, and a step says nothing of the next: no line through what was seen tells how sure its
//! slope is. So floors are compared, the least that a daemon had in the last quarter of the cycles with the least in the
//! quarter before. What is held for a moment is in no floor, and what was taken once, however late, is in both floors when
//! there were twice as many cycles. What is lost in each cycle is always between them. So where something seems to grow,
//! as many cycles again are run, a few times: only what rises at each look grows.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::client::greedy;
use crate::host::{HostStack, Options};
use crate::report::{say, table};
use crate::wait;

/// How long the engine may take to rest when nobody wants anything, and hearthd to hear of it.
const AT_REST: Duration = Duration::from_secs(30);
/// How often as many cycles again are run where something seems to grow.
const DOUBLINGS: usize = 3;
/// What a daemon's floor may rise by from a quarter of the cycles to the next, in pages: a page, wherever within one what is
/// held ends. The more cycles there are, the less is that in each: 256 bytes of 96, 25 of 1,000.
const TOLERATED: f64 = 1.5;
/// The same of the engine, whose heap has all sizes of a model's tables in it and is filled ever better: of 10,000 parks the
/// last 2,500 took two pages.
const TOLERATED_OF_ENGINE: f64 = 4.5;
/// What the kernel gives and counts memory in, bytes.
const PAGE: f64 = 4096.0;
/// What hearthd says of each engine that it has heard.
const HEARD: &str = "the engine has gone";
/// What inferd says when it has parked.
const PARKED: &str = " parked ";

/// How the engine rests between two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It lets its model go after each answer, and ends.
    Ends,
    /// It lets its model go after each answer, and stays.
    Parks,
}

impl Rest {
    /// An engine that rests so.
    pub fn of(self, options: Options) -> Options {
        let exit_idle = match self {
            Self::Ends => 0,
            Self::Parks => -1,
        };
        options.inferd("--keep-alive", 0).inferd("--exit-idle", exit_idle)
    }
}

/// An engine that lets its model go after each answer, and ends.
pub fn sleepy(options: Options) -> Options {
    Rest::Ends.of(options)
}

/// What was seen of a daemon after each cycle.
#[derive(Debug, Serialize)]
struct Watched {
    name: &'static str,
    pid: u32,
    /// Bytes of memory that no file stands behind: all that a daemon can lose. Its share of programs' pages (`Pss`) grows,
    /// too, when somebody else who has them ends.
    memory: Vec<f64>,
    descriptors: Vec<f64>,
    /// [`TOLERATED`], or what of this one is.
    #[serde(skip)]
    tolerated: f64,
}

/// What cycles came to.
#[derive(Debug)]
pub struct Cycles {
    rest: Rest,
    /// How long each took, from the question to the engine's rest.
    times: Vec<Duration>,
    watched: Vec<Watched>,
}

impl Cycles {
    /// Asks a resting engine for a short answer so many times, and waits for its rest each time; more often, while something
    /// seems to grow. An error if a request is not answered, if a daemon ends that should stay, or if hearthd does not hear
    /// each engine.
    pub fn run(stack: &mut HostStack, model: &str, rest: Rest, count: usize) -> Result<Self> {
        let mut cycles = Self::begin(stack, model, rest)?;
        cycles.go_on(stack, model, count)?;
        for _ in 0..DOUBLINGS {
            let Err(growth) = cycles.must_not_grow() else {
                break;
            };
            let more = cycles.times.len();
            say(&format!(
                "     {growth:#}: {more} cycles more show whether it goes on"
            ));
            cycles.go_on(stack, model, more)?;
        }
        Ok(cycles)
    }

    fn begin(stack: &mut HostStack, model: &str, rest: Rest) -> Result<Self> {
        let [hearthd, gateway] = stack.others()?;
        let mut watched = vec![Watched::new("hearthd", hearthd), Watched::new("gateway", gateway)];
        asleep(stack)?;
        if rest == Rest::Parks {
            let pid =
                cycle(stack, model, rest).and_then(|()| stack.inferd_pid().context("inferd has ended"))?;
            let tolerated = TOLERATED_OF_ENGINE;
            watched.push(Watched {
                tolerated,
                ..Watched::new("inferd", pid)
            });
        }
        Ok(Self {
            rest,
            times: Vec::new(),
            watched,
        })
    }

    fn go_on(&mut self, stack: &mut HostStack, model: &str, count: usize) -> Result<()> {
        let before = stack.inferd_starts();
        for _ in 0..count {
            let (index, begun) = (self.times.len(), Instant::now());
            cycle(stack, model, self.rest).with_context(|| format!("cycle {index}"))?;
            self.times.push(begun.elapsed());
            self.watched.iter_mut().try_for_each(Watched::look)?;
        }
        let starts = stack.inferd_starts() - before;
        let wanted = match self.rest {
            Rest::Ends => count,
            Rest::Parks => 0,
        };
        ensure!(
            starts == wanted,
            "inferd was started {starts} times for {count} requests"
        );
        let [hearthd, gateway] = stack.others()?;
        let same = [hearthd, gateway] == [self.watched[0].pid, self.watched[1].pid];
        ensure!(same, "another daemon restarted");
        Ok(())
    }

    /// A line for each daemon.
    pub fn table(&self) -> String {
        let rows: Vec<_> = self.watched.iter().map(Watched::row).collect();
        let header = ["", "memory", "bytes a cycle", "descriptors", "a cycle"];
        format!("{}\n{}", table(&header, &rows), self.summary())
    }

    /// How many there were, and how long they took.
    pub fn summary(&self) -> String {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
        let (count, median, most) = (times.len(), at(50), at(100));
        format!("{count} cycles, none lost; question to rest {median} ms (median), {most} ms (most)")
    }

    /// What was seen of each daemon after each cycle, as JSON.
    pub fn series(&self) -> Result<String> {
        serde_json::to_string(&self.watched).context("what was seen")
    }

    /// An error if a daemon grows.
    pub fn must_not_grow(&self) -> Result<()> {
        for Watched {
            name,
            memory,
            descriptors,
            tolerated,
            ..
        } in &self.watched
        {
            let tolerated = tolerated * resolution(memory);
            let (memory, descriptors) = (growth(memory), growth(descriptors));
            ensure!(memory <= tolerated, "{name} grows by {memory:.0} bytes a cycle");
            ensure!(
                descriptors <= 0.0,
                "{name} opens {descriptors:.3} descriptors a cycle"
            );
        }
        Ok(())
    }
}

/// Has the engine answer, and waits for its rest.
fn cycle(stack: &HostStack, model: &str, rest: Rest) -> Result<()> {
    let before = rests(stack, rest)?;
    let answer = stack.admin().chat(&greedy(model, "Say yes.", 2))?;
    ensure!(answer.usage.completion_tokens > 0, "an empty answer");
    let what = match rest {
        Rest::Ends => {
            asleep(stack)?;
            "hearthd to hear of the engine"
        }
        Rest::Parks => "the engine's parking",
    };
    wait::until(what, AT_REST, || Ok((rests(stack, rest)? > before).then_some(())))
}

/// How often the engine has rested until now: as hearthd has heard, or as inferd says.
fn rests(stack: &HostStack, rest: Rest) -> Result<usize> {
    Ok(match rest {
        Rest::Ends => stack.hearthd_log()?.matches(HEARD).count(),
        Rest::Parks => stack.inferd_log()?.matches(PARKED).count(),
    })
}

/// Waits until the engine's process has ended.
pub fn asleep(stack: &HostStack) -> Result<()> {
    wait::until("the engine's end", AT_REST, || {
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
            tolerated: TOLERATED,
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

    /// The figures of the second half, and what they grow by.
    fn row(&self) -> Vec<String> {
        let span = |values: &[f64]| {
            let values = &values[values.len() / 2..];
            let of = |fold: fn(f64, f64) -> f64| values.iter().copied().reduce(fold).unwrap_or(0.0);
            (of(f64::min), of(f64::max))
        };
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let ((least, most), (fewest, greatest)) = (span(&self.memory), span(&self.descriptors));
        let resolution = resolution(&self.memory);
        vec![
            self.name.to_owned(),
            format!("{:.2} to {:.2} MiB", mib(least), mib(most)),
            format!("{:+.1} ± {resolution:.1}", growth(&self.memory)),
            format!("{fewest} to {greatest}"),
            format!("{:+.4}", growth(&self.descriptors)),
        ]
    }
}

/// By how much the floor of the last quarter is above that of the quarter before, for each cycle between them. Of memory
/// it is right but for a page. Nothing is known of fewer than four values.
fn growth(values: &[f64]) -> f64 {
    let [before, last] = quarters(values.len()).map(|quarter| (quarter.len(), floor(&values[quarter])));
    if before.0 == 0 {
        return 0.0;
    }
    (last.1 - before.1) / before.0 as f64
}

/// What a page more in the last quarter would be for each cycle.
fn resolution(values: &[f64]) -> f64 {
    PAGE / quarters(values.len())[1].len() as f64
}

/// The third and the last quarter of so many, equally long.
fn quarters(count: usize) -> [Range<usize>; 2] {
    let quarter = count / 4;
    [count - 2 * quarter..count - quarter, count - quarter..count]
}

fn floor(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages, of a daemon that has so many bytes after each cycle.
    fn pages(bytes: impl Fn(u32) -> f64, cycles: u32) -> Vec<f64> {
        (0..cycles)
            .map(|index| (bytes(index) / PAGE).ceil() * PAGE)
            .collect()
    }

    #[test]
    fn what_is_lost_in_each_cycle_is_seen() {
        for (count, bytes) in [(64, 512), (96, 512), (192, 256), (768, 64), (1000, 50)] {
            for start in 0..8 {
                let lost = pages(|index| f64::from(start * 512 + bytes * index), count);
                let tolerated = TOLERATED * resolution(&lost);
                assert!(growth(&lost) > tolerated, "{count} cycles from {start}");
            }
        }
    }

    #[test]
    fn what_is_held_for_a_moment_is_no_growth() {
        let held = |index: u32| {
            if index.is_multiple_of(3) {
                1e5
            } else {
                1e6 + f64::from(index) * 1e4
            }
        };
        assert_eq!(growth(&pages(held, 96)), 0.0);
    }

    #[test]
    fn what_is_taken_once_is_no_growth_when_there_were_twice_as_many_cycles() {
        for at in 0..96 {
            let once = pages(|index| if index < at { 1e5 } else { 1e6 }, 192);
            assert_eq!(growth(&once), 0.0, "taken in cycle {at}");
        }
        let page = pages(|index| f64::from(index / 60) * PAGE, 96);
        assert_eq!(growth(&page), resolution(&page));
        assert!(
            growth(&page) <= TOLERATED * resolution(&page),
            "a page is tolerated"
        );
    }

    #[test]
    fn growth_is_told() {
        let mut watched = Watched::new("x", 1);
        watched.memory = (0..100).map(|index| 1e6 + PAGE * f64::from(index)).collect();
        watched.descriptors = vec![9.0; 100];
        let mut cycles = Cycles {
            rest: Rest::Ends,
            times: vec![Duration::ZERO; 100],
            watched: vec![watched],
        };
        let error = cycles.must_not_grow().unwrap_err().to_string();
        assert_eq!(error, "x grows by 4096 bytes a cycle");
        cycles.watched[0].memory = vec![1e6; 100];
        cycles.must_not_grow().unwrap();
        cycles.watched[0].descriptors = (0..100).map(|index| f64::from(index / 10)).collect();
        let error = cycles.must_not_grow().unwrap_err().to_string();
        assert!(error.starts_with("x opens "), "{error}");
        assert_eq!(growth(&[1.0, 2.0, 3.0]), 0.0, "nothing is known of three");
    }
}
