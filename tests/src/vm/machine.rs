//! One virtual machine from its image to its end.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use image::Progress;
use image::flash::{Access, Flashed};
use twin::description::Description;

use super::accel::Accel;
use super::qemu::{Drive, Firmware, Guest, PROCESSORS};
use super::twin::{Hardware, Prepared, Running, Twin};
use super::{Keys, Ssh, disk, evidence, qmp, serial, ssh};
use crate::client::{Client, Trust};
use crate::host::free_port;
use crate::process::{Process, read_log};
use crate::report::say;
use crate::wait;

/// How long a boot may take until SSH or the gateway answers. Under emulation 90 s are usual.
const BOOT: Duration = Duration::from_secs(600);
/// How long a shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(300);
/// The disk that the image is on.
pub const DISK: &str = "disk.raw";
/// How often a boot is tried again after the one panic that is QEMU's own.
const RETRIES: usize = 3;

/// What a machine is made with, and the folder that everything of it lies in.
#[derive(Debug)]
pub struct Setup {
    folder: PathBuf,
    keep: bool,
    accel: Accel,
    firmware: Firmware,
    keys: Keys,
    memory_mib: u32,
    drives: Vec<Drive>,
    hardware: Option<Hardware>,
}

impl Setup {
    /// Makes a folder below `cache` and a key, and finds out what can run guests. The disk is still to be made.
    pub fn new(cache: &Path) -> Result<Self> {
        let place = cache.join("vm");
        std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&place)?.keep();
        let firmware = Firmware::find()?;
        let (accel, why) = Accel::probe(&firmware, &folder);
        say(&format!("     guests run on {accel:?}: {why}"));
        std::fs::copy(&firmware.variables, folder.join("vars.fd"))
            .context("cannot copy the firmware's variables")?;
        let keys = Keys::make(&folder, "key")?;
        Ok(Self {
            folder,
            keep: false,
            accel,
            firmware,
            keys,
            memory_mib: 2048,
            drives: vec![Drive::internal(DISK)],
            hardware: None,
        })
    }

    /// Has every guest from now on boot in a simulated machine; `seed` is its noise's. What the machine is made of.
    pub fn simulate(&mut self, seed: u64) -> &Description {
        let machine = Description::mini_pc(PROCESSORS);
        &self.hardware.insert(Hardware { machine, seed }).machine
    }

    /// Has every guest from now on so much memory, in MiB.
    pub fn set_memory(&mut self, mib: u32) {
        self.memory_mib = mib;
    }

    /// Has every guest from now on these drives; it boots from the first.
    pub fn set_drives(&mut self, drives: Vec<Drive>) {
        self.drives = drives;
    }

    /// Has the guest of the next boot be another one to SSH: a system that was installed makes keys of its own.
    pub fn expect_another_host(&self) -> Result<()> {
        ssh::forget_host(&self.folder)
    }

    /// Makes a drive's file that is as large as the disk, begins with these bytes and is empty from there on.
    pub fn make_drive(&self, drive: &Drive, beginning: &[u8]) -> Result<()> {
        disk::make(&self.path(drive), beginning)
    }

    /// Where a drive's file is.
    pub fn path(&self, drive: &Drive) -> PathBuf {
        self.folder.join(&drive.file)
    }

    /// Makes the disk a copy of the image.
    pub fn copy_image(&self, image: &Path) -> Result<()> {
        disk::copy(image, &self.disk())
    }

    /// Makes the disk by flashing the image with `access` on its `CONFIG`, at most at `rate` bytes a second.
    pub fn flash_image(
        &self,
        image: &Path,
        access: &Access,
        rate: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<Flashed> {
        disk::write(image, &self.disk(), access, rate, progress)
    }

    fn disk(&self) -> PathBuf {
        self.folder.join(DISK)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The run's key. Whether it lets in is up to the credential or the disk.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The command by which a person logs in to one of its machines.
    pub fn ssh_command(&self, machine: &Machine) -> String {
        let (port, key) = (machine.ssh_address.port(), self.keys.private().display());
        let known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null";
        format!("ssh -p {port} -i {key} {known} admin@127.0.0.1")
    }

    /// What runs the guest.
    pub fn accel(&self) -> Accel {
        self.accel
    }

    /// Leaves the folder, without its drives, when this is dropped: something failed, and it tells what.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Boots, and waits until the gateway answers. Tries again, and says so, after the one panic that is QEMU's own.
    pub fn boot(&self, credentials: &[(String, String)]) -> Result<Machine> {
        for attempt in 1.. {
            let mut machine = self.start(credentials)?;
            match machine.wait_for_gateway() {
                Err(error) if attempt <= RETRIES && error.is::<KnownPanic>() => {
                    say(&format!("     boot {attempt}: {error}"))
                }
                result => return result.map(|()| machine),
            }
        }
        bail!("unreachable: every attempt returns or is followed by another")
    }

    /// Boots a machine that ends itself before anybody is answered; the time that it took.
    pub fn boot_to_its_end(&self) -> Result<Duration> {
        let mut machine = self.start(&[])?;
        machine.wait_for_end(BOOT)?;
        Ok(machine.started.elapsed())
    }

    fn start(&self, credentials: &[(String, String)]) -> Result<Machine> {
        let (ssh, https, http) = (free_port()?, free_port()?, free_port()?);
        let Self {
            accel,
            firmware,
            memory_mib,
            folder,
            drives,
            hardware,
            ..
        } = self;
        let simulated = hardware.as_ref().map(|hardware| hardware.prepare(folder));
        let simulated = simulated.transpose()?;
        let further = simulated.as_ref().map(Prepared::arguments).unwrap_or_default();
        let guest = Guest {
            accel: *accel,
            firmware,
            memory_mib: *memory_mib,
            folder,
            drives,
            ssh,
            https,
            http,
            credentials,
            further: &further,
        };
        let serial = folder.join("serial.log");
        std::fs::write(&serial, "").with_context(|| format!("cannot write {}", serial.display()))?;
        let started = Instant::now();
        let mut qemu = Process::start("QEMU", guest.command(), &folder.join("qemu.log"))?;
        let simulated = match simulated {
            Some(prepared) => Some(prepared.start(&mut qemu)?),
            None => None,
        };
        Ok(Machine {
            ssh: None,
            simulated,
            qemu,
            started,
            answered: Duration::ZERO,
            folder: folder.clone(),
            keys: self.keys.clone(),
            ssh_address: ssh,
            https,
            http,
            trust: Trust::nobody()?,
        })
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let removed = if self.keep {
            disk::remove_all(&self.folder)
        } else {
            std::fs::remove_dir_all(&self.folder)
        };
        if let Err(error) = removed {
            say(&format!(
                "could not remove what is in {}: {error}",
                self.folder.display()
            ));
        }
    }
}

/// A running machine. QEMU is killed when it is dropped.
#[derive(Debug)]
pub struct Machine {
    // Before QEMU, so that it goes first.
    ssh: Option<Ssh>,
    simulated: Option<Running>,
    qemu: Process,
    started: Instant,
    answered: Duration,
    folder: PathBuf,
    keys: Keys,
    ssh_address: SocketAddr,
    https: SocketAddr,
    http: SocketAddr,
    /// In the guest's own authority, once it has handed that out.
    trust: Trust,
}

impl Machine {
    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// How long after QEMU's start the gateway answered.
    pub fn answered(&self) -> Duration {
        self.answered
    }

    /// Where the gateway is reached by TLS from this host.
    pub fn url(&self) -> String {
        format!("https://{}", self.https)
    }

    /// The file of the gateway's authority, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// The simulated machine around the guest; an error if there is none.
    pub fn twin(&self) -> Result<Twin> {
        let running = self
            .simulated
            .as_ref()
            .context("this guest has no simulated machine")?;
        Ok(running.twin.clone())
    }

    /// A client of the gateway without a token.
    pub fn client(&self) -> Client {
        Client::tls(self.https, &self.trust)
    }

    /// The same without TLS.
    pub fn plain_client(&self) -> Client {
        Client::tcp(self.http)
    }

    /// What the guest has written to its serial port.
    pub fn console(&self) -> Result<String> {
        read_log(&self.folder.join("serial.log"))
    }

    /// Whether the guest has powered itself off; an error if QEMU ended otherwise.
    pub fn has_ended(&mut self) -> Result<bool> {
        match self.qemu.ended()? {
            Some(status) if !status.success() => bail!("QEMU ended with {status}:\n{}", self.qemu.log()?),
            status => Ok(status.is_some()),
        }
    }

    /// An error if QEMU has ended or the guest's kernel has panicked.
    pub fn check(&mut self) -> Result<()> {
        match serial::panic(&self.console()?) {
            Some((line, true)) => return Err(KnownPanic(line).into()),
            Some((line, false)) => bail!("the guest's kernel panicked: {line}"),
            None => {}
        }
        self.qemu.check()
    }

    fn wait_for_gateway(&mut self) -> Result<()> {
        // Until the guest has an address, attempts lead nowhere, and QEMU repeats the same one ever more seldom.
        let plain = self.plain_client().with_limit(Duration::from_secs(2));
        let authority = wait::until("the gateway in the guest", BOOT, || {
            self.check()?;
            Ok(plain.get("/ca.crt").ok())
        })?;
        let authority = authority.expect(200)?.text();
        std::fs::write(self.authority(), &authority).context("cannot keep the guest's authority")?;
        self.trust = Trust::in_authority(&authority)?;
        self.client().get("/api/v1/health")?;
        self.answered = self.started.elapsed();
        Ok(())
    }

    /// Waits until the first API token is on the console.
    pub fn wait_for_token(&mut self) -> Result<String> {
        wait::until("the first token on the console", BOOT, || {
            self.check()?;
            Ok(serial::token_on(&self.console()?))
        })
    }

    /// The connection as admin with the run's key, made on the first call.
    pub fn ssh(&mut self) -> Result<&Ssh> {
        let keys = self.keys.clone();
        self.ssh_with(&keys)
    }

    /// The connection as admin with another key, if none stands.
    pub fn ssh_with(&mut self, keys: &Keys) -> Result<&Ssh> {
        let mut standing = self.ssh.take();
        if let Some(ssh) = &mut standing
            && !ssh.stands()?
        {
            standing = None;
        }
        let ssh = standing.map_or_else(|| self.connect(keys), Ok)?;
        Ok(self.ssh.insert(ssh))
    }

    /// Connects as admin. Refused keys end the attempt at once, for sshd shuts out whoever tries too often.
    fn connect(&mut self, keys: &Keys) -> Result<Ssh> {
        let (address, folder) = (self.ssh_address, self.folder.clone());
        wait::until("SSH in the guest", BOOT, || {
            self.check()?;
            match Ssh::connect(address, "admin", keys, &folder) {
                Ok(ssh) => Ok(Some(ssh)),
                Err(error) if error.to_string().contains("Permission denied") => Err(error),
                Err(_not_yet) => Ok(None),
            }
        })
    }

    /// Tries to log in as `user` with the run's key and these further options of ssh; what ssh says.
    pub fn try_login(&self, user: &str, options: &[&str]) -> Result<Output> {
        self.try_login_with(&self.keys, user, options)
    }

    /// The same with another key.
    pub fn try_login_with(&self, keys: &Keys, user: &str, options: &[&str]) -> Result<Output> {
        let known_hosts = self.folder.join(ssh::KNOWN_HOSTS);
        ssh::try_login(self.ssh_address, user, keys.private(), &known_hosts, options)
    }

    /// Asks the guest for what tells why something failed: files in the run's folder, beside the serial log.
    pub fn collect_evidence(&mut self) -> Result<()> {
        self.check()?;
        let folder = self.folder.clone();
        evidence::collect(self.ssh()?, &folder)
    }

    /// Presses the power button and waits for the end; the time it took.
    pub fn power_off(mut self) -> Result<Duration> {
        let start = Instant::now();
        qmp::power_button(&self.folder.join("qmp"))?;
        self.wait_for_end(SHUTDOWN)?;
        Ok(start.elapsed())
    }

    /// Reboots from inside. QEMU ends where the firmware would begin anew, so that the next boot can be another QEMU's.
    pub fn reboot(mut self) -> Result<Duration> {
        let start = Instant::now();
        // The connection may end before the command's answer does.
        let asked = self.ssh()?.attempt("sudo systemctl reboot")?;
        self.wait_for_end(SHUTDOWN)
            .with_context(|| format!("after `systemctl reboot`: {asked:?}"))?;
        Ok(start.elapsed())
    }

    /// Waits for the end that somebody has asked for; the time until then.
    pub fn ended(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.wait_for_end(SHUTDOWN)?;
        Ok(start.elapsed())
    }

    fn wait_for_end(&mut self, limit: Duration) -> Result<()> {
        let status = self.qemu.wait(limit)?;
        if !status.success() {
            bail!("QEMU ended with {status}:\n{}", self.qemu.log()?);
        }
        Ok(())
    }
}

/// Kernel text being patched while another emulated processor runs it: QEMU's fault, about one boot in forty.
#[derive(Debug)]
struct KnownPanic(String);

impl fmt::Display for KnownPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the panic in sched_clock_cpu that QEMU's translator is known for; booting again ({})",
            self.0
        )
    }
}

impl std::error::Error for KnownPanic {}
