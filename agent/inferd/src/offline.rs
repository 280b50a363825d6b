//! Commands that work on a store and answer nobody: import, verify, export, remove.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use store::manifest::Manifest;
use store::part::Part;
use store::source::Source;
use store::{Damage, ModelId, OnProgress, Phase, Progress, Store};

use crate::screen;

const BAR: &str = "{msg:>10} {bar:40} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";

const IMPORT_EXAMPLES: &str = "Examples:
  inferd import --store ~/models smollm2.gguf
  inferd import --store ~/models --name coder qwen2.5-coder-00001-of-00002.gguf";

const VERIFY_EXAMPLES: &str = "Examples:
  inferd verify --store ~/models
  inferd verify --store ~/models --json coder";

const EXPORT_EXAMPLES: &str = "Examples:
  inferd export --store ~/models coder coder.gguf";

const REMOVE_EXAMPLES: &str = "Examples:
  inferd remove --store ~/models coder
  inferd remove --store ~/models --json coder";

/// Where the store is.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// The store's folder.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/hearth/models")]
    store: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct Import {
    #[command(flatten)]
    place: Where,
    /// What the model is called in the store; the file's name if nothing is said.
    #[arg(long)]
    name: Option<ModelId>,
    /// Print what was stored as JSON.
    #[arg(long)]
    json: bool,
    /// A GGUF file, or any part of a split one.
    file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct Verify {
    #[command(flatten)]
    place: Where,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
    /// Models; all of the store if none is named.
    names: Vec<ModelId>,
}

#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Where,
    /// The model.
    name: ModelId,
    /// The GGUF file to write.
    file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub(crate) struct Remove {
    #[command(flatten)]
    place: Where,
    /// Print what was removed as JSON.
    #[arg(long)]
    json: bool,
    /// The model.
    name: ModelId,
}

impl Where {
    /// The store, which an import makes.
    fn open(&self) -> Store {
        Store::new(&self.store)
    }

    /// The store, which must be there.
    fn existing(&self) -> Result<Store> {
        let folder = self.store.display();
        ensure!(
            self.store.is_dir(),
            "there is no folder {folder}; name the store's with --store"
        );
        Ok(self.open())
    }
}

/// Packs a file and stores it. Cut off, it goes on where it was when it is called again.
pub(crate) fn import(arguments: &Import) -> Result<()> {
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => name_of(&arguments.file)?,
    };
    let source = Source::open(&arguments.file)?;
    let store = arguments.place.open();
    let replaces = store.written(&name).is_some();
    let manifest = with_bar(|progress| store.import(&source, &name, progress))?;
    if replaces {
        give_back(&store, &name)?;
    }
    let Manifest { model, root, .. } = manifest;
    let (bytes, blocks) = (model.stored(), model.blocks().count());
    if arguments.json {
        return screen::json(&json!({"name": name.as_str(), "root": root, "bytes": bytes, "blocks": blocks}));
    }
    screen::line(format_args!("{name}: {bytes} bytes in {blocks} blocks, {root}"))
}

/// Gives back the room of the model that had the name before.
fn give_back(store: &Store, name: &ModelId) -> Result<()> {
    match store.collect() {
        // Another import is on its way; the next removal gives the room back.
        Ok(_) | Err(store::Error::Busy { .. }) => Ok(()),
        Err(error) => Err(error)
            .with_context(|| format!("`{name}` is stored, but what it was before is still there, too")),
    }
}

/// What was found of a model: its damaged blocks, or why they cannot be told.
type Finding<'a> = (&'a ModelId, Result<Vec<Damage>, store::Error>);

/// Reads all blocks and tells which are damaged. A model that cannot be read does not hide how the others are.
pub(crate) fn verify(arguments: &Verify) -> Result<()> {
    let store = arguments.place.existing()?;
    let names = match arguments.names.as_slice() {
        [] => store.models()?,
        names => names.to_vec(),
    };
    let verify = |name| (name, with_bar(|progress| store.verify(name, progress)));
    let found: Vec<Finding<'_>> = names.iter().map(verify).collect();
    if arguments.json {
        screen::json(&found.iter().map(as_json).collect::<Vec<_>>())?;
    } else if found.is_empty() {
        screen::line(format_args!("{}: no models", store.path().display()))?;
    } else {
        found.iter().try_for_each(show)?;
    }
    conclude(&found)
}

