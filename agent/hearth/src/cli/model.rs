//! `hearth model` on the command line.

use super::id;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do with the models on the disk.
#[derive(Subcommand)]
pub(crate) enum ModelCommand {
    /// Send a model's GGUF file to the appliance, which packs it, checks it and keeps it
    ///
    /// The appliance needs twice the file's size of free disk while it packs. What is cut off while it is
    /// sent or packed leaves nothing behind. A split model may have 128 files. A single file that is sent over the network
    /// (--host) goes on where the line has broken, also when the same command is given again within an hour.
    #[command(after_help = "Examples:\n  hearth model add qwen3-4b-q4_k_m.gguf\n  \
        hearth model add --name coder qwen-coder-0000?-of-00002.gguf\n  \
        ssh admin@hearth.local hearth model add - --name coder < coder.gguf")]
    Add {
        /// A GGUF file, or all parts of a split one in their order; "-" is standard input
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// What the model is called [default: the file's name in lower case]
        #[arg(long, value_parser = name)]
        name: Option<String>,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the models on the disk: what they are, how large, and where they are from
    #[command(after_help = "Example:\n  hearth model list --json | jq '.models[].root'")]
    List {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a model: what it is, how large, where it is from, and what is set of it
    #[command(after_help = "Example:\n  hearth model show coder")]
    Show {
        /// The model
        #[arg(value_parser = name)]
        name: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Read all blocks of a model and compare their hashes; fails if one is damaged
    #[command(after_help = "Examples:\n  hearth model verify\n  hearth model verify coder")]
    Verify {
        /// The model [default: all of them]
        #[arg(value_parser = name)]
        name: Option<String>,
        /// Print what was found as JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a model be loaded again that was quarantined, for the engine failed five times in ten minutes with it
    #[command(after_help = "Example:\n  hearth model release coder")]
    Release {
        /// The model
        #[arg(value_parser = name)]
        name: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set how long a model stays loaded, how long its conversations may be, and which is loaded unasked
    ///
    /// It counts from the next request on, the context when the model is loaded next. One model at most is the default,
    /// which is loaded when the engine is started and nobody asks.
    #[command(
        after_help = "Examples:\n  hearth model set coder --keep-alive 30m --pin --default\n  \
        hearth model set coder --keep-alive usual --no-pin --context usual"
    )]
    Set {
        /// The model
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        change: Change,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Give up an upload that was broken off, which keeps others waiting; what has come of it is thrown away
    #[command(after_help = "Example:\n  hearth model give-up 9f00c1d2e3a4")]
    GiveUp {
        /// Its id, as the refusal of another names it
        #[arg(value_parser = id)]
        id: String,
        /// Print the outcome as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a model that was added; what it is answering it answers to the end
    #[command(after_help = "Example:\n  hearth model remove coder")]
    Remove {
        /// The model
        #[arg(value_parser = name)]
        name: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The name becomes part of a path, and models are called by what a path may hold.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(sound) {
        return Err("a model's name has letters, digits, \".\", \"_\" and \"-\"".to_owned());
    }
    Ok(text.to_owned())
}

/// What to set of a model; what is not said stays.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Change {
    /// How long it stays loaded after an answer, as 30s, 5m or 1h30m; 0: it goes at once, -1: it stays for ever, "usual":
    /// as long as any
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) keep_alive: Option<String>,
    /// Never park it for want of requests
    #[arg(long, overrides_with = "no_pin")]
    pub(crate) pin: bool,
    /// Park it as any
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// Most tokens of a conversation with it; "usual": as many as with any
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    pub(crate) context: Option<Tokens>,
    /// Load it when the engine is started and nobody asks, in place of the one that is now
    #[arg(long, overrides_with = "no_default")]
    pub(crate) default: bool,
    /// Do so no longer
    #[arg(long)]
    pub(crate) no_default: bool,
}

/// A number of tokens, or none of its own.
#[derive(Clone, Copy)]
pub(crate) struct Tokens(pub(crate) Option<u32>);

fn tokens(text: &str) -> Result<Tokens, String> {
    match text {
        "usual" => Ok(Tokens(None)),
        number => number
            .parse()
            .map(|tokens| Tokens(Some(tokens)))
            .map_err(|_| "it is a number of tokens, or \"usual\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        assert_eq!(name("qwen2.5_x-1").as_deref(), Ok("qwen2.5_x-1"));
        for wrong in ["", "..", "a/b", "a?b", "-x", "größe", "a b"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
