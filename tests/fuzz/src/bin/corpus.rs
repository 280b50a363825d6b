//! Writes the corpus anew.

use std::fs;

use anyhow::{Context, Result};
use fuzz::corpus;

fn main() -> Result<()> {
    for (parser, seeds) in corpus::make()? {
        let folder = corpus::folder().join(parser);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for old in corpus::read(&folder)?
            .into_keys()
            .filter(|name| !seeds.contains_key(name))
        {
            fs::remove_file(folder.join(&old)).with_context(|| format!("cannot remove {old}"))?;
        }
        for (name, bytes) in seeds {
            fs::write(folder.join(&name), bytes).with_context(|| format!("cannot write {name}"))?;
        }
    }
    Ok(())
}
