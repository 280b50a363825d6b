//! Virtual environments of Python: the only pip that every served distribution has, and where tests keep their
//! clients. The package index is the one that the machine's own pip configuration names.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command::run;
use crate::error::{AtPath, Result};
use crate::hash;
use crate::paths::Paths;
use crate::progress::Progress;

/// Makes, or finds made, a virtual environment holding exactly `requirements` (as pip takes them: `openai==1.2`).
/// Returns its folder; programs are in `bin`.
pub fn ensure_venv(paths: &Paths, requirements: &[&str], progress: Progress<'_>) -> Result<PathBuf> {
    let key = &hash::of_bytes(requirements.join("\n").as_bytes())[..12];
    let venv = paths.cache().join(format!("venv-{key}"));
    let done = venv.join(".complete");
    if done.exists() && venv.join("bin/python3").exists() {
        return Ok(venv);
    }
    let what = if requirements.is_empty() {
        "pip".to_owned()
    } else {
        requirements.join(" ")
    };
    progress.step(&format!("make a Python environment with {what}"), || {
        fs::create_dir_all(paths.cache()).at("create", paths.cache())?;
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(&venv);
        run(make, &paths.log("venv"), progress)?;
        if !requirements.is_empty() {
            let mut install = Command::new(venv.join("bin/python3"));
            install
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(requirements);
            run(install, &paths.log("pip-install"), progress)?;
        }
        fs::write(&done, "").at("write", &done)
    })?;
    Ok(venv)
}
