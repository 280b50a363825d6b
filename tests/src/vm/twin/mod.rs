//! A simulated machine around the guest: its firmware's table, its P-states, its heat.
//!
//! The kernel's own drivers run on it: `acpi-cpufreq`, the ACPI thermal zone, fan, mains adapter and battery. What the
//! guest writes comes out here, and what the plant makes of it goes back in, ten times a second.

mod clocks;
mod drawing;
mod heat;
mod loads;
mod page;
mod stage;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use twin::asl;
use twin::description::Description;
use twin::range::Lot;
use twin::registers::{Event, PCI_SLOT, PSTATE_PORT, Register, deci_kelvin};
use twin::trace::{Row, Trace};

use super::qmp::Qmp;
use crate::process::{Process, output};
use crate::wait;
use clocks::{Clock, Span, mean};
use heat::Heat;
use loads::Processor;
use page::Page;

pub use drawing::{Line, draw};
pub use stage::{Sensor, Stage};

/// The port of QEMU's `pc-testdev` that raises interrupt 0; the next ones' follow.
const INTERRUPT_PORT: u16 = 0x2000;
/// How long QEMU may take to open its control socket.
const CONTROL: Duration = Duration::from_secs(60);

/// The machine to simulate around each guest of a set-up.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// What it is made of.
    pub machine: Description,
    /// The seed of its noise.
    pub seed: u64,
}

/// A machine that waits for its guest's start.
#[derive(Debug)]
pub(super) struct Prepared {
    shared: Arc<Shared>,
    clocks: Vec<Clock>,
    folder: PathBuf,
    table: PathBuf,
    seed: u64,
}

/// What the loop and the tests share.
#[derive(Debug)]
struct Shared {
    machine: Description,
    page: Page,
    stage: Mutex<Stage>,
    trace: Mutex<Trace>,
    failed: Mutex<Option<String>>,
}

/// The simulated machine of a running guest. The simulation ends when the last handle's owner does.
#[derive(Clone, Debug)]
pub struct Twin {
    shared: Arc<Shared>,
    control: PathBuf,
}

/// Keeps the simulation going.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) twin: Twin,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hardware {
    /// Compiles the table and listens for the guest's clocks.
    pub(super) fn prepare(&self, folder: &Path) -> Result<Prepared> {
        let machine = self.machine.clone();
        let table = compile(&machine, folder)?;
        let page = Page::make(&folder.join("twin-page"))?;
        page.write(Register::MAINS, 1)?;
        page.write(Register::BATTERY_REMAINING, 40_000)?;
        page.write(Register::TEMPERATURE, deci_kelvin(Lot::airy().ambient))?;
        let fastest = f64::from(machine.fastest());
        let clocks = (0..machine.processors)
            .map(|number| Clock::listen(&clocks::socket(folder, number), fastest))
            .collect::<Result<_>>()?;
        let shared = Shared {
            machine,
            page,
            stage: Mutex::default(),
            trace: Mutex::default(),
            failed: Mutex::default(),
        };
        Ok(Prepared {
            shared: Arc::new(shared),
            clocks,
            folder: folder.to_owned(),
            table,
            seed: self.seed,
        })
    }
}

/// Writes the table's source and has `iasl` compile it.
fn compile(machine: &Description, folder: &Path) -> Result<PathBuf> {
    let source = folder.join("twin.asl");
    std::fs::write(&source, asl::table(machine))
        .with_context(|| format!("cannot write {}", source.display()))?;
    let table = folder.join("twin");
    output(Command::new("iasl").arg("-p").arg(&table).arg(&source)).context("the twin's ACPI table")?;
    Ok(table.with_extension("aml"))
}

impl Prepared {
    /// QEMU's arguments for it.
    ///
    /// OVMF would put the shared page above 4 GiB, where the table's 32-bit integers do not reach: hence `fw_cfg`.
    pub(super) fn arguments(&self) -> Vec<String> {
        let page = self.shared.page.path().display();
        let mut arguments: Vec<String> = [
            "-acpitable",
            &format!("file={}", self.table.display()),
            "-fw_cfg",
            "name=opt/ovmf/X-PciMmio64Mb,string=0",
            "-object",
            &format!("memory-backend-file,id=twin,mem-path={page},size=1M,share=on"),
            "-device",
            &format!("ivshmem-plain,memdev=twin,bus=pcie.0,addr={PCI_SLOT:#x}"),
            "-device",
            "pc-testdev",
            "-qmp",
            &format!("unix:{},server=on,wait=off", control(&self.folder).display()),
        ]
        .map(str::to_owned)
        .into();
        for number in 0..self.shared.machine.processors {
            let socket = clocks::socket(&self.folder, number);
            arguments.push("-chardev".to_owned());
            arguments.push(format!("socket,id=clock{number},path={}", socket.display()));
            arguments.push("-device".to_owned());
            arguments.push(format!(
                "isa-debugcon,iobase={:#x},chardev=clock{number}",
                PSTATE_PORT + number
            ));
        }
        arguments
    }

