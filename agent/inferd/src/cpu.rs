//! Which instructions compute, and how many threads. What was measured is kept for the next start, for as long as the processor is the same.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use kernels::cpu;
use kernels::path::{self, Choice};
use kernels::pool::topology::{Topology, keep_to};

/// The file in the state folder: the processor's identity, and what was chosen for it, a line each.
const FILE: &str = "cpu-path";

/// Takes the path that is forced, that was chosen before for this processor, or that is fastest now.
pub(crate) fn choose(forced: Option<path::Path>, state: Option<&Path>) -> path::Path {
    if let Some(path) = forced {
        tracing::info!(choice = %Choice::forced(path), "computing");
        return path;
    }
    let identity = cpu::identity();
    let file = state.map(|state| state.join(FILE));
    let kept = file.as_deref().and_then(|file| kept(file, &identity));
    if let Some(choice) = kept {
        tracing::info!(%choice, "computing, as measured before");
        return choice.path;
    }
    let choice = path::choose();
    tracing::info!(%choice, processor = identity, "computing, as measured now");
    if let Some(file) = file
        && let Err(error) = keep(&file, &identity, &choice)
    {
        tracing::warn!("what was measured cannot be kept, and is measured again next time: {error:#}");
    }
    choice.path
}

/// How many threads compute if nobody says: one for each core that affinity and the control group's quota leave.
pub(crate) fn threads() -> Result<usize> {
    Ok(topology()?.threads())
}

/// Has all threads that this one starts from now on keep to the performance cores, if those are enough for so many.
pub(crate) fn place(threads: usize) {
    let processors = match Topology::read() {
        Ok(topology) => topology.place(threads),
        Err(error) => return tracing::warn!("cannot tell which processors are performance cores: {error}"),
    };
    let Some(processors) = processors else {
        return;
    };
    match keep_to(&processors) {
        Ok(()) => tracing::info!(?processors, "computing on the performance cores"),
        Err(refusal) => tracing::warn!("threads cannot be kept to the performance cores: {refusal}"),
    }
}

fn topology() -> Result<Topology> {
    let topology = Topology::read().context("cannot count the processors that may be used")?;
    if let Some(refusal) = topology.refusal() {
        tracing::warn!("each processor counts as a core, since none can be asked for its own: {refusal}");
    }
    Ok(topology)
}

/// The choice that is kept, if it is there, whole, and for this processor.
fn kept(file: &Path, identity: &str) -> Option<Choice> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!("{} cannot be read: {error}", file.display());
            return None;
        }
    };
    let (processor, choice) = text.trim_end().split_once('\n')?;
    choice.parse().ok().filter(|_| processor == identity)
}

fn keep(file: &Path, identity: &str, choice: &Choice) -> Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, format!("{identity}\n{choice}\n")).with_context(|| new.display().to_string())?;
    fs::rename(&new, file).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_kept_for_its_processor_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert_eq!(kept(&file, "this one"), None);
        let choice = Choice::forced(path::Path::SCALAR);
        keep(&file, "this one", &choice).unwrap();
        assert_eq!(kept(&file, "this one"), Some(choice));
        assert_eq!(kept(&file, "another"), None);
        fs::write(&file, "this one\nneon: forced\n").unwrap();
        assert_eq!(kept(&file, "this one"), None);
    }

    #[test]
    fn what_was_measured_is_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        choose(None, Some(folder.path()));
        let file = folder.path().join(FILE);
        let slower = format!("{}\nscalar: scalar 7\n", cpu::identity());
        fs::write(&file, &slower).unwrap();
        assert_eq!(choose(None, Some(folder.path())), path::Path::SCALAR);
        assert_eq!(fs::read_to_string(&file).unwrap(), slower);
    }

    #[test]
    fn no_more_threads_compute_than_this_process_may_keep_busy() {
        let allowed = std::thread::available_parallelism().unwrap().get();
        assert!((1..=allowed).contains(&threads().unwrap()));
    }

    #[test]
    fn a_forced_path_is_taken() {
        assert_eq!(choose(Some(path::Path::SCALAR), None), path::Path::SCALAR);
    }
}
