//! Whether the engine says what its peers say: perplexity, divergence of predictions, greedy answers.

mod verdict;

use std::path::Path;
use std::process::{Command, Stdio};

use ::tests::process::output;
use anyhow::{Context, Result};
use clap::Args;
use peers::answers::Answer;
use peers::candle::IN_F32;
use peers::corpus;
use peers::engines::{Engines, Instructions, model};
use peers::llama_server::LlamaServer;
use peers::machine::bound;
use peers::parts::Parts;
use serde::Deserialize;

use crate::show::step;
pub(crate) use verdict::{Verdict, judge, print};

/// Text for each chunk of 512 tokens, bytes: more than any tokenizer here takes.
const CHUNK_BYTES: usize = 4_000;

/// What to compare.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Models: smollm2, qwen, or a GGUF file
    #[arg(short, long = "model", value_delimiter = ',', default_value = "smollm2,qwen")]
    models: Vec<String>,
    /// Instructions that the engines may use
    #[arg(short, long, value_enum, default_value = "best")]
    instructions: Instructions,
    /// Chunks of 512 tokens for perplexity, of which the second halves count; candle in f32 takes most of the time
    #[arg(short, long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..))]
    chunks: u32,
    /// Tokens of each greedy answer
    #[arg(short = 'n', long, default_value_t = 48)]
    count: usize,
    /// Threads
    #[arg(short, long, default_value_t = 2)]
    threads: u16,
}

/// What `probe answers` says.
#[derive(Debug, Deserialize)]
struct Answers {
    answers: Vec<Answer>,
}

/// Compares all models.
pub(crate) fn measure(parts: &Parts, options: &Options) -> Result<Vec<Verdict>> {
    let engines = Engines::new(parts, options.instructions)?;
    options
        .models
        .iter()
        .map(|name| {
            Comparison {
                parts,
                engines: &engines,
                options,
                name,
                file: &model(parts, name),
            }
            .verdict()
        })
        .collect()
}

/// One model's comparison.
struct Comparison<'a> {
    parts: &'a Parts,
    engines: &'a Engines<'a>,
    options: &'a Options,
    name: &'a str,
    file: &'a Path,
}

impl Comparison<'_> {
    fn verdict(&self) -> Result<Verdict> {
        let folder = tempfile::tempdir_in(&self.parts.folder).context("cannot make a folder")?;
        let logits = folder.path().join("logits");
        let printed = self.step(&format!("llama.cpp reads {} chunks", self.options.chunks), || {
            self.llama_perplexity(folder.path(), &logits)
        })?;
        let judgement = self.step("the engine and candle in f32 read them", || {
            let logits = logits.to_str().context("a path that is no text")?;
            let text = self.probe(&["judge", "--logits", logits], true)?;
            serde_json::from_str(&text).with_context(|| format!("the probe said {text}"))
        })?;
        let ours = self.step("greedy answers of the engine", || self.answers("hearth", false))?;
        let candles = self.step("greedy answers of candle in f32", || self.answers("candle", true))?;
        let theirs = self.step("greedy answers of llama.cpp", || self.llama_answers(&ours))?;
        Ok(Verdict::new(
            self.name, printed, judgement, &ours, &candles, &theirs,
        ))
    }

    fn step<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        step(&format!("{}: {what}", self.name), work)
    }

    /// Has llama.cpp read the text and keep what it predicted; returns the perplexity that it prints.
    fn llama_perplexity(&self, folder: &Path, logits: &Path) -> Result<f64> {
        let chunks = self.options.chunks as usize;
        let text = corpus::write(&self.parts.summaries, (chunks + 1) * CHUNK_BYTES, folder)?;
        let models = self.file.parent().context("a model without a folder")?;
        let mut command = self
            .engines
            .llama_cpp()
            .command("llama-perplexity", &[models], &[folder]);
        command.arg("-m").arg(self.file).arg("-f").arg(text);
        command.arg("--save-all-logits").arg(logits);
        command.args(["-c", "512", "-b", "512", "--chunks", &chunks.to_string()]);
        command.args(["-t", &self.options.threads.to_string()]);
        let said = bound(&command)
            .output()
            .context("cannot start llama-perplexity")?;
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        printed(&said).with_context(|| format!("llama-perplexity said {said}"))
    }

    fn answers(&self, engine: &str, in_f32: bool) -> Result<Vec<Answer>> {
        let count = self.options.count.to_string();
        let text = self.probe(&["answers", "--engine", engine, "-n", &count], in_f32)?;
        let answers: Answers =
            serde_json::from_str(&text).with_context(|| format!("{engine} said {text}"))?;
        Ok(answers.answers)
    }

    fn llama_answers(&self, ours: &[Answer]) -> Result<Vec<Vec<u32>>> {
        let server = LlamaServer::start(self.engines.llama_cpp(), self.file, true)?;
        let answers = ours
            .iter()
            .map(|answer| server.greedy(&answer.prompt, self.options.count));
        answers.collect()
    }

    /// What the probe prints; what it says meanwhile is shown.
    fn probe(&self, arguments: &[&str], in_f32: bool) -> Result<String> {
        let mut command = Command::new(self.parts.program("probe"));
        command.args(arguments).arg("-m").arg(self.file);
        for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
            command.env(name, self.options.threads.to_string());
        }
        if in_f32 {
            command.env(IN_F32.0, IN_F32.1);
        }
        if self.options.instructions == Instructions::Avx2 {
            command.env("HEARTH_CPU", "avx2");
        }
        output(bound(&command).stderr(Stdio::inherit()))
    }
}

fn printed(said: &str) -> Option<f64> {
    let (_, rest) = said.split_once("Final estimate: PPL = ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_llama_perplexity() {
        assert_eq!(
            printed("[1]9.5,\n0.12 I Final estimate: PPL = 11.4300 +/- 0.94853\n"),
            Some(11.43)
        );
        assert_eq!(printed("error"), None);
    }
}
