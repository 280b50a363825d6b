//! What is asked of quality, whether it is met, and the tables.

use ::tests::report::table;
use anyhow::{Result, bail};
use peers::answers::{Answer, parting};
use peers::divergence::Divergence;
use serde::{Deserialize, Serialize};

/// How far perplexities may be from one another on the same tokens.
const PERPLEXITY_LIMIT: f64 = 0.005;
/// How far the perplexity of llama.cpp's saved log-probabilities may be from the one that it prints: they are rounded,
/// and candle's stand for those that were not saved. More means that other tokens were scored.
const SAVED_LIMIT: f64 = 0.002;
/// Divergence from candle's f32 that is allowed beside llama.cpp's own: both round activations to 8 bits, differently.
const DIVERGENCE_LIMIT: f64 = 1.25;
/// The least divergence that counts: below it are the steps of llama.cpp's saved log-probabilities.
const DIVERGENCE_FLOOR: f64 = 1e-3;
/// How sure a token may be where answers part, as a difference of logits: more than rounding can turn is a mistake.
const MARGIN_LIMIT: f32 = 0.5;

/// What `probe judge` says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Judgement {
    perplexity: f64,
    /// candle's in f32.
    candle_perplexity: f64,
    /// Of llama.cpp's saved log-probabilities, with candle's for those tokens that came and were not saved.
    saved_perplexity: f64,
    /// How many those are.
    not_saved: usize,
    /// Standard errors of the ratios of ours to the others', token by token.
    off_llama_cpp_error: f64,
    off_candle_error: f64,
    from_llama_cpp: Divergence,
    from_candle: Divergence,
    llama_cpp_from_candle: Divergence,
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
    /// As llama-perplexity itself printed it: the one that counts.
    llama_cpp_perplexity: f64,
    judgement: Judgement,
    /// Whether the perplexity is within the limit of llama.cpp's, above it or below.
    within_of_llama_cpp: bool,
    answers: usize,
    partings_from_candle: Vec<Parting>,
    partings_from_llama_cpp: Vec<Parting>,
    /// What is beyond a limit.
    problems: Vec<String>,
}

impl Verdict {
    /// Of perplexities, of divergences, and of everyone's answers to the same prompts.
    pub(super) fn new(
        model: &str,
        llama_cpp_perplexity: f64,
        judgement: Judgement,
        ours: &[Answer],
        candles: &[Answer],
        llama_cpps: &[Vec<u32>],
    ) -> Self {
        let mut verdict = Self {
            model: model.to_owned(),
            llama_cpp_perplexity,
            judgement,
            within_of_llama_cpp: false,
            answers: ours.len(),
            partings_from_candle: partings(ours, candles.iter().map(|answer| &answer.tokens[..])),
            partings_from_llama_cpp: partings(ours, llama_cpps.iter().map(Vec::as_slice)),
            problems: Vec::new(),
        };
        verdict.within_of_llama_cpp = within(verdict.off_llama_cpp().abs(), PERPLEXITY_LIMIT);
        verdict.problems = verdict.problems();
        verdict
    }

    fn off_llama_cpp(&self) -> f64 {
        self.judgement.perplexity / self.llama_cpp_perplexity - 1.0
    }

    fn off_candle(&self) -> f64 {
        self.judgement.perplexity / self.judgement.candle_perplexity - 1.0
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.perplexity_problems();
        let Judgement {
            from_candle,
            llama_cpp_from_candle,
            ..
        } = &self.judgement;
        let allowed = (llama_cpp_from_candle.mean * DIVERGENCE_LIMIT).max(DIVERGENCE_FLOOR);
        if !within(from_candle.mean, allowed) {
            problems.push(format!(
                "divergence from f32 is {:.5}, and {allowed:.5} is allowed",
                from_candle.mean
            ));
        }
        problems.extend(parting_problems("candle", &self.partings_from_candle));
        problems.extend(parting_problems("llama.cpp", &self.partings_from_llama_cpp));
        problems
    }

    fn perplexity_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let saved = self.judgement.saved_perplexity;
        if !within((saved / self.llama_cpp_perplexity - 1.0).abs(), SAVED_LIMIT) {
            problems.push(format!(
                "llama.cpp's saved log-probabilities have a perplexity of {saved:.4}, and it prints {:.4}: these are other tokens",
                self.llama_cpp_perplexity
            ));
        }
        if !self.within_of_llama_cpp {
            problems.push(format!(
                "perplexity is {} llama.cpp's, and {} either way is allowed; it is {} f32's",
                percent(self.off_llama_cpp()),
                limit(),
                percent(self.off_candle())
            ));
        }
        problems
    }

    fn row(&self) -> Vec<String> {
        let Judgement {
            perplexity,
            candle_perplexity,
            from_llama_cpp,
            from_candle,
            llama_cpp_from_candle,
            ..
        } = &self.judgement;
        let divergence =
            |divergence: &Divergence| format!("{:.5} (largest {:.3})", divergence.mean, divergence.largest);
        vec![
            self.model.clone(),
            from_candle.positions.to_string(),
            format!("{perplexity:.4}"),
            format!("{:.4}", self.llama_cpp_perplexity),
            format!("{candle_perplexity:.4}"),
            divergence(from_llama_cpp),
            divergence(from_candle),
            divergence(llama_cpp_from_candle),
            format!("{:.1} %", 100.0 * from_candle.same_likeliest),
            format!("{:.1} %", 100.0 * llama_cpp_from_candle.same_likeliest),
            self.same(&self.partings_from_candle),
            self.same(&self.partings_from_llama_cpp),
        ]
    }

    fn same(&self, partings: &[Parting]) -> String {
        let margins = partings.iter().map(|parting| parting.margin).fold(0.0, f32::max);
        let margin = if partings.is_empty() {
            String::new()
        } else {
            format!(", parted by {margins:.2} at most")
        };
        format!("{} of {}{margin}", self.answers - partings.len(), self.answers)
    }

    /// What is asked of perplexity, and whether it is met.
    fn words(&self) -> String {
        let Judgement {
            candle_perplexity,
            saved_perplexity,
            not_saved,
            off_llama_cpp_error,
            off_candle_error,
            ..
        } = self.judgement;
        format!(
            "{}: perplexity is {} ± {:.2} llama.cpp's and {} ± {:.2} f32's; llama.cpp's is {} f32's. \
             By what llama.cpp saved it would be {saved_perplexity:.4}, with f32's for {not_saved} tokens too unlikely to be saved.\n\
             Asked, within {limit} of llama.cpp's: {}.",
            self.model,
            percent(self.off_llama_cpp()),
            100.0 * off_llama_cpp_error,
            percent(self.off_candle()),
            100.0 * off_candle_error,
            percent(self.llama_cpp_perplexity / candle_perplexity - 1.0),
            if self.within_of_llama_cpp {
                "met"
            } else {
                "not met"
            },
            limit = limit(),
        )
    }
}

