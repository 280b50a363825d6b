//! `image flash`: asking, becoming root, and telling the owner how to go on.

use std::env;
use std::io::{IsTerminal, stdin};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use image::flash::{
    Access, Flashed, Keys, LEAST_DISK, Target, Token, examine, flash, flashable, read_settings,
};
use image::{Paths, Progress};

#[derive(Debug, Args)]
pub(crate) struct FlashArguments {
    /// The disk (/dev/sdb, /dev/nvme0n1) or an existing file of the disk's size. Without it, the disks that would do
    /// are listed.
    target: Option<PathBuf>,
    /// The public key that may log in as admin, in place of ~/.ssh/id_*.pub. May be given more than once.
    #[arg(long, value_name = "FILE")]
    ssh_key: Vec<PathBuf>,
    /// A hearth.toml to put on CONFIG: host name, network, time zone and more; it is checked first.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Do not ask before everything on the disk is erased.
    #[arg(long)]
    yes: bool,
    /// The image, in place of this checkout's.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Write no faster than this many megabytes per second, like a slower device.
    #[arg(long, value_name = "MB/S", value_parser = clap::value_parser!(u64).range(1..100_000))]
    rate_limit: Option<u64>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Flashes, through sudo if the target is a disk and the caller is not root.
pub(crate) fn run(arguments: &FlashArguments, paths: &Paths, progress: Progress<'_>) -> Result<()> {
    let root = Path::new("/");
    let Some(path) = &arguments.target else {
        return list(root);
    };
    // First, so that nobody waits for a build only to be refused.
    let target = examine(root, path, LEAST_DISK)?;
    let keys = Keys::read(&arguments.ssh_key, home().as_deref())?;
    let settings = arguments.settings.as_deref().map(read_settings).transpose()?;
    let image = match &arguments.image {
        Some(image) => image.clone(),
        None => image::ensure_image(paths, progress)?,
    };
    if target.is_device && !image::is_root() {
        return as_root(arguments, &target, &keys, &image, progress);
    }
    if !arguments.yes {
        confirm(&target)?;
    }
    let token = Token::new()?;
    let access = Access {
        authorized_keys: keys.lines.clone(),
        token_hashes: token.hash_line(),
        settings: settings.unwrap_or_default(),
    };
    let rate = arguments.rate_limit.map(|rate| rate * 1_000_000);
    let flashed = flash(&image, &target, &access, rate, progress)?;
    if arguments.json {
        println!("{}", as_json(&target, &flashed, &keys, &token));
    } else {
        tell(&target, &flashed, &keys, &token);
    }
    Ok(())
}

fn list(root: &Path) -> Result<()> {
    let disks = flashable(root, LEAST_DISK);
    if disks.is_empty() {
        println!("No disk would do: each is in use, read-only or too small.");
    }
    for disk in disks {
        println!(
            "/dev/{:<12} {:>8.1} GB  {}",
            disk.name,
            disk.size as f64 / 1e9,
            disk.model
        );
    }
    Ok(())
}

/// Runs this program again as root, with what only the caller's own account could find.
fn as_root(
    arguments: &FlashArguments,
    target: &Target,
    keys: &Keys,
    image: &Path,
    progress: Progress<'_>,
) -> Result<()> {
    image::authorise(&format!("writes to {}", target.path.display()), progress)?;
    let program = env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new("sudo");
    command
        .arg("--")
        .arg(program)
        .arg("flash")
        .arg(&target.path)
        .arg("--image")
        .arg(image);
    for file in &keys.files {
        command.arg("--ssh-key").arg(file);
    }
    if let Some(file) = &arguments.settings {
        command.arg("--settings").arg(file);
    }
    command
        .args(arguments.yes.then_some("--yes"))
        .args(arguments.json.then_some("--json"));
    if let Some(rate) = arguments.rate_limit {
        command.args(["--rate-limit", &rate.to_string()]);
    }
    Err(command.exec()).context("cannot start sudo")
}

/// The home of whoever called, also through sudo.
fn home() -> Option<PathBuf> {
    let caller = env::var("SUDO_USER").ok().filter(|_| image::is_root());
    let account = caller.and_then(|name| nix::unistd::User::from_name(&name).ok().flatten());
    account
        .map(|user| user.dir)
        .or_else(|| env::var_os("HOME").map(PathBuf::from))
}

fn confirm(target: &Target) -> Result<()> {
    if !stdin().is_terminal() {
        bail!(
            "nobody is there to confirm that {} may be erased; pass --yes if it may",
            target.path.display()
        );
    }
    eprint!(
        "Everything on {} ({}) will be erased.\nType its name, {}, to go on: ",
        target.path.display(),
        target.description,
        target.name
    );
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() != target.name {
        bail!("nothing was written: the answer was not {}", target.name);
    }
    Ok(())
}

fn tell(target: &Target, flashed: &Flashed, keys: &Keys, token: &Token) {
    let rate = flashed.written as f64 / 1e6 / flashed.write_time.as_secs_f64().max(0.001);
    let (write, verify) = (
        flashed.write_time.as_secs_f64(),
        flashed.verify_time.as_secs_f64(),
    );
    println!("{} is written and checked.", target.path.display());
    println!(
        "  {} MB written in {write:.1} s ({rate:.0} MB/s), {} MB read back in {verify:.1} s\n",
        flashed.written / 1_000_000,
        flashed.length / 1_000_000
    );
    println!("The token, shown only now:\n\n  {}\n", token.text);
    println!(
        "Next: put the disk into the machine, plug in the network, switch it on. After its first boot:\n"
    );
    println!("  export HEARTH_TOKEN={}", token.text);
    println!(
        "  curl -o hearth-ca.crt http://hearth.local/ca.crt     # http://hearth.local/certificate: compare it, trust it"
    );
    println!(
        "  curl --cacert hearth-ca.crt -H \"Authorization: Bearer $HEARTH_TOKEN\" https://hearth.local/v1/models"
    );
    println!(
        "  hearth --ca hearth-ca.crt --host https://hearth.local ask \"What is the capital of France?\""
    );
    if keys.files.is_empty() {
        println!(
            "\nNo SSH key was found, so SSH stays closed. To change that: ssh-keygen -t ed25519, then flash again,"
        );
        println!("or put a public key into the file authorized_keys of the drive CONFIG.");
    } else {
        println!("  ssh admin@hearth.local");
    }
}

fn as_json(target: &Target, flashed: &Flashed, keys: &Keys, token: &Token) -> serde_json::Value {
    serde_json::json!({
        "target": target.path,
        "token": token.text,
        "ssh_keys": keys.files,
        "length_bytes": flashed.length,
        "written_bytes": flashed.written,
        "write_seconds": flashed.write_time.as_secs_f64(),
        "verify_seconds": flashed.verify_time.as_secs_f64(),
    })
}
