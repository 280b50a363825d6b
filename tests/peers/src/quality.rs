//! Whether the engine says what its peers say: perplexity, divergence of predictions, greedy answers.

use std::path::Path;
use std::process::Command;

use ::tests::process::output;
use ::tests::report::table;
use anyhow::{Context, Result, bail};
use clap::Args;
use peers::answers::{Answer, parting};
use peers::candle::IN_F32;
use peers::corpus;
use peers::divergence::Divergence;
use peers::engines::{Engines, Instructions, model};
use peers::llama_server::LlamaServer;
use peers::machine::in_front;
use peers::parts::Parts;
use serde::{Deserialize, Serialize};

use crate::show::step;

/// How far our perplexity may be from llama.cpp's on the same tokens.
const PERPLEXITY_LIMIT: f64 = 0.005;
/// Divergence from candle's f32 that is allowed beside llama.cpp's own: both round activations to 8 bits, differently.
const DIVERGENCE_LIMIT: f64 = 1.25;
/// The least divergence that counts: below it are the steps of llama.cpp's saved log-probabilities.
const DIVERGENCE_FLOOR: f64 = 1e-3;
/// How sure a token may be where answers part, as a difference of logits: more than rounding can turn is a mistake.
const MARGIN_LIMIT: f32 = 0.5;
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
    /// Chunks of 512 tokens for perplexity
    #[arg(short, long, default_value_t = 8)]
    chunks: usize,
    /// Chunks of them that candle reads in f32, too: it is slow
    #[arg(long, default_value_t = 1)]
    candle_chunks: usize,
    /// Tokens of each greedy answer
    #[arg(short = 'n', long, default_value_t = 48)]
    count: usize,
    /// Threads
    #[arg(short, long, default_value_t = 2)]
    threads: u16,
}

/// What `probe judge` says.
#[derive(Debug, Serialize, Deserialize)]
struct Judgement {
    perplexity: f64,
    llama_cpp_perplexity: f64,
    from_llama_cpp: Divergence,
    from_candle: Divergence,
    llama_cpp_from_candle: Divergence,
}

/// What `probe answers` says.
#[derive(Debug, Deserialize)]
struct Answers {
    answers: Vec<Answer>,
}

/// Where an answer parts from a peer's.
#[derive(Debug, Serialize)]
struct Parting {
    prompt: usize,
    token: usize,
    /// By how much our logit was above the next best there.
    margin: f32,
}

/// A model's result.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    model: String,
    /// As llama-perplexity itself printed it.
    printed_perplexity: f64,
    judgement: Judgement,
    answers: usize,
    partings_from_candle: Vec<Parting>,
    partings_from_llama_cpp: Vec<Parting>,
    /// What is beyond a limit.
    pub(crate) problems: Vec<String>,
}

/// Compares all models.
pub(crate) fn measure(parts: &Parts, options: &Options) -> Result<Vec<Verdict>> {
    let engines = Engines::new(parts, options.instructions)?;
    options
        .models
        .iter()
        .map(|name| verdict(parts, &engines, options, name))
        .collect()
}

fn verdict(parts: &Parts, engines: &Engines<'_>, options: &Options, name: &str) -> Result<Verdict> {
    let file = model(parts, name);
    let folder = tempfile::tempdir_in(&parts.folder).context("cannot make a folder")?;
    let logits = folder.path().join("logits");
    let words = format!("{name}: llama.cpp reads {} chunks", options.chunks);
    let printed = step(&words, || {
        perplexity(parts, engines, options, &file, folder.path(), &logits)
    })?;
    let probe = |arguments: &[&str], in_f32: bool| probe(parts, options, arguments, &file, in_f32);
    let judgement = step(&format!("{name}: the engine and candle in f32 read them"), || {
        let chunks = options.candle_chunks.to_string();
        let logits = logits.to_str().context("a path that is no text")?;
        probe(&["judge", "--logits", logits, "--candle-chunks", &chunks], true)
    })?;
    let count = options.count.to_string();
    let answers = |engine: &str, in_f32| -> Result<Answers> {
        let text = probe(&["answers", "--engine", engine, "-n", &count], in_f32)?;
        serde_json::from_str(&text).with_context(|| format!("{engine} said {text}"))
    };
    let ours = step(&format!("{name}: greedy answers of the engine"), || {
        answers("hearth", false)
    })?
    .answers;
    let candles = step(&format!("{name}: greedy answers of candle in f32"), || {
        answers("candle", true)
    })?
    .answers;
    let theirs = step(&format!("{name}: greedy answers of llama.cpp"), || {
        let server = LlamaServer::start(engines.llama_cpp(), &file, true)?;
        ours.iter()
            .map(|answer| server.greedy(&answer.prompt, options.count))
            .collect::<Result<Vec<_>>>()
    })?;
    let mut verdict = Verdict {
        model: name.to_owned(),
        printed_perplexity: printed,
        judgement: serde_json::from_str(&judgement).with_context(|| format!("the probe said {judgement}"))?,
        answers: ours.len(),
        partings_from_candle: partings(&ours, candles.iter().map(|answer| &answer.tokens[..])),
        partings_from_llama_cpp: partings(&ours, theirs.iter().map(Vec::as_slice)),
        problems: Vec::new(),
    };
    verdict.problems = problems(&verdict);
    Ok(verdict)
}

