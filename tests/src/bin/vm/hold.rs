//! `vm hold`, copied into the guest: stops one thread of a process and holds it, so that the process is stuck as if the
//! thread were in a loop that does nothing, while its other threads go on. See ptrace(2).

use std::fs;

use anyhow::{Context, Result};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Holds the thread of that name until the process ends.
pub(crate) fn run(process: i32, name: &str) -> Result<()> {
    let thread = thread(process, name)?;
    ptrace::seize(thread, ptrace::Options::empty()).context("the thread cannot be traced")?;
    ptrace::interrupt(thread).context("the thread cannot be stopped")?;
    // What ends the process ends its threads too, stopped or not; any other stop is left as it is.
    loop {
        match waitpid(thread, Some(WaitPidFlag::__WALL)).context("the thread cannot be waited for")? {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Ok(()),
            WaitStatus::Stopped(_, signal) => ptrace::cont(thread, Some(signal))?,
            WaitStatus::PtraceEvent(_, Signal::SIGTRAP, _) => println!("{name} is held"),
            _ => {}
        }
    }
}

fn thread(process: i32, name: &str) -> Result<Pid> {
    let folder = format!("/proc/{process}/task");
    for entry in fs::read_dir(&folder).with_context(|| folder.clone())? {
        let path = entry?.path();
        if fs::read_to_string(path.join("comm"))?.trim_end() == name {
            let number = path.file_name().and_then(|number| number.to_str());
            let number = number.with_context(|| format!("{} is no thread", path.display()))?;
            return Ok(Pid::from_raw(number.parse()?));
        }
    }
    anyhow::bail!("no thread of {process} is called {name}")
}
