//! Where things are: the checkout, and a cache outside it that may be deleted at any time.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{AtPath, Result};

/// The folders that the builder reads and writes.
#[derive(Clone, Debug)]
pub struct Paths {
    repo: PathBuf,
    cache: PathBuf,
}

impl Paths {
    /// This checkout, and `$XDG_CACHE_HOME/hearth` or `~/.cache/hearth`.
    pub fn discover() -> Self {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap_or(Path::new("/"));
        Self::new(repo, &cache_home(|name| env::var_os(name)).join("hearth"))
    }

    /// The given checkout and cache.
    pub fn new(repo: &Path, cache: &Path) -> Self {
        Self {
            repo: repo.to_owned(),
            cache: cache.to_owned(),
        }
    }

    /// The checkout's root.
    pub fn repo(&self) -> &Path {
        &self.repo
    }

    /// mkosi's recipe.
    pub fn recipe(&self) -> PathBuf {
        self.repo.join("image")
    }

    /// The cache. Everything below it can be made anew.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Verified model files.
    pub fn models(&self) -> PathBuf {
        self.cache.join("models")
    }

    /// The built image's folder, unless told otherwise.
    pub fn images(&self) -> PathBuf {
        self.cache.join("image")
    }

    /// The log of the step `name`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.cache.join("logs").join(format!("{name}.log"))
    }

    /// Waits until no other process works in the cache, and keeps others out while the result lives.
    pub fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.cache).at("create", &self.cache)?;
        let path = self.cache.join("lock");
        let file = File::create(&path).at("create", &path)?;
        file.lock().at("lock", &path)?;
        Ok(file)
    }
}

fn cache_home(var: impl Fn(&str) -> Option<std::ffi::OsString>) -> PathBuf {
    let absolute = |name| {
        var(name)
            .map(PathBuf::from)
            .filter(|path: &PathBuf| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(|| PathBuf::from("/var/cache"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_follows_the_environment() {
        let env = |set: &'static [(&str, &str)]| {
            move |name: &str| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.into())
            }
        };
        assert_eq!(
            cache_home(env(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")])),
            Path::new("/c")
        );
        assert_eq!(
            cache_home(env(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")])),
            Path::new("/h/.cache")
        );
        assert_eq!(cache_home(env(&[])), Path::new("/var/cache"));
    }

    #[test]
    fn the_checkout_holds_the_recipe() {
        assert!(Paths::discover().recipe().join("Cargo.toml").is_file());
    }
}