/// Has llama.cpp read the text and keep what it predicted; returns the perplexity that it prints.
fn perplexity(
    parts: &Parts,
    engines: &Engines<'_>,
    options: &Options,
    file: &Path,
    folder: &Path,
    logits: &Path,
) -> Result<f64> {
    let text = corpus::write(&parts.summaries, (options.chunks + 1) * CHUNK_BYTES, folder)?;
    let models = file.parent().context("a model without a folder")?;
    let mut command = engines
        .llama_cpp()
        .command("llama-perplexity", &[models], &[folder]);
    command
        .arg("-m")
        .arg(file)
        .arg("-f")
        .arg(text)
        .arg("--save-all-logits")
        .arg(logits);
    command.args([
        "-c",
        "512",
        "-b",
        "512",
        "--chunks",
        &options.chunks.to_string(),
        "-t",
        &options.threads.to_string(),
    ]);
    let said = in_front(&command)
        .output()
        .context("cannot start llama-perplexity")?;
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    printed(&said).with_context(|| format!("llama-perplexity said {said}"))
}

fn printed(said: &str) -> Option<f64> {
    let (_, rest) = said.split_once("Final estimate: PPL = ")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn probe(parts: &Parts, options: &Options, arguments: &[&str], file: &Path, in_f32: bool) -> Result<String> {
    let mut command = Command::new(parts.program("probe"));
    command.args(arguments).arg("-m").arg(file);
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        command.env(name, options.threads.to_string());
    }
    if in_f32 {
        command.env(IN_F32.0, IN_F32.1);
    }
    if options.instructions == Instructions::Avx2 {
        command.env("HEARTH_CPU", "avx2");
    }
    output(&mut in_front(&command))
}

fn partings<'a>(ours: &[Answer], theirs: impl Iterator<Item = &'a [u32]>) -> Vec<Parting> {
    let pairs = ours.iter().zip(theirs).enumerate();
    let parted = pairs.filter_map(|(prompt, (ours, theirs))| {
        let token = parting(&ours.tokens, theirs)?;
        Some(Parting {
            prompt,
            token,
            margin: ours.margins[token],
        })
    });
    parted.collect()
}

/// Whether a value is no more than a limit; what is not a number is not.
fn within<T: PartialOrd>(value: T, limit: T) -> bool {
    value <= limit
}

fn problems(verdict: &Verdict) -> Vec<String> {
    let mut problems = Vec::new();
    let Judgement {
        perplexity,
        llama_cpp_perplexity,
        from_candle,
        llama_cpp_from_candle,
        ..
    } = &verdict.judgement;
    let off = perplexity / llama_cpp_perplexity - 1.0;
    if !within(off.abs(), PERPLEXITY_LIMIT) {
        problems.push(format!("perplexity is {:+.2} % off llama.cpp's", 100.0 * off));
    }
    let allowed = (llama_cpp_from_candle.mean * DIVERGENCE_LIMIT).max(DIVERGENCE_FLOOR);
    if from_candle.positions > 0 && !within(from_candle.mean, allowed) {
        problems.push(format!(
            "divergence from f32 is {:.5}, and {allowed:.5} is allowed",
            from_candle.mean
        ));
    }
    for (peer, partings) in [
        ("candle", &verdict.partings_from_candle),
        ("llama.cpp", &verdict.partings_from_llama_cpp),
    ] {
        for Parting {
            prompt,
            token,
            margin,
        } in partings
            .iter()
            .filter(|parting| !within(parting.margin, MARGIN_LIMIT))
        {
            problems.push(format!(
                "answer {prompt} parts from {peer}'s at token {token}, which was sure by {margin:.2}"
            ));
        }
    }
    problems
}