fn limit() -> String {
    format!("{:.1} %", 100.0 * PERPLEXITY_LIMIT)
}

/// A share with its sign.
fn percent(share: f64) -> String {
    format!("{:+.2} %", 100.0 * share)
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

fn parting_problems(peer: &str, partings: &[Parting]) -> Vec<String> {
    let beyond = partings
        .iter()
        .filter(|parting| !within(parting.margin, MARGIN_LIMIT));
    let problem = |parting: &Parting| {
        format!(
            "answer {} parts from {peer}'s at token {}, which was sure by {:.2}",
            parting.prompt, parting.token, parting.margin
        )
    };
    beyond.map(problem).collect()
}

/// Whether a value is no more than a limit; what is not a number is not.
fn within<T: PartialOrd>(value: T, limit: T) -> bool {
    value <= limit
}

/// The tables.
pub(crate) fn print(verdicts: &[Verdict]) {
    println!("\n## Quality: Wikipedia summaries, second half of each chunk of 512 tokens\n");
    let header = [
        "model",
        "tokens",
        "perplexity",
        "llama.cpp's",
        "f32's",
        "KL from llama.cpp",
        "KL from f32",
        "llama.cpp's KL from f32",
        "same likeliest as f32",
        "llama.cpp's",
        "answers as f32",
        "as llama.cpp",
    ];
    let rows: Vec<Vec<String>> = verdicts.iter().map(Verdict::row).collect();
    println!("{}", table(&header, &rows));
    println!(
        "\nf32: candle. llama.cpp's perplexity is the one that it prints. ±: standard error of the ratio."
    );
    for verdict in verdicts {
        println!("\n{}", verdict.words());
        for problem in &verdict.problems {
            println!("\nfailed: {}: {problem}", verdict.model);
        }
    }
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

    fn answer(tokens: &[u32], margin: f32) -> Answer {
        Answer {
            prompt: vec![1],
            tokens: tokens.to_vec(),
            margins: vec![margin; tokens.len()],
        }
    }

    /// llama.cpp's perplexity is 10, candle's 9.8; the answers part at the second token.
    fn verdict(perplexity: f64, from_candle: f64, margin: f32) -> Verdict {
        let divergence = |mean| Divergence {
            positions: 255,
            mean,
            largest: mean,
            same_likeliest: 1.0,
        };
        let judgement = Judgement {
            perplexity,
            candle_perplexity: 9.8,
            saved_perplexity: 10.01,
            not_saved: 1,
            off_llama_cpp_error: 0.001,
            off_candle_error: 0.001,
            from_llama_cpp: divergence(0.001),
            from_candle: divergence(from_candle),
            llama_cpp_from_candle: divergence(0.01),
        };
        let ours = [answer(&[4, 5], margin)];
        Verdict::new("m", 10.0, judgement, &ours, &ours, &[vec![4, 6]])
    }

    #[test]
    fn each_limit_is_one() {
        let count = |perplexity, from_candle, margin| verdict(perplexity, from_candle, margin).problems.len();
        assert_eq!(count(10.04, 0.012, 0.1), 0);
        assert_eq!(count(10.06, 0.012, 0.1), 1);
        assert_eq!(count(f64::NAN, 0.012, 0.1), 1);
        assert_eq!(count(10.0, 0.013, 0.1), 1);
        assert_eq!(count(10.0, f64::NAN, 0.1), 1);
        assert_eq!(count(10.0, 0.0, 0.6), 1);
        assert_eq!(count(10.0, 0.0, f32::NAN), 1);
    }

    #[test]
    fn better_than_llama_cpp_is_as_far_off_as_worse() {
        let near_f32 = verdict(9.81, 0.0, 0.0);
        assert_eq!(near_f32.problems.len(), 1, "{:?}", near_f32.problems);
        assert!(near_f32.words().ends_with("of llama.cpp's: not met."));
        let near_both = verdict(9.96, 0.0, 0.0);
        assert_eq!(near_both.problems, [""; 0]);
        assert!(near_both.words().ends_with("of llama.cpp's: met."));
    }

    #[test]
    fn perplexities_of_other_tokens_are_not_compared() {
        let mut other = verdict(10.0, 0.0, 0.0);
        other.judgement.saved_perplexity = 10.03;
        assert_eq!(other.problems().len(), 1);
    }
}
