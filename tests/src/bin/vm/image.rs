//! What a run needs from the image builder.

use std::path::PathBuf;

use anyhow::Result;
use image::flash::{Access, Flashed};
use image::{Paths, Progress, ensure_image, ensure_model, ensure_packages};
use tests::oracle::{self, Answer};
use tests::report;
use tests::vm::Setup;

/// The image, the model and the folders.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) paths: Paths,
    pub(crate) image: PathBuf,
    pub(crate) model: PathBuf,
}

impl Parts {
    /// Installs, fetches and builds what is missing, telling what it does.
    pub(crate) fn ensure() -> Result<Self> {
        let paths = Paths::discover();
        report::with_progress(|progress| ensure_packages(&paths, progress))?;
        let image = report::with_progress(|progress| ensure_image(&paths, progress))?;
        let model = report::with_progress(|progress| ensure_model(&paths, progress))?;
        Ok(Self { paths, image, model })
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
        let authorized_keys = setup.keys().public().to_owned();
        let access = Access {
            authorized_keys,
            token_hashes,
        };
        let flash = |progress: Progress<'_>| setup.flash_image(&self.image, &access, rate, progress);
        let flashed = report::with_progress(flash)?;
        Ok((setup, flashed))
    }

    /// What candle's own model answers on this host.
    pub(crate) fn oracle(&self, questions: &[&str], tokens: u32) -> Result<Vec<Answer>> {
        report::step("ask candle's own model on this host", || {
            oracle::ask(&self.model, questions, tokens)
        })
    }
}
