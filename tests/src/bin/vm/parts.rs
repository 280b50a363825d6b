//! What a run needs from the image builder.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use anyhow::Result;
use image::flash::{Access, Flashed};
use image::{Options, Paths, Progress, build, ensure_image, ensure_model, ensure_packages};
use tests::oracle::{self, Answer};
use tests::report;
use tests::vm::Setup;

/// The `hearth.toml` of a flashed disk: what no other check goes by.
pub(crate) const SETTINGS: &str = "timezone = \"Europe/Berlin\"\n[engine]\nkv_park_quota = \"1G\"\n";

/// The image, the model and the folders.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) paths: Paths,
    pub(crate) image: PathBuf,
    pub(crate) model: PathBuf,
    given: bool,
}

/// The image's sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) apparent: u64,
    pub(crate) allocated: u64,
    pub(crate) compressed: Option<u64>,
}

impl Parts {
    /// Installs, fetches and builds what is missing, telling what it does. A given image is taken as it is.
    pub(crate) fn ensure(given: Option<PathBuf>) -> Result<Self> {
        let paths = Paths::discover();
        report::with_progress(|progress| ensure_packages(&paths, progress))?;
        let build = || report::with_progress(|progress| ensure_image(&paths, progress));
        let is_given = given.is_some();
        let image = given.map_or_else(build, Ok)?;
        let model = report::with_progress(|progress| ensure_model(&paths, progress))?;
        Ok(Self {
            paths,
            image,
            model,
            given: is_given,
        })
    }

    /// How large the image is. It is compressed only if it is the checkout's own.
    pub(crate) fn sizes(&self) -> Result<Sizes> {
        if self.given {
            let metadata = self.image.metadata()?;
            let (apparent, allocated) = (metadata.len(), metadata.blocks() * 512);
            return Ok(Sizes {
                apparent,
                allocated,
                compressed: None,
            });
        }
        let options = Options {
            compress: true,
            ..Options::default()
        };
        let built = report::with_progress(|progress| build(&options, &self.paths, progress))?;
        let compressed = built.compressed.map(|(_, bytes)| bytes);
        Ok(Sizes {
            apparent: built.apparent,
            allocated: built.allocated,
            compressed,
        })
    }

    /// A machine whose disk is a copy of the image.
    pub(crate) fn copied(&self) -> Result<Setup> {
        let setup = Setup::new(self.paths.cache())?;
        report::step("copy the image to the machine's disk", || {
            setup.copy_image(&self.image)
        })?;
        Ok(setup)
    }

    /// A machine whose disk was flashed, with the run's key and these token hashes on `CONFIG`.
    pub(crate) fn flashed(&self, token_hashes: String, rate: Option<u64>) -> Result<(Setup, Flashed)> {
        let setup = Setup::new(self.paths.cache())?;
        let flashed = self.flash(&setup, token_hashes, rate)?;
        Ok((setup, flashed))
    }

    /// Flashes a machine's disk so.
    pub(crate) fn flash(&self, setup: &Setup, token_hashes: String, rate: Option<u64>) -> Result<Flashed> {
        let authorized_keys = setup.keys().public().to_owned();
        let access = Access {
            authorized_keys,
            token_hashes,
            settings: SETTINGS.to_owned(),
        };
        let flash = |progress: Progress<'_>| setup.flash_image(&self.image, &access, rate, progress);
        report::with_progress(flash)
    }

    /// What the engine itself answers on this host.
    pub(crate) fn oracle(&self, questions: &[&str], tokens: u32) -> Result<Vec<Answer>> {
        report::step("ask the engine and candle's own model on this host", || {
            oracle::ask(&self.model, questions, tokens)
        })
    }
}
