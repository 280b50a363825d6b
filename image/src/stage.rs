//! Everything of ours that goes into the image, laid out as it will lie there.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{output, run};
use crate::error::{AtPath, Error, Result};
use crate::model;
use crate::paths::Paths;
use crate::progress::Progress;

/// A program: its crate, which is also its file's name, and the folder it lies in on the appliance.
const PROGRAMS: [(&str, &str); 5] = [
    ("gateway", "usr/lib/hearth"),
    ("hearth", "usr/bin"),
    ("hearthd", "usr/lib/hearth"),
    ("inferd", "usr/lib/hearth"),
    ("setup", "usr/lib/hearth"),
];

/// Folders of `systemd/` and where they go.
const TREES: [(&str, &str); 6] = [
    ("dbus-1/system.d", "usr/share/dbus-1/system.d"),
    ("dnssd", "usr/lib/systemd/dnssd"),
    ("system", "usr/lib/systemd/system"),
    ("system-preset", "usr/lib/systemd/system-preset"),
    ("sysusers.d", "usr/lib/sysusers.d"),
    ("tmpfiles.d", "usr/lib/tmpfiles.d"),
];

/// Where a login's shell finds what completes the command; see `mkosi.extra/etc/profile.d/hearth.sh`.
const COMPLETIONS: &str = "usr/share/hearth/completions/hearth.bash";

/// Where hearthd looks for what is known of kinds of machines; see `firmware-profiles/README.md`.
const PROFILES: (&str, &str) = ("firmware-profiles", "usr/share/hearth/firmware-profiles");

/// The store of the models that are shipped. mkfs.erofs compresses no file that would not get smaller, so packed weights
/// lie on the root as they are, and are mapped in place.
const MODELS: &str = "usr/share/hearth/models";

/// Builds the daemons and lays out the staging folder anew. Returns it.
pub(crate) fn stage(paths: &Paths, model: &Path, progress: Progress<'_>) -> Result<PathBuf> {
    let programs = progress.step("build the daemons", || build_programs(paths, progress))?;
    let stage = paths.cache().join("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).at("remove", &stage)?;
    }
    for (name, folder) in PROGRAMS {
        place(&programs.join(name), &stage.join(folder).join(name))?;
    }
    for (from, to) in TREES {
        let from = paths.repo().join("systemd").join(from);
        if from.exists() {
            place_tree(&from, &stage.join(to))?;
        }
    }
    place_tree(&paths.repo().join(PROFILES.0), &stage.join(PROFILES.1))?;
    write_completions(&programs.join("hearth"), &stage.join(COMPLETIONS), paths)?;
    place_model(
        &programs.join("inferd"),
        model,
        &stage.join(MODELS),
        paths,
        progress,
    )?;
    Ok(stage)
}

/// Has the engine that was just built pack the model into a store, and places what is to be read of that: its lock and
/// its folder for what is being written are of no use on a root that nobody writes to.
fn place_model(inferd: &Path, model: &Path, to: &Path, paths: &Paths, progress: Progress<'_>) -> Result<()> {
    let store = tempfile::tempdir_in(paths.cache()).at("create", paths.cache())?;
    let mut import = Command::new(inferd);
    import.arg("import").arg("--store").arg(store.path());
    import.args(["--name", model::DEFAULT.id()]).arg(model);
    progress.step("pack the model", || {
        run(import, &paths.log("model-import"), progress)
    })?;
    for folder in ["blocks", "models"] {
        place_tree(&store.path().join(folder), &to.join(folder))?;
    }
    Ok(())
}

/// Has the command that was just built write its completions: at a login it need not run for them.
fn write_completions(hearth: &Path, to: &Path, paths: &Paths) -> Result<()> {
    let mut command = Command::new(hearth);
    command.args(["completions", "bash"]);
    let script = output(command, &paths.log("completions"))?;
    make_parent(to)?;
    fs::write(to, script).at("write", to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o644)).at("set the mode of", to)
}

/// Runs cargo and returns the folder that the programs are in.
fn build_programs(paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
    let mut build = cargo(paths);
    build.args(["build", "--release", "--locked"]);
    build.args(PROGRAMS.iter().flat_map(|(name, _)| ["--package", name]));
    run(build, &paths.log("cargo-build"), progress)?;
    let log = paths.log("cargo-metadata");
    let mut metadata = cargo(paths);
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let json = output(metadata, &log)?;
    let broken = |reason: &str| Error::Package {
        path: log.clone(),
        reason: reason.to_owned(),
    };
    let json: serde_json::Value =
        serde_json::from_slice(&json).map_err(|error| broken(&error.to_string()))?;
    let target = json.get("target_directory").and_then(|value| value.as_str());
    Ok(Path::new(target.ok_or_else(|| broken("cargo metadata names no target_directory"))?).join("release"))
}

fn cargo(paths: &Paths) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths.repo());
    command
}

/// Puts one file, readable by all and executable if it was, whatever the checkout's umask. Links where it can.
fn place(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    let metadata = from.symlink_metadata().at("read", from)?;
    if metadata.is_symlink() {
        return symlink(fs::read_link(from).at("read", from)?, to).at("create", to);
    }
    let mode = if metadata.permissions().mode() & 0o100 == 0 {
        0o644
    } else {
        0o755
    };
    // A hard link saves copying, but carries the mode along, so only where that is right already.
    if metadata.permissions().mode() & 0o777 == mode && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).at("copy", from)?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).at("set the mode of", to)
}

fn place_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).at("read", from)? {
        let entry = entry.at("read", from)?;
        let target = to.join(entry.file_name());
        if entry.file_type().at("read", &entry.path())?.is_dir() {
            place_tree(&entry.path(), &target)?;
        } else {
            place(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Makes the folders above `path`, open to all to read: the image takes over their modes.
fn make_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let missing = parent
        .ancestors()
        .take_while(|folder| !folder.exists())
        .collect::<Vec<_>>();
    for folder in missing.into_iter().rev() {
        make_folder(folder).at("create", folder)?;
    }
    Ok(())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn modes_are_the_same_whatever_the_checkout_had() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("from/sub")).unwrap();
        for (name, bits) in [("sub/unit", 0o600), ("script", 0o700), ("plain", 0o644)] {
            let path = root.join("from").join(name);
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        }
        symlink("/dev/null", root.join("from/masked")).unwrap();
        place_tree(&root.join("from"), &root.join("to/deep")).unwrap();
        assert_eq!(mode(&root.join("to/deep")), 0o755);
        assert_eq!(mode(&root.join("to/deep/sub/unit")), 0o644);
        assert_eq!(mode(&root.join("to/deep/script")), 0o755);
        assert_eq!(
            fs::read_link(root.join("to/deep/masked")).unwrap(),
            Path::new("/dev/null")
        );
        assert_eq!(
            mode(&root.join("from/sub/unit")),
            0o600,
            "the checkout is left as it was"
        );
    }

    #[test]
    fn everything_in_the_systemd_folder_has_a_place() {
        let folder = Paths::discover().repo().join("systemd");
        let placed = |path: &Path| TREES.iter().any(|(from, _)| Path::new(from).starts_with(path));
        for entry in fs::read_dir(folder).unwrap().flatten() {
            assert!(
                placed(Path::new(&entry.file_name())),
                "{:?} would not get into the image",
                entry.path()
            );
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = place(&folder.path().join("inferd"), &folder.path().join("to/inferd")).unwrap_err();
        assert!(error.to_string().contains("inferd"), "{error}");
    }
}