/// The tables.
pub(crate) fn print(verdicts: &[Verdict]) {
    println!("\n## Quality: Wikipedia summaries, second half of each chunk of 512 tokens\n");
    let header = [
        "model",
        "perplexity",
        "llama.cpp's",
        "off",
        "KL from llama.cpp",
        "KL from f32",
        "llama.cpp's KL from f32",
        "same likeliest as f32",
        "answers as f32",
        "as llama.cpp",
    ];
    let rows: Vec<Vec<String>> = verdicts.iter().map(row).collect();
    println!("{}", table(&header, &rows));
    for verdict in verdicts {
        verdict
            .problems
            .iter()
            .for_each(|problem| println!("\nfailed: {}: {problem}", verdict.model));
    }
}

fn row(verdict: &Verdict) -> Vec<String> {
    let Judgement {
        perplexity,
        llama_cpp_perplexity,
        from_llama_cpp,
        from_candle,
        llama_cpp_from_candle,
    } = &verdict.judgement;
    let divergence = |divergence: &Divergence| match divergence.positions {
        0 => "–".to_owned(),
        _ => format!("{:.5} (largest {:.3})", divergence.mean, divergence.largest),
    };
    let same = |partings: &[Parting]| {
        let margins = partings.iter().map(|parting| parting.margin).fold(0.0, f32::max);
        let margin = if partings.is_empty() {
            String::new()
        } else {
            format!(", parted by {margins:.2} at most")
        };
        format!(
            "{} of {}{margin}",
            verdict.answers - partings.len(),
            verdict.answers
        )
    };
    vec![
        verdict.model.clone(),
        format!("{perplexity:.4}"),
        format!("{llama_cpp_perplexity:.4}"),
        format!("{:+.2} %", 100.0 * (perplexity / llama_cpp_perplexity - 1.0)),
        divergence(from_llama_cpp),
        divergence(from_candle),
        divergence(llama_cpp_from_candle),
        format!("{:.1} %", 100.0 * from_candle.same_likeliest),
        same(&verdict.partings_from_candle),
        same(&verdict.partings_from_llama_cpp),
    ]
}

/// An error that counts what is beyond a limit.
pub(crate) fn judge(verdicts: &[Verdict]) -> Result<()> {
    let problems: usize = verdicts.iter().map(|verdict| verdict.problems.len()).sum();
    if problems > 0 {
        bail!("{problems} findings of quality are beyond their limits");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(perplexity: f64, from_candle: f64, margin: f32) -> Verdict {
        let divergence = |mean| Divergence {
            positions: 255,
            mean,
            largest: mean,
            same_likeliest: 1.0,
        };
        Verdict {
            model: "m".to_owned(),
            printed_perplexity: 10.0,
            judgement: Judgement {
                perplexity,
                llama_cpp_perplexity: 10.0,
                from_llama_cpp: divergence(0.001),
                from_candle: divergence(from_candle),
                llama_cpp_from_candle: divergence(0.01),
            },
            answers: 6,
            partings_from_candle: Vec::new(),
            partings_from_llama_cpp: vec![Parting {
                prompt: 1,
                token: 3,
                margin,
            }],
            problems: Vec::new(),
        }
    }

    #[test]
    fn each_limit_is_one() {
        let count =
            |perplexity, from_candle, margin| problems(&verdict(perplexity, from_candle, margin)).len();
        assert_eq!(count(10.04, 0.012, 0.1), 0);
        assert_eq!(count(10.06, 0.012, 0.1), 1);
        assert_eq!(count(9.94, 0.012, 0.1), 1);
        assert_eq!(count(f64::NAN, 0.012, 0.1), 1);
        assert_eq!(count(10.0, 0.013, 0.1), 1);
        assert_eq!(count(10.0, f64::NAN, 0.1), 1);
        assert_eq!(count(10.0, 0.0, 0.6), 1);
        assert_eq!(count(10.0, 0.0, f32::NAN), 1);
    }

    #[test]
    fn the_words_of_llama_perplexity() {
        assert_eq!(
            printed("[1]9.5,\n0.12 I Final estimate: PPL = 11.4300 +/- 0.94853\n"),
            Some(11.43)
        );
        assert_eq!(printed("error"), None);
    }
}
