//! Whether guests run on KVM here, found out by letting one run.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::qemu::{Firmware, QEMU};
use crate::process::{Process, read_log, tethered};
use crate::wait;

/// How long the probe may take. On KVM the firmware greets within two seconds.
const LIMIT: Duration = Duration::from_secs(8);

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// The processor itself.
    Kvm,
    /// QEMU's translator: slow, vector instructions above all.
    Tcg,
}

impl Accel {
    /// KVM if a guest really runs on it, else TCG. The words say why.
    ///
    /// That `/dev/kvm` opens proves little: in some nested machines the first instructions run and then nothing does. So
    /// the probe is the firmware that the real guest starts with, up to its greeting on the serial port.
    pub fn probe(firmware: &Firmware, folder: &Path) -> (Self, String) {
        if !Path::new("/dev/kvm").exists() {
            return (Self::Tcg, "there is no /dev/kvm".to_owned());
        }
        match greeting(Self::Kvm, firmware, folder) {
            Ok(()) => (Self::Kvm, "a probe guest ran".to_owned()),
            Err(error) => (
                Self::Tcg,
                format!("/dev/kvm is there, but no guest runs on it: {error:#}"),
            ),
        }
    }

    /// QEMU's arguments for it: the accelerator and a processor with AVX2. The emulated one is not AMD's family 15, for
    /// which Linux has no P-states.
    pub(super) fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => [
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "max,vendor=GenuineIntel,family=6,model=158",
            ],
        }
    }
}

/// Boots the firmware alone until it says something.
fn greeting(accel: Accel, firmware: &Firmware, folder: &Path) -> Result<()> {
    let serial = folder.join("probe-serial.log");
    let log = folder.join("probe.log");
    let mut qemu = Process::start("the probe guest", command(accel, firmware, &serial), &log)?;
    wait::until("a probe guest's first words", LIMIT, || {
        if qemu.ended()?.is_some() {
            bail!(
                "{}",
                qemu.log()?.lines().next().unwrap_or("QEMU ended without a word")
            );
        }
        Ok(read_log(&serial)?.contains("BdsDxe").then_some(()))
    })
}

fn command(accel: Accel, firmware: &Firmware, serial: &Path) -> Command {
    let mut command = tethered(QEMU);
    command.args([
        "-machine",
        "q35,smm=off",
        "-m",
        "256",
        "-nodefaults",
        "-display",
        "none",
        "-net",
        "none",
    ]);
    command
        .args(accel.arguments())
        .args(firmware.arguments(&firmware.variables, true));
    command.arg("-serial").arg(format!("file:{}", serial.display()));
    command
}
