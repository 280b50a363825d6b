//! `hearth system` and `hearth job` on the command line.

use super::id;
use clap::{Args, Subcommand};

/// What to do with the machine.
#[derive(Subcommand)]
pub(crate) enum SystemCommand {
    /// Show what the machine is and what runs on it
    #[command(after_help = "Example:\n  hearth system show --json | jq -r .kernel")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Restart the machine in order
    #[command(after_help = "Examples:\n  hearth system reboot\n  hearth system reboot --confirm hearth")]
    Reboot(Confirmed),
    /// Power the machine off in order
    #[command(
        after_help = "Examples:\n  hearth system power-off\n  hearth system power-off --confirm hearth"
    )]
    PowerOff(Confirmed),
    /// Make the machine new: all that was set, added and said on it is erased
    ///
    /// Tokens, SSH keys, certificates, added models, conversations and the journal go, and from CONFIG hearth.toml,
    /// authorized_keys and token-hashes: the network is DHCP by cable again. A new first token is shown on the console.
    #[command(after_help = "Example:\n  hearth system factory-reset --confirm hearth")]
    FactoryReset(Confirmed),
}

/// That this machine is meant.
#[derive(Args)]
pub(crate) struct Confirmed {
    /// The name of the machine that is meant [default: it is asked for]
    #[arg(long = "confirm", value_name = "HOST NAME")]
    pub(crate) name: Option<String>,
    /// Print the outcome as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with long work.
#[derive(Subcommand)]
pub(crate) enum JobCommand {
    /// List the jobs that go on, and those that have ended lately
    #[command(
        after_help = "Example:\n  hearth job list --json | jq '.jobs[] | select(.state == \"failed\")'"
    )]
    List {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a job
    #[command(after_help = "Example:\n  hearth job show 4c1d")]
    Show {
        /// Its id, from "hearth job list"
        #[arg(value_parser = id)]
        id: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Wait for a job's end; fails if the job does
    #[command(after_help = "Example:\n  hearth job wait 4c1d && echo done")]
    Wait {
        /// Its id, from "hearth job list"
        #[arg(value_parser = id)]
        id: String,
        /// Print the job as JSON when it has ended
        #[arg(long)]
        json: bool,
    },
    /// End a job before its time; what it has done is undone
    #[command(after_help = "Example:\n  hearth job cancel 4c1d")]
    Cancel {
        /// Its id, from "hearth job list"
        #[arg(value_parser = id)]
        id: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}
