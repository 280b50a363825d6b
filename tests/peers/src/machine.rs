//! This machine: who else uses it, what it does first, and what it keeps of files.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The kernel's ticks in a second, for user space on x86: `man 5 proc_stat`.
const TICKS: f64 = 100.0;
/// Puts the process into a group of its own among those that the scheduler shares processors out to, with the greatest
/// share of all; its children stay in it. `man 7 sched`, "The autogroup feature".
const FIRST: &str = "echo -20 > /proc/self/autogroup && exec nice -n -20 setpriv --pdeathsig KILL -- \"$@\"";
/// The same without a greater share than others have.
const EQUAL: &str = "exec setpriv --pdeathsig KILL -- \"$@\"";

/// The same command with its process killed when this one dies, served like all others.
pub fn bound(command: &Command) -> Command {
    wrapped("setpriv", &["--pdeathsig", "KILL", "--"], command)
}

/// The same command with its process killed when this one dies, and, where that is allowed, served before all others,
/// so that what else the machine does takes little from what is measured.
pub fn in_front(command: &Command) -> Command {
    let script = if image::is_root() { FIRST } else { EQUAL };
    wrapped("setsid", &["sh", "-c", script, "sh"], command)
}

fn wrapped(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(program);
    wrapped
        .args(arguments)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// Measures what the processors did for others while children of this process ran.
#[derive(Debug)]
pub struct Meter {
    begun: Instant,
    busy: f64,
    own: f64,
}

impl Meter {
    /// Begins.
    pub fn start() -> Result<Self> {
        Ok(Self {
            begun: Instant::now(),
            busy: busy()?,
            own: own()?,
        })
    }

    /// Processors that others kept busy on average. Children count as own once they have been waited for.
    pub fn foreign(&self) -> Result<f64> {
        let foreign = (busy()? - self.busy) - (own()? - self.own);
        Ok((foreign / self.begun.elapsed().as_secs_f64()).max(0.0))
    }
}

/// Seconds of all processors that were not idle since the machine began.
fn busy() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    busy_in(&text).context("/proc/stat has no line of all processors")
}

/// user, nice, system, irq, softirq and steal of the first line; idle and iowait left out.
fn busy_in(text: &str) -> Option<f64> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<f64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let busy = [0, 1, 2, 5, 6, 7]
        .into_iter()
        .map(|index| ticks.get(index))
        .sum::<Option<f64>>()?;
    Some(busy / TICKS)
}

/// Seconds of processor time of this process and of its children that have been waited for.
fn own() -> Result<f64> {
    let mut seconds = 0.0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who).context("cannot ask for processor time")?;
        seconds += (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6;
    }
    Ok(seconds)
}

/// The load averages, as the kernel words them.
pub fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    Ok(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

/// Has the kernel forget what it keeps of a file, or of all files below a folder, so that the next reader fetches it from
/// the disk and is charged for it. What another process has mapped stays.
pub fn forget(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
            forget(&entry?.path())?;
        }
        return Ok(());
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // What is not on the disk yet cannot be forgotten.
    file.sync_all()
        .with_context(|| format!("cannot sync {}", path.display()))?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
        .with_context(|| format!("cannot forget {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        let text = "cpu  100 200 300 9999 8888 10 20 30 7 7\ncpu0 1 2 3\n";
        assert_eq!(busy_in(text), Some(6.6));
        assert_eq!(busy_in("intr 1"), None);
        assert_eq!(busy_in("cpu  1 2 3"), None);
    }

    #[test]
    fn a_wrapped_command_is_the_same_command() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo \"$0 $NAME\"", "a b"])
            .env("NAME", "c  d");
        for mut wrapped in [in_front(&command), bound(&command)] {
            let output = wrapped.output().unwrap();
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                "a b c  d\n",
                "{output:?}"
            );
        }
    }

    #[test]
    fn what_children_do_is_not_foreign() {
        let meter = Meter::start().unwrap();
        let mut child = Command::new("sh");
        child
            .args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"])
            .status()
            .unwrap();
        assert!(own().unwrap() > meter.own);
        assert!(meter.foreign().unwrap() >= 0.0);
    }
}
