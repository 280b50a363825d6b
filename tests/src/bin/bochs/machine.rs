//! The emulated machine: a disc that boots, and a console that is a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tests::process::{Process, output, read_log, tail};
use tests::wait;

use crate::archive;
use crate::parts::Parts;

/// ISOLINUX' configuration, and what Linux has to be told of Bochs:
///
/// - `setcpuid=324`: it keeps AMX's tiles but does not say that they can be switched off until they are used (XFD,
///   eXtended Feature Disabling, bit 4 of word 10 in `cpufeatures.h`), without which Linux offers AMX to no process. As
///   there is but one process here, it makes no difference that they are never off.
/// - `spectre_v2=retpoline`: it was seen to run what Linux had replaced at start, retpolines by jumps; so they stay.
const BOOT: &str = "DEFAULT paths
LABEL paths
  KERNEL vmlinuz
  INITRD initrd
  APPEND console=ttyS0 quiet panic=0 spectre_v2=retpoline setcpuid=324
";

/// How long the run may take: it computes for less than a minute, but other work may go on beside it.
const LIMIT: Duration = Duration::from_secs(900);

/// A machine that has not been run.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    tree: &'a Path,
    folder: &'a Path,
}

impl<'a> Machine<'a> {
    /// Makes its disc and its configuration.
    pub(crate) fn new(parts: &'a Parts) -> Result<Self> {
        let machine = Self {
            tree: &parts.tree,
            folder: &parts.folder,
        };
        let disc = machine.file("disc");
        fs::create_dir_all(&disc).with_context(|| format!("cannot create {}", disc.display()))?;
        copy(&parts.kernel, &disc.join("vmlinuz"))?;
        for file in ["ISOLINUX/isolinux.bin", "syslinux/modules/bios/ldlinux.c32"] {
            let from = parts.tree.join("usr/lib").join(file);
            copy(&from, &disc.join(from.file_name().unwrap_or_default()))?;
        }
        let program =
            fs::read(&parts.program).with_context(|| format!("cannot read {}", parts.program.display()))?;
        write(&disc.join("initrd"), &archive::with_first_process(&program))?;
        write(&disc.join("isolinux.cfg"), BOOT.as_bytes())?;
        output(&mut machine.burn(&disc))?;
        Ok(machine)
    }

    /// Runs it until it is turned off; what was written to its console.
    pub(crate) fn run(&self, bochs: Option<&Path>) -> Result<String> {
        let (console, log, said) = (self.file("console"), self.file("bochs.log"), self.file("said"));
        for old in [&console, &log, &said] {
            remove(old)?;
        }
        let firmware = match bochs {
            Some(_) => self.tree.join("usr/share/seabios"),
            None => "/usr/share/seabios".into(),
        };
        let configuration = self.file("bochsrc");
        write(&configuration, self.configuration(&firmware).as_bytes())?;
        let mut command = match bochs {
            Some(own) => on_this_host(own),
            None => self.in_tree("bochs-bin"),
        };
        command.arg("-q").arg("-f").arg(&configuration);
        let mut emulator = Process::start("Bochs", command, &said)?;
        wait::until("the end of every path", LIMIT, || {
            let text = read_log(&console)?;
            if let Some(panic) = text.lines().find(|line| line.contains("Kernel panic")) {
                bail!("{panic}; see {}", console.display());
            }
            // It ends with 1 when the machine was turned off.
            emulator.ended()
        })?;
        let text = read_log(&console)?;
        ensure!(
            !text.is_empty(),
            "nothing on the console; Bochs said:\n{}\n{}",
            tail(&read_log(&said)?, 20),
            tail(&read_log(&log)?, 20)
        );
        Ok(text)
    }

    /// Bochs' configuration (bochsrc(5)). A screen that nobody watches; a clock that counts instructions.
    fn configuration(&self, firmware: &Path) -> String {
        let (firmware, folder) = (firmware.display(), self.folder.display());
        format!(
            "display_library: rfb, options=\"timeout=0\"
megs: 256
cpu: model=sapphire_rapids, ips=50000000
romimage: file={firmware}/bios.bin
vgaromimage: file={firmware}/vgabios-stdvga.bin
ata0-master: type=cdrom, path={folder}/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={folder}/console
log: {folder}/bochs.log
panic: action=fatal
"
        )
    }

    /// The command that makes a disc of a folder.
    fn burn(&self, disc: &Path) -> Command {
        let mut command = self.in_tree("xorriso");
        command.args(["-as", "mkisofs", "-quiet", "-no-emul-boot", "-boot-info-table"]);
        command.args(["-boot-load-size", "4", "-b", "isolinux.bin", "-c", "boot.cat"]);
        command.arg("-o").arg(self.file("disc.iso")).arg(disc);
        command
    }

    /// A program of the tree, which sees it, the machine's folder and no network.
    fn in_tree(&self, program: &str) -> Command {
        let mut command = tests::process::tethered("bwrap");
        command.args(["--die-with-parent", "--unshare-net", "--ro-bind"]);
        command.arg(self.tree.join("usr")).arg("/usr");
        for folder in ["bin", "lib", "lib64"] {
            command.args(["--symlink", &format!("usr/{folder}"), &format!("/{folder}")]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind"]);
        command.args([self.folder, self.folder]).arg(program);
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A program of this host, which sees all of it but no network: Bochs' screen would be offered there.
fn on_this_host(program: &Path) -> Command {
    let mut command = tests::process::tethered("bwrap");
    command.args(["--die-with-parent", "--unshare-net", "--dev-bind", "/", "/"]);
    command.arg(program);
    command
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to);
    copied.with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
