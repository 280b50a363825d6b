//! `hearth engine` on the command line.

use clap::{Args, Subcommand, ValueEnum};
use machine::Bytes;
use std::collections::BTreeSet;

/// What to do with the engine.
#[derive(Subcommand)]
pub(crate) enum EngineCommand {
    /// Show what the engine does, how its unit fares, and whether it is held stopped
    #[command(after_help = "Example:\n  hearth engine show --json | jq .unit")]
    Show {
        /// Print what the gateway tells of it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Load a model before anybody asks it, and wait until it is there
    #[command(
        after_help = "Examples:\n  hearth engine load coder\n  hearth engine load coder --keep-alive 2h"
    )]
    Load {
        /// The model
        #[arg(value_name = "MODEL")]
        model: String,
        /// How long it is to stay loaded if nobody asks it, as 30s, 5m or 1h30m; -1: for ever [default: 5m]
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        keep_alive: Option<String>,
        /// Print the job as JSON when it has ended
        #[arg(long)]
        json: bool,
    },
    /// Let go of the model that is loaded, and wait until it is gone
    #[command(after_help = "Example:\n  hearth engine unload")]
    Unload {
        /// Print the job as JSON when it has ended
        #[arg(long)]
        json: bool,
    },
    /// Start the engine, and end the hold if it was stopped
    #[command(after_help = "Example:\n  hearth engine start")]
    Start {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop the engine and keep it so, over restarts too, until it is started; requests are refused meanwhile
    ///
    /// Answers that are being given may end for up to 10 s, and conversations are then written to disk for up to 10 s. An
    /// engine that has not ended after 25 s is killed, and one that heat stops meanwhile after 3 s.
    #[command(after_help = "Example:\n  hearth engine stop")]
    Stop {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Start the engine anew
    #[command(after_help = "Example:\n  hearth engine restart")]
    Restart {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the engine's unit may have: set by an administrator, in force, and by itself
    #[command(after_help = "Example:\n  hearth engine limits --json | jq .in_force")]
    Limits {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Limit what the engine may have; what is not named stays as it is, and it is kept over restarts
    ///
    /// An engine that runs is held to it at once. How many conversations fit the memory it asks at each load of a model,
    /// and how many processors there are for it when it starts: "hearth engine restart" has it look again at both.
    #[command(
        after_help = "Examples:\n  hearth engine limit --memory-high 2.5G --memory-max 3G\n  \
        hearth engine limit --cpu-weight 50 --cpus 0-3\n  hearth engine limit --reset cpus\n  \
        hearth engine limit --reset"
    )]
    Limit {
        #[command(flatten)]
        change: LimitChange,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to limit; what is not said stays.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct LimitChange {
    /// Above so much memory the kernel takes some back and slows the engine down, as 800M or 2.5G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_high: Option<Bytes>,
    /// Above so much memory the kernel ends the engine
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_max: Option<Bytes>,
    /// Its share of the processors where others want them, too; who has none has 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) cpu_weight: Option<u32>,
    /// Processors that it may run on, as 0-3 or 0,2,4
    #[arg(long, value_name = "LIST", value_parser = processors)]
    pub(crate) cpus: Option<Processors>,
    /// Let --memory-max be more than the unit's own, which keeps the rest of the appliance alive
    #[arg(long, requires = "memory_max")]
    pub(crate) beyond_unit: bool,
    /// Go back to what the unit has by itself, of one limit or of all; what else is named is set
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    pub(crate) reset: Option<Option<LimitName>>,
}

/// A limit's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LimitName {
    MemoryHigh,
    MemoryMax,
    CpuWeight,
    Cpus,
}

/// A size with K, M, G or T, each 1024 times the one before it, or in bytes.
fn size(text: &str) -> Result<Bytes, String> {
    let wrong =
        || "a number with K, M, G or T after it is wanted, as 800M or 2.5G, or one of bytes".to_owned();
    let power = text
        .chars()
        .last()
        .and_then(|last| "KMGT".find(last.to_ascii_uppercase()));
    let number = if power.is_some() {
        &text[..text.len() - 1]
    } else {
        text
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = power.map_or(1, |power| 1_u64 << (10 * (power + 1)));
    Ok(Bytes((number * unit as f64) as u64))
}

/// A list of processors, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Processors(pub(crate) Vec<u32>);

/// The kernel numbers processors up to `CONFIG_NR_CPUS`, 8192 at most on x86.
const MOST_PROCESSORS: u32 = 8192;

/// A list as the kernel writes it: `0-3,8`.
fn processors(text: &str) -> Result<Processors, String> {
    let mut all = BTreeSet::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|number| *number < MOST_PROCESSORS)
        };
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => all.extend(first..=last),
            _ => return Err("a list of processors is wanted, as 0-3 or 0,2,4".to_owned()),
        }
    }
    Ok(Processors(all.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_lists_of_processors_are_read_as_systemd_reads_them() {
        assert_eq!(size("2.5G"), Ok(Bytes(5 << 29)));
        assert_eq!(size("800m"), Ok(Bytes(800 << 20)));
        assert_eq!(size("4096"), Ok(Bytes(4096)));
        for wrong in ["", "G", "-1G", "1e9", "inf", "3GB", "3 G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(processors("4,0-2,1"), Ok(Processors(vec![0, 1, 2, 4])));
        for wrong in ["", "0-", "3-1", "all", "0,,1", "-1", "0-4294967295"] {
            assert!(processors(wrong).is_err(), "{wrong}");
        }
    }
}
