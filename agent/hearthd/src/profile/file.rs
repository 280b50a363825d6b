//! One profile file: text in, a checked fragment or all its faults out.

use super::check;
use super::fragment::Fragment;
use super::problem::Problem;
use std::path::Path;

/// Reads a profile's text. `id` is `<vendor>/<product>`; `path` is where faults are said to be.
pub(super) fn parse(id: &str, path: &Path, text: &str) -> Result<Fragment, Vec<Problem>> {
    let fragment = deserialize(path, text).map_err(|problem| vec![problem])?;
    let faults = check::faults(id, &fragment);
    if faults.is_empty() {
        return Ok(fragment);
    }
    let problems = faults.into_iter();
    Err(problems
        .map(|fault| Problem::written(path, text, fault))
        .collect())
}

fn deserialize(path: &Path, text: &str) -> Result<Fragment, Problem> {
    let deserializer =
        toml::Deserializer::parse(text).map_err(|error| Problem::parsed(path, text, None, &error))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let key = error.path().to_string();
        let key = (key != ".").then_some(key);
        Problem::parsed(path, text, key, error.inner())
    })
}
