//! Where the model lies, and what of it is in memory.

use std::fs::File;
use std::time::Duration;

use ::tests::oracle::Answer;
use ::tests::report::seconds;
use ::tests::wait;
use anyhow::{Context, Result, ensure};

use super::answers;
use crate::guest::{Guest, MODEL};

const ENGINE: &str = "hearth-inferd.service";
/// The store of the image.
const SHIPPED: &str = "/usr/share/hearth/models";
/// The store that models are added to.
const ADDED: &str = "/var/lib/hearth/models";
/// What the shipped model is called there.
const COPY: &str = "copy";
/// Least of the engine's memory that must be pages of the model's files, MiB: the model is of 93.
const LEAST_MAPPED_MIB: f64 = 80.0;
/// Most that may be the engine's own, MiB: keys and values, vocabulary, buffers.
const MOST_OWN_MIB: f64 = 90.0;

/// What a made-up model is called there.
const TINY: &str = "tiny";
/// How long an instance of the import service may be there after its last word.
const ENDING: Duration = Duration::from_secs(30);

/// What a process has in memory, MiB: `smaps_rollup`, see proc(5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// `Pss_Anon`: its own.
    own: f64,
    /// `Pss_File`: pages of files, which the kernel may drop and read again, each divided by the processes that have it.
    file: f64,
    /// `FilePmdMapped`: the part of those that huge pages map.
    file_huge: f64,
    /// `AnonHugePages`: the part of its own that is in huge pages.
    own_huge: f64,
}

impl Memory {
    /// All figures with their names.
    pub(crate) fn rows(self) -> impl Iterator<Item = (&'static str, f64)> {
        let rows = [
            ("PSS, its own (Pss_Anon)", self.own),
            ("PSS, pages of files (Pss_File)", self.file),
            ("files' pages mapped by huge ones (FilePmdMapped)", self.file_huge),
            ("its own in huge pages (AnonHugePages)", self.own_huge),
        ];
        rows.into_iter()
    }

    fn told(self) -> String {
        let Self {
            own,
            file,
            file_huge,
            own_huge,
        } = self;
        format!(
            "PSS {:.1} MiB: {own:.1} its own, {file:.1} of files; FilePmdMapped {file_huge:.1}, AnonHugePages {own_huge:.1}",
            own + file
        )
    }
}

/// What the engine has in memory.
pub(crate) fn memory(guest: &mut Guest) -> Result<Memory> {
    guest.awaken()?;
    let pid = guest.main_pid(ENGINE)?;
    let text = guest.sudo(&format!("cat /proc/{pid}/smaps_rollup"))?;
    let mib = |name: &str| -> Result<f64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let figure = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: f64 = figure.with_context(|| format!("no {name} in {text}"))?.parse()?;
        Ok(kib / 1024.0)
    };
    Ok(Memory {
        own: mib("Pss_Anon")?,
        file: mib("Pss_File")?,
        file_huge: mib("FilePmdMapped")?,
        own_huge: mib("AnonHugePages")?,
    })
}

/// The weights in memory are pages of their files, not a copy of them.
pub(crate) fn is_mapped(guest: &mut Guest) -> Result<String> {
    let memory = memory(guest)?;
    ensure!(
        memory.file >= LEAST_MAPPED_MIB,
        "the weights are not mapped: {}",
        memory.told()
    );
    ensure!(
        memory.own <= MOST_OWN_MIB,
        "too much is the engine's own: {}",
        memory.told()
    );
    Ok(memory.told())
}

/// Each block is one piece of the root's device, so that its pages are read from there as they are: the root's compression
/// would have made many of it. The end of a file that fills no page lies apart, beside its inode.
pub(crate) fn lies_as_it_is(guest: &mut Guest) -> Result<String> {
    let text = guest.sudo(&format!("filefrag {SHIPPED}/blocks/*/*"))?;
    let extents: Vec<usize> = text.lines().map(extents).collect::<Result<_>>()?;
    ensure!(extents.len() > 10, "only {} blocks: {text}", extents.len());
    let most = extents.iter().max().context("no block")?;
    ensure!(*most <= 2, "a block is in {most} pieces: {text}");
    Ok(format!(
        "{} blocks, none in more than {most} pieces",
        extents.len()
    ))
}

/// The number in a line of filefrag: `FILE: 1 extent found`.
fn extents(line: &str) -> Result<usize> {
    let number = line
        .rsplit_once(": ")
        .and_then(|(_, rest)| rest.split_once(" extent"));
    let (number, _) = number.with_context(|| format!("filefrag says {line}"))?;
    number.parse().with_context(|| format!("filefrag says {line}"))
}

