//! `hearthd profile`: the format's schema, a check of files, and what fits a machine.

use super::catalogue::Catalogue;
use super::fragment::Fragment;
use super::{FOLDERS, screen};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use linux::Tree;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Print the file format's JSON Schema
    #[command(after_help = "Examples:
  hearthd profile schema > schema.json")]
    Schema,
    /// Check all profiles and tell everything that is wrong
    #[command(after_help = "Examples:
  hearthd profile check
  hearthd profile check firmware-profiles")]
    Check(CheckOptions),
    /// Tell which profile fits this machine and why, and where each value comes from
    #[command(after_help = "Examples:
  hearthd profile explain
  hearthd profile explain --profiles firmware-profiles --root tests/machines/n100 --json")]
    Explain(ExplainOptions),
    /// List all profiles
    #[command(after_help = "Examples:
  hearthd profile list
  hearthd profile list firmware-profiles --json")]
    List(ListOptions),
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Folders of profiles, the later winning [default: the appliance's]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    /// The root of the kernel's files: / or a captured tree
    #[arg(long, default_value = "/", value_name = "DIR")]
    root: PathBuf,
    /// A folder of profiles; may be given again, the later winning [default: the appliance's]
    #[arg(long, value_name = "DIR")]
    profiles: Vec<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Folders of profiles, the later winning [default: the appliance's]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &ProfileCommand) -> anyhow::Result<()> {
    match command {
        ProfileCommand::Schema => print(|out| out.write_all(schema().as_bytes())),
        ProfileCommand::Check(options) => check(options),
        ProfileCommand::Explain(options) => explain(options),
        ProfileCommand::List(options) => list(options),
    }
}

/// The schema of a file, as it is kept in `firmware-profiles/schema.json`.
pub(super) fn schema() -> String {
    format!("{:#}\n", schemars::schema_for!(Fragment).as_value())
}

fn check(options: &CheckOptions) -> anyhow::Result<()> {
    let folders = existing(&options.folders)?;
    let (catalogue, problems) = Catalogue::load(&folders);
    let count = catalogue.iter().count();
    if options.json {
        json(&problems)?;
    } else {
        print(|out| {
            problems
                .iter()
                .try_for_each(|problem| writeln!(out, "{problem}"))?;
            writeln!(out, "{count} profiles are sound")
        })?;
    }
    match problems.len() {
        0 if count == 0 && !options.folders.is_empty() => {
            bail!("there is no profile: they are <DIR>/<vendor>/<product>.toml")
        }
        0 => Ok(()),
        1 => bail!("1 problem: mend it as told above"),
        many => bail!("{many} problems: mend them as told above"),
    }
}

fn explain(options: &ExplainOptions) -> anyhow::Result<()> {
    let machine = linux::discover(&Tree::open(&options.root)?);
    let (catalogue, problems) = Catalogue::load(&existing(&options.profiles)?);
    for problem in &problems {
        writeln!(io::stderr(), "left out: {problem}").context("cannot write to stderr")?;
    }
    let (_, explanation) = catalogue.matching(&machine);
    if options.json {
        json(&explanation)
    } else {
        print(|out| screen::explanation(out, &explanation))
    }
}

fn list(options: &ListOptions) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Entry<'a> {
        profile: &'a str,
        name: &'a str,
        path: &'a std::path::Path,
    }
    let (catalogue, _) = Catalogue::load(&existing(&options.folders)?);
    if !options.json {
        return print(|out| screen::list(out, &catalogue));
    }
    let entries = catalogue.iter().map(|(profile, file)| Entry {
        profile,
        name: &file.fragment.name,
        path: &file.path,
    });
    json(&entries.collect::<Vec<_>>())
}

/// The folders that were named, each of which must be there, or the appliance's, which need not be.
fn existing(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(missing) = named.iter().find(|folder| !folder.is_dir()) {
        bail!("{}: there is no such folder", missing.display());
    }
    if named.is_empty() {
        return Ok(FOLDERS.map(PathBuf::from).to_vec());
    }
    Ok(named.to_vec())
}

fn json(value: &impl Serialize) -> anyhow::Result<()> {
    print(|out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        writeln!(out)
    })
}

fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    match write(&mut io::stdout().lock()) {
        // `hearthd profile list | head`: the reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}
