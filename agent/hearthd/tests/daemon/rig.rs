//! A private bus and a hearthd on it, both ended with the test.

use api::agent::AgentProxy;
use api::power::Power;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use zbus::Connection;

/// No step of a test takes so long, even on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits, but not for ever.
pub(crate) async fn timely<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("nothing happened for half a minute")
}

/// A `dbus-daemon` that listens in a folder of its own.
pub(crate) struct Bus {
    pub(crate) address: String,
    child: Child,
    _folder: TempDir,
}

impl Bus {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}/bus", folder.path().display());
        let mut child = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--address={address}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("cannot start dbus-daemon; install the package dbus-daemon");
        // It prints its address once it listens.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("unix:path="), "{line}");
        Self {
            address,
            child,
            _folder: folder,
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let builder = zbus::connection::Builder::address(self.address.as_str());
        builder.build().await.unwrap()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A running hearthd and the socket by which it tells how it is.
pub(crate) struct Hearthd {
    child: Child,
    notify: UnixDatagram,
    _folder: TempDir,
}

/// A machine of its own for one test: hearthd writes to it, and has its folders and sockets beside it.
pub(crate) struct Machine {
    folder: TempDir,
}

impl Machine {
    /// A copy of a captured tree.
    pub(crate) fn copy(name: &str) -> Self {
        let machine = Self::empty();
        let captured = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/machines")
            .join(name);
        copy(&captured, &machine.root());
        machine
    }

    /// One without anything.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root", "run", "state", "sockets"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// The root of its kernel's files.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A file of hearthd's own: in `run`, `state` or `sockets`.
    pub(crate) fn own(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// What a kernel file holds.
    pub(crate) fn get(&self, file: &str) -> String {
        fs::read_to_string(self.root().join(file))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Writes to a kernel file as another program would, something longer than what it holds.
    pub(crate) fn overwrite(&self, file: &str, text: &str) {
        let mut file = OpenOptions::new()
            .write(true)
            .open(self.root().join(file))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Replaces a kernel file at once: one that is cut and then written could be read while it is empty.
    pub(crate) fn set(&self, file: &str, text: &str) {
        let (path, fresh) = (self.root().join(file), self.folder.path().join("fresh"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, path).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, place) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), place).unwrap();
        } else if kind.is_dir() {
            fs::create_dir_all(&place).unwrap();
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

impl Hearthd {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(bus: &Bus, machine: &Machine, interval: u64) -> Self {
        Self::spawn(bus, machine, interval, None, &[])
    }

    /// Starts it, and does not wait: the bus at this address may never answer.
    pub(crate) fn start_unready(address: &str, machine: &Machine) -> Self {
        Self::launch(command(address, machine))
    }

    /// Starts it with a watchdog of so many microseconds.
    pub(crate) fn start_watched(bus: &Bus, machine: &Machine, interval: u64, usec: u64) -> Self {
        Self::spawn(bus, machine, interval, Some(usec), &[])
    }

    /// Starts it so that it changes nothing.
    pub(crate) fn start_watching(bus: &Bus, machine: &Machine) -> Self {
        Self::spawn(bus, machine, 60_000, None, &["--watch-only".as_ref()])
    }

    /// Starts it so that it records what it is told.
    pub(crate) fn start_recording(bus: &Bus, machine: &Machine, file: &Path) -> Self {
        Self::spawn(
            bus,
            machine,
            60_000,
            None,
            &["--record".as_ref(), file.as_os_str()],
        )
    }

    fn spawn(bus: &Bus, machine: &Machine, interval: u64, watchdog: Option<u64>, more: &[&OsStr]) -> Self {
        let mut command = command(&bus.address, machine);
        command.arg(format!("--interval={interval}")).args(more);
        if let Some(usec) = watchdog {
            command.env("WATCHDOG_USEC", usec.to_string());
        }
        let mut hearthd = Self::launch(command);
        hearthd.wait_for("READY=1");
        hearthd
    }

    fn launch(mut command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", socket).stderr(Stdio::piped());
        Self {
            child: command.spawn().unwrap(),
            notify,
            _folder: folder,
        }
    }

    /// Runs it where it is expected to end by itself.
    pub(crate) fn run_to_end(address: &str, machine: &Machine) -> Output {
        command(address, machine).output().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has told the service manager this.
    pub(crate) fn wait_for(&mut self, state: &str) {
        let mut buffer = [0; 4096];
        loop {
            let length = self.notify.recv(&mut buffer).expect("no word from hearthd");
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            if text.lines().any(|line| line == state) {
                return;
            }
        }
    }

    /// Asks it to stop by a signal, which must end it well, and returns what it has logged.
    pub(crate) fn stop(mut self, signal: Signal) -> String {
        kill(Pid::from_raw(self.pid().try_into().unwrap()), signal).unwrap();
        self.wait_for("STOPPING=1");
        let (code, log) = self.end();
        assert_eq!(code, Some(0), "{log}");
        log
    }

    /// Waits for its end; returns the exit code and what it has logged.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Hearthd {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn command(address: &str, machine: &Machine) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    command
        .args(["run", "--bus", address])
        .arg("--root")
        .arg(machine.root());
    command.arg("--runtime").arg(machine.own("run"));
    command.arg("--state").arg(machine.own("state"));
    command.arg("--sockets").arg(machine.own("sockets"));
    for name in ["NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command
}

fn end(child: &mut Child) {
    // One that has ended already is what was wanted.
    drop(child.kill());
    drop(child.wait());
}

/// What hearthd may set on the policies of a machine with four.
pub(crate) fn settings(machine: &Machine) -> Vec<String> {
    let files = [
        "scaling_governor",
        "energy_performance_preference",
        "scaling_min_freq",
        "scaling_max_freq",
    ];
    let folder = "sys/devices/system/cpu/cpufreq";
    let files = (0..4).flat_map(|policy| files.map(|file| format!("{folder}/policy{policy}/{file}")));
    files.map(|file| machine.get(&file)).collect()
}

/// What hearthd tells of power.
pub(crate) async fn power(connection: &Connection) -> Power {
    let agent = AgentProxy::new(connection).await.unwrap();
    serde_json::from_str(&agent.power().await.unwrap()).unwrap()
}

/// Asks hearthd again and again until this is so.
pub(crate) async fn until(connection: &Connection, so: impl Fn(&Power) -> bool) {
    timely(async { while !so(&power(connection).await) {} }).await;
}

/// The engine, or the gateway, at its door.
pub(crate) struct Speaker(UnixStream);

impl Speaker {
    pub(crate) fn connect(path: &Path) -> Self {
        let flags = SockFlag::SOCK_CLOEXEC;
        let made = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        connect(made.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        let stream = UnixStream::from(made);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn say(&self, packet: &[u8]) {
        (&self.0).write_all(packet).unwrap();
    }

    /// The next packet; nothing once the other side has hung up.
    pub(crate) fn hear(&self) -> Vec<u8> {
        let mut packet = [0; 256];
        let length = (&self.0).read(&mut packet).unwrap();
        packet[..length].to_vec()
    }
}
