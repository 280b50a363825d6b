//! From a checkout to `hearth.raw`, and not twice for the same inputs.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{output, run};
use crate::error::{AtPath, Result};
use crate::hash::TreeHash;
use crate::host::Host;
use crate::mirror::Mirrors;
use crate::mkosi::{self, Run};
use crate::model;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::stage::stage;
use crate::tools_tree;

/// What to build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder for the result; [`Paths::images`] if none is given.
    pub output: Option<PathBuf>,
    /// Whether to make `hearth.raw.zst` too.
    pub compress: bool,
    /// Whether to build even if nothing has changed, with packages downloaded and installed anew.
    pub fresh: bool,
}

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The disk image.
    pub raw: PathBuf,
    /// Its length in bytes, holes counted.
    pub apparent: u64,
    /// The bytes it takes on this machine's disk.
    pub allocated: u64,
    /// The compressed image and its length in bytes, if it was asked for.
    pub compressed: Option<(PathBuf, u64)>,
    /// Whether an earlier result was still right.
    pub reused: bool,
}

/// Builds the image, with all that it needs except the host's packages (see [`crate::setup`]).
pub fn build(options: &Options, paths: &Paths, progress: Progress<'_>) -> Result<Built> {
    let _lock = paths.lock()?;
    let model = model::DEFAULT.ensure(paths, progress)?;
    let tools = tools_tree::ensure(paths, progress)?;
    let stage = stage(paths, &model, progress)?;
    let folder = options.output.clone().unwrap_or_else(|| paths.images());
    fs::create_dir_all(&folder).at("create", &folder)?;
    let raw = folder.join("hearth.raw");
    let inputs = inputs(paths, &stage, &tools)?;
    let reused = !options.fresh && stamp(&inputs, &raw).is_some_and(|stamp| read_stamp(&raw) == Some(stamp));
    if !reused {
        let root = Path::new("/");
        let mirrors = Mirrors::of_host(root, &Host::read(root)?);
        let (seed, epoch) = (seed(&inputs), epoch(paths));
        let run = Run {
            tools: &tools,
            stage: &stage,
            mirrors: &mirrors,
            seed: &seed,
            epoch,
            fresh: options.fresh,
        };
        let built = run.build(paths, progress)?;
        publish(&built, &raw, &inputs, paths, progress)?;
    }
    let compressed = if options.compress {
        Some(compress(&raw, paths, progress)?)
    } else {
        None
    };
    let metadata = raw.metadata().at("read", &raw)?;
    Ok(Built {
        apparent: metadata.len(),
        allocated: metadata.blocks() * 512,
        raw,
        compressed,
        reused,
    })
}

/// Hashes everything that decides what the image is, but for the packages' versions in the archive.
fn inputs(paths: &Paths, stage: &Path, tools: &Path) -> Result<String> {
    let recipe = |path: &Path| {
        let not_recipe = [
            "src",
            "target",
            "Cargo.toml",
            "README.md",
            "mkosi.output",
            "mkosi.cache",
            "mkosi.builddir",
        ];
        !not_recipe.iter().any(|name| path.starts_with(name))
    };
    let hash = TreeHash::default().text("version", mkosi::VERSION);
    let hash = hash.text("tools", &tools.file_name().unwrap_or_default().to_string_lossy());
    Ok(hash
        .tree(&paths.recipe(), recipe)?
        .tree(stage, |_| true)?
        .finish())
}

/// A UUID made of the inputs' hash.
fn seed(inputs: &str) -> String {
    let part = |range: std::ops::Range<usize>| inputs.get(range).unwrap_or_default();
    // Version 8 (RFC 9562, section 5.8): bits of one's own making.
    format!(
        "{}-{}-8{}-8{}-{}",
        part(0..8),
        part(8..12),
        part(13..16),
        part(17..20),
        part(20..32)
    )
}

/// The last commit's time: what is built again from the same commit carries the same times.
fn epoch(paths: &Paths) -> u64 {
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(paths.repo())
        .args(["log", "-1", "--format=%ct"]);
    let text = output(git, &paths.log("git")).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().parse().unwrap_or(0)
}

/// Moves the result to its place, then writes what it was made from beside it.
fn publish(built: &Path, raw: &Path, inputs: &str, paths: &Paths, progress: Progress<'_>) -> Result<()> {
    if fs::rename(built, raw).is_err() {
        // Another file system.
        let mut copy = Command::new("cp");
        copy.args(["--sparse=always", "--"]).args([built, raw]);
        run(copy, &paths.log("copy"), progress)?;
    }
    File::open(raw)
        .and_then(|file| file.sync_all())
        .at("write", raw)?;
    let path = stamp_path(raw);
    fs::write(&path, stamp(inputs, raw).unwrap_or_default()).at("write", &path)
}

/// Inputs, length and time of the last change: an image that was written to is not the one that was built.
fn stamp(inputs: &str, raw: &Path) -> Option<String> {
    let metadata = raw.metadata().ok()?;
    Some(format!(
        "{inputs} {} {}.{:09}\n",
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}

fn stamp_path(raw: &Path) -> PathBuf {
    raw.with_extension("raw.inputs")
}

fn read_stamp(raw: &Path) -> Option<String> {
    fs::read_to_string(stamp_path(raw)).ok()
}

fn compress(raw: &Path, paths: &Paths, progress: Progress<'_>) -> Result<(PathBuf, u64)> {
    let compressed = raw.with_extension("raw.zst");
    let age = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if age(&compressed) < age(raw) {
        progress.step("compress the image", || {
            let part = raw.with_extension("raw.zst.part");
            let mut zstd = Command::new("zstd");
            zstd.args(["--quiet", "--force", "--threads=0", "-10", "--long=27", "-o"])
                .args([&part, raw]);
            run(zstd, &paths.log("zstd"), progress)?;
            fs::rename(&part, &compressed).at("create", &compressed)
        })?;
    }
    let size = compressed.metadata().at("read", &compressed)?.len();
    Ok((compressed, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_a_uuid_of_the_inputs() {
        let inputs = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(seed(inputs), "01234567-89ab-8def-8123-456789abcdef");
    }

    #[test]
    fn an_image_that_was_written_to_is_not_reused() {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("hearth.raw");
        fs::write(&raw, "image").unwrap();
        let before = stamp("abc", &raw).unwrap();
        assert_ne!(stamp("abd", &raw).unwrap(), before);
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(2);
        File::options()
            .write(true)
            .open(&raw)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_ne!(stamp("abc", &raw).unwrap(), before);
    }

    #[test]
    fn a_unit_changes_the_inputs_and_the_builder_itself_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (repo, stage) = (folder.path().join("repo"), folder.path().join("stage"));
        for path in [repo.join("image/src"), stage.clone()] {
            fs::create_dir_all(path).unwrap();
        }
        let paths = Paths::new(&repo, folder.path());
        let now = || inputs(&paths, &stage, Path::new("/tools-a")).unwrap();
        let before = now();
        fs::write(repo.join("image/src/lib.rs"), "").unwrap();
        assert_eq!(now(), before);
        fs::write(stage.join("hearthd.service"), "").unwrap();
        let staged = now();
        assert_ne!(staged, before);
        fs::write(repo.join("image/mkosi.conf"), "").unwrap();
        assert_ne!(now(), staged);
        assert_ne!(inputs(&paths, &stage, Path::new("/tools-b")).unwrap(), now());
    }
}
