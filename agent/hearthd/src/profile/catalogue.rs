//! All profiles there are, and the one that fits a machine.

use super::candidate::Candidate;
use super::check::is_name;
use super::criteria::names;
use super::explain::Explanation;
use super::file;
use super::fragment::Fragment;
use super::problem::Problem;
use super::settle::{self, UNKNOWN};
use machine::{Capabilities, Tuning};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A profile file is a page of text; what is longer is something else.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// A profile and where it was read from.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) fragment: Fragment,
    pub(super) path: PathBuf,
    /// The place of its folder in the order; later ones win where two fit alike.
    pub(super) folder: usize,
}

/// Firmware profiles by name, `<vendor>/<product>`; whom each extends is there too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalogue {
    profiles: BTreeMap<String, Profile>,
    /// Those whose chain makes no sense as a whole: others may extend them, but no machine gets them.
    faulty: BTreeSet<String>,
}

impl Catalogue {
    /// Reads all profiles below the folders. A later folder's file replaces an earlier one's of the same name, unless
    /// it is wrong. A folder that is not there holds none. What is wrong is told and left out.
    pub(crate) fn load(folders: &[PathBuf]) -> (Self, Vec<Problem>) {
        let mut catalogue = Self::default();
        let mut problems = Vec::new();
        for (order, folder) in folders.iter().enumerate() {
            catalogue.read_folder(order, folder, &mut problems);
        }
        catalogue.drop_orphans(&mut problems);
        catalogue.mark_faulty(&mut problems);
        (catalogue, problems)
    }

    fn mark_faulty(&mut self, problems: &mut Vec<Problem>) {
        let mut faulty = BTreeSet::new();
        for (id, profile) in &self.profiles {
            for fault in settle::faults(&self.chain(id)) {
                problems.push(Problem::of(&profile.path, fault));
                faulty.insert(id.clone());
            }
        }
        self.faulty = faulty;
    }

    fn read_folder(&mut self, order: usize, folder: &Path, problems: &mut Vec<Problem>) {
        for vendor in entries(folder, problems) {
            // README.md and schema.json lie beside the makers' folders.
            if !vendor.is_dir() {
                continue;
            }
            for path in entries(&vendor, problems) {
                match read(&vendor, &path) {
                    Ok((id, fragment)) => {
                        let profile = Profile {
                            fragment,
                            path,
                            folder: order,
                        };
                        self.profiles.insert(id, profile);
                    }
                    Err(found) => problems.extend(found),
                }
            }
        }
    }

    /// Leaves out profiles whose chain of extended ones leads nowhere or in a circle.
    fn drop_orphans(&mut self, problems: &mut Vec<Problem>) {
        let lost: Vec<(String, String)> = self
            .profiles
            .keys()
            .filter_map(|id| Some((id.clone(), self.broken(id)?)))
            .collect();
        for (id, problem) in lost {
            if let Some(profile) = self.profiles.remove(&id) {
                let text = fs::read_to_string(&profile.path).unwrap_or_default();
                problems.push(Problem::written(
                    &profile.path,
                    &text,
                    ("extends".into(), problem),
                ));
            }
        }
    }

    /// What is wrong with the way from a profile to the end of its chain.
    fn broken(&self, id: &str) -> Option<String> {
        let mut seen = vec![id];
        let mut parent = self.profiles.get(id)?.fragment.extends.as_deref();
        while let Some(next) = parent {
            if seen.contains(&next) {
                return Some(format!("goes in a circle: {} → {next}", seen.join(" → ")));
            }
            let Some(profile) = self.profiles.get(next) else {
                return Some(format!("there is no usable profile {next:?}"));
            };
            seen.push(next);
            parent = profile.fragment.extends.as_deref();
        }
        None
    }

    /// A profile and those it extends, nearest first.
    pub(super) fn chain<'a>(&'a self, id: &'a str) -> Vec<(&'a str, &'a Profile)> {
        let start = Some(id).and_then(|id| Some((id, self.profiles.get(id)?)));
        std::iter::successors(start, |(_, profile)| {
            let parent = profile.fragment.extends.as_deref()?;
            Some((parent, self.profiles.get(parent)?))
        })
        // No longer than there are profiles: a circle is dropped on loading, and must not hang even if it were not.
        .take(self.profiles.len())
        .collect()
    }

    /// All profiles by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.profiles.iter().map(|(id, profile)| (id.as_str(), profile))
    }

    /// The profile that names the machine most closely, resolved, and why it is that one. Without any that fits, what
    /// [`Tuning::default`] says.
    pub(crate) fn matching(&self, machine: &Capabilities) -> (Tuning, Explanation) {
        let names = names(machine);
        let candidates: Vec<Candidate<'_>> = self
            .iter()
            .filter(|(id, _)| !self.faulty.contains(*id))
            .filter_map(|(id, profile)| Candidate::new(id, profile, &names))
            .collect();
        let best = candidates
            .iter()
            .filter(|candidate| candidate.fits())
            .max_by(|one, other| one.rank().cmp(&other.rank()));
        let chain = best.map(|best| self.chain(best.id)).unwrap_or_default();
        let (tuning, values) = settle::settle(best.map_or(UNKNOWN, |best| best.id), &chain);
        let others = candidates
            .iter()
            .filter(|candidate| best.is_none_or(|best| best.id != candidate.id))
            .map(|candidate| candidate.other(best.map(Candidate::level)))
            .collect();
        let explanation = Explanation {
            machine: names,
            profile: tuning.profile.clone(),
            fit: best.map(Candidate::fit),
            chain: chain.iter().map(|(id, _)| (*id).to_owned()).collect(),
            values,
            others,
        };
        (tuning, explanation)
    }
}

fn entries(folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let listed: io::Result<Vec<PathBuf>> =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    match listed {
        Ok(mut paths) => {
            paths.sort();
            paths
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(Problem::of(folder, format!("cannot be read: {error}")));
            Vec::new()
        }
    }
}

fn read(vendor: &Path, path: &Path) -> Result<(String, Fragment), Vec<Problem>> {
    let whole = |problem: String| vec![Problem::of(path, problem)];
    let id = id(vendor, path)
        .ok_or_else(|| whole("is not named <vendor>/<product>.toml in a-z, 0-9 and -".to_owned()))?;
    let text = text(path).map_err(|error| whole(format!("cannot be read: {error}")))?;
    let fragment = file::parse(&id, path, &text)?;
    Ok((id, fragment))
}

fn id(vendor: &Path, path: &Path) -> Option<String> {
    let vendor = vendor.file_name().and_then(OsStr::to_str)?;
    let product = path.file_name().and_then(OsStr::to_str)?.strip_suffix(".toml")?;
    (is_name(vendor) && is_name(product)).then(|| format!("{vendor}/{product}"))
}

fn text(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "it is longer than {MAX_FILE_BYTES} bytes"
        )));
    }
    fs::read_to_string(path)
}
