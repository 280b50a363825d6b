//! Hearth's setup: what the owner sets by `hearth.toml` on CONFIG, by a credential, or over the management interface.
//!
//! It parses what comes from outside, so it has no network and no capability, and may write three folders: what is kept,
//! networkd's files in `/run`, and iwd's known networks. What its files say is put into force by units of systemd's.

mod boot;
mod desk;
mod door;
mod drive;
mod install;
mod journal;
mod place;
#[cfg(test)]
mod rehearsal;
mod watch;

use std::io::{BufReader, stdin};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use linux::Tree;
use machine::BootTime;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, sendto, socket};
use nix::time::{ClockId, clock_gettime};
use place::Place;
use setup::file::LONGEST;
use setup::outcome;
use setup::trial::Seen;

/// How long the other end may neither send nor take a byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the owner sets.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The folder that stands for /
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read hearth.toml and bring all files to it; at the boot, before the network starts
    Boot,
    /// Say what is wrong with a hearth.toml, or what it would set; changes nothing
    #[command(after_help = "Example:\n  setup check hearth.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// Take over what a cidata drive says of host name and SSH keys
    #[command(hide = true)]
    Cidata {
        /// Where it is mounted
        folder: PathBuf,
    },
    /// Copy the appliance to the internal disk, as hearth.toml wants it
    #[command(hide = true)]
    Install,
    /// Serve one request, on the connection that is standard input
    #[command(hide = true)]
    Serve,
    /// Stand by while a network is tried
    #[command(hide = true)]
    Watch,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            journal::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let place = Place::new(&cli.root);
    match &cli.command {
        Command::Boot => {
            let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
            boot::run(&place, credentials.as_deref(), now()?)?;
        }
        Command::Check { file } => return check(&place, file),
        Command::Cidata { folder } => drive::run(&place, folder, now()?)?,
        Command::Install => install::run(&place)?,
        Command::Serve => serve(&place)?,
        Command::Watch => watch::run(&place, || look(&cli.root), ask, now)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(place: &Place, file: &Path) -> Result<ExitCode> {
    let name = file.display().to_string();
    let text = place::read(file, LONGEST)?.with_context(|| format!("there is no file {name}"))?;
    let (said, code) = match setup::parse(&text, |zone| boot::is_zone(place, zone)) {
        Ok(settings) => (outcome::would_apply(&name, &settings), ExitCode::SUCCESS),
        Err(problems) => (outcome::refused(&name, &problems), ExitCode::FAILURE),
    };
    print!("{said}");
    Ok(code)
}

fn serve(place: &Place) -> Result<()> {
    let input = stdin().as_fd().try_clone_to_owned();
    let connection = UnixStream::from(input.context("standard input is closed")?);
    connection
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| connection.set_write_timeout(Some(PATIENCE)))
        .context("standard input is no connection; this is started by its socket")?;
    let input = connection.try_clone().context("cannot read the connection")?;
    door::serve(place, BufReader::new(input), connection, now)
}

/// What there is to be seen of the networks; nothing where that cannot be told.
fn look(root: &Path) -> Seen {
    let tree = Tree::open(root);
    let seen = tree.map(|tree| Seen {
        neighbours: linux::neighbours(&tree),
        has_cable: !linux::is_unplugged(&tree),
    });
    seen.unwrap_or_else(|error| {
        journal::warn(&error.to_string());
        Seen {
            neighbours: Vec::new(),
            has_cable: true,
        }
    })
}

/// Has the kernel ask for a machine's hardware address, by a byte to a port where nobody listens (discard, RFC 863). Where
/// that is not possible, nobody was asked.
fn ask(address: Ipv4Addr) {
    let send = || {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
        let to = SockaddrIn::from(SocketAddrV4::new(address, 9));
        sendto(socket.as_raw_fd(), &[0], &to, MsgFlags::MSG_DONTWAIT)
    };
    if let Err(error) = send() {
        journal::info(&format!("{address} is not asked: {error}"));
    }
}

/// Now, on `CLOCK_BOOTTIME`.
fn now() -> Result<BootTime> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).context("cannot read the clock")?;
    let micros = Duration::from(now).as_micros();
    Ok(BootTime(
        u64::try_from(micros).context("the clock is out of range")?,
    ))
}