    /// Starts the simulation around QEMU's process.
    pub(super) fn start(self, qemu: &mut Process) -> Result<Running> {
        let control = control(&self.folder);
        let mut qmp = wait::until("QEMU's control socket", CONTROL, || {
            qemu.check()?;
            Ok(Qmp::connect(&control).ok())
        })?;
        let processors = qmp
            .processor_threads()?
            .into_iter()
            .map(|thread| Processor::new(qemu.pid(), thread))
            .collect::<Result<_>>()?;
        let mut heat = Heat::new(self.clocks, processors, &self.shared.stage(), self.seed);
        let (stop, stopped) = channel();
        let shared = Arc::clone(&self.shared);
        let run = move || {
            if let Err(error) = heat.run(&shared, &stopped) {
                *lock(&shared.failed) = Some(format!("{error:#}"));
            }
        };
        let thread = thread::Builder::new().name("heat".to_owned()).spawn(run)?;
        Ok(Running {
            twin: Twin {
                shared: self.shared,
                control,
            },
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

fn control(folder: &Path) -> PathBuf {
    folder.join("twin-qmp")
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed, and nobody reads its trace any more.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn stage(&self) -> Stage {
        lock(&self.stage).clone()
    }

    fn push(&self, row: Row) {
        lock(&self.trace).rows.push(row);
    }

    /// The machine's power while each processor was at its clocks for as long as it was, and that busy.
    fn watts(&self, spans: &[Vec<Span>], loads: &[f64]) -> f64 {
        let busy =
            |(spans, load): (&Vec<Span>, &f64)| load * mean(spans, |megahertz| self.machine.watts(megahertz));
        f64::from(self.machine.base_milliwatts) / 1000.0 + spans.iter().zip(loads).map(busy).sum::<f64>()
    }
}

impl Twin {
    /// What the machine is made of.
    pub fn machine(&self) -> &Description {
        &self.shared.machine
    }

    /// What is arranged now.
    pub fn stage(&self) -> Stage {
        self.shared.stage()
    }

    /// Changes what is arranged, from the next tick on.
    pub fn arrange(&self, change: impl FnOnce(&mut Stage)) {
        change(&mut lock(&self.shared.stage));
    }

    /// The newest tick; an error if the simulation has ended, or before the first.
    pub fn now(&self) -> Result<Row> {
        if let Some(error) = &*lock(&self.shared.failed) {
            return Err(anyhow!("the simulation has ended: {error}"));
        }
        lock(&self.shared.trace)
            .rows
            .last()
            .cloned()
            .context("the simulation has not begun")
    }

    /// The newest tick's time in seconds, even of a simulation that has ended.
    pub fn elapsed(&self) -> Result<f64> {
        let trace = lock(&self.shared.trace);
        trace
            .rows
            .last()
            .map(|row| row.seconds)
            .context("the simulation has not begun")
    }

    /// The ticks since `seconds`.
    pub fn since(&self, seconds: f64) -> Trace {
        lock(&self.shared.trace).between(seconds, f64::MAX)
    }

    /// The firmware's limit: the clocks above `megahertz` are forbidden from now on, and the guest is told.
    pub fn limit_clock(&self, megahertz: u32) -> Result<()> {
        let states = &self.shared.machine.pstates;
        let first = states.iter().position(|state| state.megahertz <= megahertz);
        let first = u32::try_from(first.context("no clock is that low")?)?;
        self.shared.page.write(Register::PERFORMANCE_LIMIT, first)?;
        self.tell(Event::PerformanceLimit)
    }

    /// Plugs or pulls the mains adapter, and tells the guest.
    pub fn set_mains(&self, online: bool) -> Result<()> {
        let page = &self.shared.page;
        page.write(Register::MAINS, u32::from(online))?;
        page.write(Register::BATTERY_STATE, if online { 0 } else { 1 })?;
        page.write(Register::BATTERY_RATE, if online { 0 } else { 12_000 })?;
        self.tell(Event::Battery)?;
        self.tell(Event::Mains)
    }

    /// How often the guest's kernel has asked for the temperature.
    pub fn temperature_reads(&self) -> Result<u32> {
        self.shared.page.read(Register::TEMPERATURE_READS)
    }

    /// Raises the interrupt that makes the guest look.
    pub fn tell(&self, event: Event) -> Result<()> {
        self.shared.page.write(Register::EVENTS, event as u32)?;
        let mut qmp = Qmp::connect(&self.control)?;
        let port = INTERRUPT_PORT + u16::try_from(twin::registers::EVENT_INTERRUPT)?;
        qmp.write_port(port, 1)?;
        qmp.write_port(port, 0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_compiles() {
        let folder = tempfile::tempdir().unwrap();
        for processors in [1, 2, 8] {
            let table = compile(&Description::mini_pc(processors), folder.path()).unwrap();
            assert!(std::fs::read(table).unwrap().starts_with(b"SSDT"));
        }
    }
}
