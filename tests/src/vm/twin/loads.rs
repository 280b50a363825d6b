//! How busy the guest's processors are, from the host's account of their threads.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The period in which a slowed processor gets its share, in nanoseconds.
const PERIOD_NS: u64 = 20_000_000;
/// The share of a host's processor that the full clock gets while processors are slowed: the kernel admits no more to
/// all of them together than it has.
const FULL_SHARE: f64 = 0.85;

/// A processor of the guest.
#[derive(Debug)]
pub(super) struct Processor {
    path: String,
    thread: u32,
    last: (Instant, u64),
    /// The share of time that it may run; all of it unless it is slowed.
    share: f64,
}

impl Processor {
    /// The processor that `thread` of QEMU's process runs.
    pub(super) fn new(process: u32, thread: u32) -> Result<Self> {
        let path = format!("/proc/{process}/task/{thread}/schedstat");
        let last = (Instant::now(), wanted_ns(&path)?);
        Ok(Self {
            path,
            thread,
            last,
            share: 1.0,
        })
    }

    /// How busy it was since it was last asked, 0 to 1. What it waited for a processor of the host counts as work: a
    /// busy host does not make the guest idle.
    pub(super) fn load(&mut self) -> Result<f64> {
        let now = (Instant::now(), wanted_ns(&self.path)?);
        let (at, ns) = std::mem::replace(&mut self.last, now);
        let elapsed = now.0.duration_since(at).as_secs_f64().max(1e-6);
        let busy = now.1.saturating_sub(ns) as f64 / 1e9;
        Ok((busy / elapsed / self.share).clamp(0.0, 1.0))
    }

    /// Slows it to a share of its full speed, by the host's deadline scheduler; an error where that is not permitted.
    pub(super) fn slow_to(&mut self, speed: f64) -> Result<()> {
        let share = FULL_SHARE * speed;
        if share == self.share {
            return Ok(());
        }
        let runtime = (PERIOD_NS as f64 * share) as u64;
        let thread = self.thread;
        let (runtime, period) = (runtime.to_string(), PERIOD_NS.to_string());
        let deadline = [
            "--deadline",
            "--sched-runtime",
            &runtime,
            "--sched-deadline",
            &period,
        ];
        chrt(
            thread,
            &[&deadline[..], &["--sched-period", &period, "--pid", "0"]].concat(),
        )?;
        self.share = share;
        Ok(())
    }

    /// Lets it run as fast as it can again.
    pub(super) fn release(&mut self) -> Result<()> {
        if self.share < 1.0 {
            chrt(self.thread, &["--other", "--pid", "0"])?;
            self.share = 1.0;
        }
        Ok(())
    }
}

/// Time that a thread ran or waited to run, from the first two fields of its `schedstat`
/// (the kernel's `scheduler/sched-stats.rst`).
fn wanted_ns(path: &str) -> Result<u64> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    parse(&text).with_context(|| format!("{path}: {text:?}"))
}

fn parse(text: &str) -> Option<u64> {
    let mut fields = text.split_whitespace().map(|field| field.parse::<u64>().ok());
    Some(fields.next()?? + fields.next()??)
}

fn chrt(thread: u32, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("chrt");
    command.args(arguments).arg(thread.to_string());
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot start chrt")?;
    if !output.status.success() {
        bail!(
            "chrt {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;
    use std::time::Duration;

    #[test]
    fn waiting_counts_as_work() {
        assert_eq!(parse("1500 300 7\n"), Some(1800));
        assert_eq!(parse("1500\n"), None);
        assert_eq!(parse("many 300 7\n"), None);
    }

    /// The thread that asks.
    fn own_thread() -> u32 {
        let link = std::fs::read_link("/proc/thread-self").unwrap();
        link.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Waits until a thread of this process sleeps: until then it wants a processor.
    fn until_it_sleeps(thread: u32) {
        wait::until("a thread to sleep", Duration::from_secs(30), || {
            let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"))?;
            // The state follows the name, which stands in parentheses (proc_pid_stat(5)).
            Ok(text.contains(") S ").then_some(()))
        })
        .unwrap();
    }

    #[test]
    fn who_works_is_busy_and_who_waits_is_not() {
        let (send, receive) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            send.send(own_thread()).unwrap();
            stopped.recv().unwrap_err();
        });
        let waiting = receive.recv().unwrap();
        until_it_sleeps(waiting);
        let processor = |thread| Processor::new(std::process::id(), thread).unwrap();
        let (mut works, mut waits) = (processor(own_thread()), processor(waiting));
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        let (works, waits) = (works.load().unwrap(), waits.load().unwrap());
        drop(stop);
        thread.join().unwrap();
        assert!(works > 0.7 && waits < 0.3, "{works} and {waits}");
    }
}
