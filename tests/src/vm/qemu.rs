//! QEMU's command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::accel::Accel;
use crate::process::tethered;

/// The program.
pub(super) const QEMU: &str = "qemu-system-x86_64";

/// How many processors every guest has.
pub(super) const PROCESSORS: u32 = 2;

/// Where distributions put OVMF: code, and variables to start from.
const FIRMWARE: [(&str, &str); 3] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
];

/// UEFI firmware for the guest.
#[derive(Clone, Debug)]
pub struct Firmware {
    code: PathBuf,
    pub(super) variables: PathBuf,
}

impl Firmware {
    /// What the distribution installed.
    pub fn find() -> Result<Self> {
        let found = FIRMWARE.into_iter().find(|(code, _)| Path::new(code).is_file());
        let (code, variables) =
            found.context("no OVMF firmware is installed; on Debian and Ubuntu: apt-get install ovmf")?;
        Ok(Self {
            code: code.into(),
            variables: variables.into(),
        })
    }

    /// The arguments for its two flash chips. The variables' is written to, unless it is a `snapshot`.
    pub(super) fn arguments(&self, variables: &Path, snapshot: bool) -> [String; 4] {
        let snapshot = if snapshot { ",snapshot=on" } else { "" };
        let code = format!(
            "if=pflash,format=raw,unit=0,readonly=on,file={}",
            self.code.display()
        );
        let variables = format!(
            "if=pflash,format=raw,unit=1{snapshot},file={}",
            variables.display()
        );
        ["-drive".to_owned(), code, "-drive".to_owned(), variables]
    }
}

/// Where a drive is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bay {
    /// Inside the case.
    Internal,
    /// At a USB port, as a stick.
    Usb,
}

/// A drive of the guest's: a file in the run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// The file's name.
    pub file: String,
    /// Where it is plugged in.
    pub bay: Bay,
}

impl Drive {
    /// One inside the case.
    pub fn internal(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            bay: Bay::Internal,
        }
    }

    /// A stick.
    pub fn stick(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            bay: Bay::Usb,
        }
    }

    /// QEMU's arguments for it. The firmware tries drives by their numbers, from 1.
    fn arguments(&self, number: usize, folder: &Path) -> [String; 4] {
        let file = folder.join(&self.file);
        let drive = format!(
            "if=none,id=d{number},format=raw,cache=unsafe,discard=unmap,file={}",
            file.display()
        );
        let device = match self.bay {
            Bay::Internal => "virtio-blk-pci",
            Bay::Usb => "usb-storage,bus=usb.0,removable=on",
        };
        [
            "-drive".to_owned(),
            drive,
            "-device".to_owned(),
            format!("{device},drive=d{number},bootindex={number}"),
        ]
    }
}

/// Everything that a guest's command line is made of.
#[derive(Debug)]
pub(super) struct Guest<'a> {
    pub(super) accel: Accel,
    pub(super) firmware: &'a Firmware,
    pub(super) memory_mib: u32,
    pub(super) folder: &'a Path,
    /// It boots from the first.
    pub(super) drives: &'a [Drive],
    pub(super) ssh: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) credentials: &'a [(String, String)],
    /// Further arguments: the simulated machine's, if there is one.
    pub(super) further: &'a [String],
}

impl Guest<'_> {
    /// The command that boots it. QEMU ends when the guest powers off, and when it reboots.
    pub(super) fn command(&self) -> Command {
        let mut command = tethered(QEMU);
        command.args([
            "-machine",
            "q35,smm=off",
            "-smp",
            &PROCESSORS.to_string(),
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
        ]);
        command.args(["-display", "none", "-device", "virtio-rng-pci"]);
        command.arg("-m").arg(self.memory_mib.to_string());
        command.args(self.accel.arguments());
        command.args(self.firmware.arguments(&self.folder.join("vars.fd"), false));
        if self.drives.iter().any(|drive| drive.bay == Bay::Usb) {
            command.args(["-device", "qemu-xhci,id=usb"]);
        }
        for (number, drive) in (1..).zip(self.drives) {
            command.args(drive.arguments(number, self.folder));
        }
        command.args(self.network()).args(self.ports());
        for (name, value) in self.credentials {
            command.arg("-smbios").arg(credential(name, value));
        }
        command.args(self.further);
        command
    }

    fn network(&self) -> [String; 4] {
        let net = format!(
            "user,id=n0,hostfwd=tcp:{}-:22,hostfwd=tcp:{}-:443,hostfwd=tcp:{}-:80",
            self.ssh, self.https, self.http
        );
        [
            "-netdev".to_owned(),
            net,
            "-device".to_owned(),
            "virtio-net-pci,netdev=n0,romfile=".to_owned(),
        ]
    }

    fn ports(&self) -> [String; 4] {
        let serial = format!("file:{}", self.folder.join("serial.log").display());
        let qmp = format!("unix:{},server=on,wait=off", self.folder.join("qmp").display());
        ["-serial".to_owned(), serial, "-qmp".to_owned(), qmp]
    }
}

/// A system credential as an SMBIOS string of type 11.
fn credential(name: &str, value: &str) -> String {
    format!(
        "type=11,value=io.systemd.credential.binary:{name}={}",
        STANDARD.encode(value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_survives_qemus_commas() {
        assert_eq!(
            credential("a.b", "x,y"),
            "type=11,value=io.systemd.credential.binary:a.b=eCx5"
        );
    }
}