fn as_json((name, outcome): &Finding<'_>) -> serde_json::Value {
    let block = |damage: &Damage| {
        json!({
            "block": damage.block,
            "path": damage.path,
            "tensors": damage.tensors,
            "problem": damage.problem.to_string(),
        })
    };
    let damaged = outcome.iter().flatten().map(block).collect::<Vec<_>>();
    let problem = outcome.as_ref().err().map(ToString::to_string);
    json!({"name": name.as_str(), "damaged": damaged, "problem": problem})
}

fn show((name, outcome): &Finding<'_>) -> Result<()> {
    match outcome.as_deref() {
        Err(error) => screen::line(format_args!("{name}: {error}")),
        Ok([]) => screen::line(format_args!("{name}: whole")),
        Ok(damaged) => {
            screen::line(format_args!("{name}: {}", counted(damaged.len())))?;
            let mut damaged = damaged.iter();
            damaged.try_for_each(|damage| screen::line(format_args!("  {damage}")))
        }
    }
}

/// Fails if anything is wrong, and names the way out.
fn conclude(found: &[Finding<'_>]) -> Result<()> {
    let unread = found.iter().filter_map(|(name, outcome)| match outcome {
        Err(store::Error::Manifest { .. }) => {
            Some(format!("`{name}` cannot be read; remove it and add it again"))
        }
        Err(error) => Some(format!("`{name}` was not verified: {error}")),
        Ok(_) => None,
    });
    let mut problems: Vec<_> = unread.collect();
    match found.iter().flat_map(|(_, outcome)| outcome).map(Vec::len).sum() {
        0 => {}
        damaged => problems.push(format!("{}; import what has them again", counted(damaged))),
    }
    ensure!(problems.is_empty(), "{}", problems.join(". "));
    Ok(())
}

fn counted(damaged: usize) -> String {
    match damaged {
        1 => "1 block is damaged".to_owned(),
        blocks => format!("{blocks} blocks are damaged"),
    }
}

/// Writes a model as a GGUF file.
pub(crate) fn export(arguments: &Export) -> Result<()> {
    let store = arguments.place.existing()?;
    Ok(with_bar(|progress| {
        store.export(&arguments.name, &arguments.file, progress)
    })?)
}

/// Forgets a model, and gives back the room of what only it had.
pub(crate) fn remove(arguments: &Remove) -> Result<()> {
    let store = arguments.place.existing()?;
    store.remove(&arguments.name)?;
    let collected = store.collect().with_context(|| {
        format!(
            "`{}` is removed, but its room is not given back yet",
            arguments.name
        )
    })?;
    let (name, blocks, bytes) = (&arguments.name, collected.blocks, collected.bytes);
    if arguments.json {
        return screen::json(&json!({"name": name.as_str(), "blocks": blocks, "bytes": bytes}));
    }
    screen::line(format_args!("{name}: {blocks} blocks removed, {bytes} bytes"))
}

/// The name of a file without its ending and without the number of a part.
fn name_of(file: &Path) -> Result<ModelId> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = Part::of(file).map_or(&*stem, |part| part.name);
    name.to_lowercase()
        .parse()
        .context("give the model another name with --name")
}

/// Shows how far the work is, where somebody looks.
pub(crate) fn with_bar<T>(work: impl FnOnce(OnProgress<'_>) -> T) -> T {
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    let result = work(&|progress: Progress| {
        bar.set_message(match progress.phase {
            Phase::Packing => "packing",
            Phase::Verifying => "verifying",
            Phase::Exporting => "exporting",
        });
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lends_its_name() {
        let name = |file| name_of(Path::new(file)).map(|name| name.to_string());
        assert_eq!(name("/m/SmolLM2-135M.Q4_1.gguf").unwrap(), "smollm2-135m.q4_1");
        assert_eq!(name("qwen-00001-of-00003.gguf").unwrap(), "qwen");
        assert_eq!(name("the-best-of-3.gguf").unwrap(), "the-best-of-3");
        assert!(name("größe.gguf").unwrap_err().to_string().contains("--name"));
    }
}