/// What the engine said of each time that it loaded the model, verification of all its blocks included.
pub(crate) fn load_time(guest: &mut Guest) -> Result<String> {
    let text = guest.sudo(&format!(
        "journalctl --boot --unit {ENGINE} --output cat --no-pager --grep 'loaded .*milliseconds='"
    ))?;
    let times: Vec<&str> = text
        .lines()
        .filter_map(|line| Some(line.split_once("milliseconds=")?.1))
        .collect();
    ensure!(!times.is_empty(), "the engine did not say: {text}");
    Ok(format!("{} ms", times.join(", ")))
}

/// A copy of the model in the store of added models is seen without a restart, answers the same, and is mapped from XFS;
/// removed, it is gone.
pub(crate) fn on_its_partition(guest: &mut Guest, expected: &Answer) -> Result<String> {
    let (from, to) = (
        format!("{SHIPPED}/models/{MODEL}"),
        format!("{ADDED}/models/{COPY}"),
    );
    let engine = guest.main_pid(ENGINE)?;
    let there = guest.sudo(&format!("ls {ADDED}/models 2>/dev/null || true"))?;
    ensure!(there.is_empty(), "models were added already: {there}");
    guest.sudo(&format!(
        "umask 022 && mkdir -p {to} && cp -r {SHIPPED}/blocks {ADDED}/ && cp {from}/manifest.json {to}/ && \
         sync && echo 3 >/proc/sys/vm/drop_caches"
    ))?;
    let listed = guest.run("hearth models")?;
    ensure!(listed.contains(COPY), "the copy is not seen: {listed}");
    let time = answers::first_token_of(COPY, guest, expected)?;
    let memory = memory(guest)?;
    ensure!(
        memory.file >= LEAST_MAPPED_MIB,
        "the weights are not mapped: {}",
        memory.told()
    );
    guest.sudo(&format!("rm -r {ADDED}/models {ADDED}/blocks"))?;
    let listed = guest.run("hearth models")?;
    ensure!(!listed.contains(COPY), "the copy is still listed: {listed}");
    ensure!(
        guest.main_pid(ENGINE)? == engine,
        "the engine was restarted for it"
    );
    Ok(format!(
        "read from disk, first token {} after the request; {}",
        seconds(time.since_request),
        memory.told()
    ))
}

/// A model that an administrator pipes through SSH is packed by the import service, answers without a restart of the
/// engine, is whole, and goes again without a trace.
pub(crate) fn comes_over_ssh(guest: &mut Guest) -> Result<String> {
    let file = tempfile::NamedTempFile::with_suffix(".gguf")?;
    engine::tiny::write(file.path(), 256)?;
    let engine = guest.main_pid(ENGINE)?;
    let add = format!("hearth model add - --name {TINY}");
    let added = guest.ssh()?.run_with(&add, File::open(file.path())?)?;
    ensure!(added.contains("root"), "{added}");
    let owner = guest.run(&format!(
        "stat --format %U {ADDED} {ADDED}/models/{TINY}/manifest.json"
    ))?;
    ensure!(owner == "hearth-import\nhearth-import", "the store is of {owner}");
    let listed = guest.run("hearth models")?;
    ensure!(listed.contains(TINY), "the model is not seen: {listed}");
    let answer = guest.run(&format!("hearth ask --model {TINY} --max-tokens 8 hello"))?;
    ensure!(!answer.is_empty(), "the model says nothing");
    let whole = guest.run("hearth model verify")?;
    ensure!(whole.lines().count() == 2, "not two models: {whole}");
    let removed = guest.run(&format!("hearth model remove {TINY}"))?;
    let left = guest.sudo(&format!(
        "find {ADDED}/blocks {ADDED}/models {ADDED}/incoming -type f"
    ))?;
    ensure!(left.is_empty(), "there is still {left}");
    let listed = guest.run("hearth models")?;
    ensure!(!listed.contains(TINY), "the model is still listed: {listed}");
    ensure!(
        guest.main_pid(ENGINE)? == engine,
        "the engine was restarted for it"
    );
    wait::until("the end of all instances of the import service", ENDING, || {
        let instances = guest.run("systemctl list-units --all --plain --no-legend 'hearth-import@*'")?;
        Ok(instances.is_empty().then_some(()))
    })?;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filefrags_lines_are_read() {
        assert_eq!(extents("/a: b/c: 1 extent found").unwrap(), 1);
        assert_eq!(extents("/a: 541 extents found").unwrap(), 541);
        assert!(extents("/a: FIBMAP unsupported").is_err());
    }
}
