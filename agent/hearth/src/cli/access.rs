//! `hearth tls` and `hearth token` on the command line.

use super::id;
use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// What to do with the certificate.
#[derive(Subcommand)]
pub(crate) enum TlsCommand {
    /// Show the fingerprint to compare, and what the certificate says
    #[command(after_help = "Example:\n  hearth tls show --json | jq -r .fingerprint")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the certificate of the appliance's own authority in PEM, for --ca and for browsers to trust
    #[command(after_help = "Example:\n  hearth tls authority > hearth-ca.crt")]
    Authority {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Serve your own certificate in place of the one that the appliance has made
    ///
    /// Browsers are then told to come by TLS only, for half a year.
    #[command(after_help = "Example:\n  hearth tls install fullchain.pem privkey.pem")]
    Install {
        /// The certificate, then those by which it leads to its authority, in PEM
        certificate: PathBuf,
        /// Its private key in PEM, not encrypted
        key: PathBuf,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove your own certificate and its key; the appliance's is served again
    #[command(after_help = "Example:\n  hearth tls remove")]
    Remove {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Have port 80 answer programs that can take no certificate, from private addresses; who listens can read all of it
    #[command(after_help = "Example:\n  hearth tls plain-http off")]
    PlainHttp {
        /// Whether it does
        state: Switch,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// On
    On,
    /// Off
    Off,
}

/// What to do with tokens.
#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it; its text is told only now
    #[command(after_help = "Example:\n  hearth token new laptop --role chat")]
    New {
        /// Whose or what for
        name: String,
        /// What it may do: each role may do what those before it may
        #[arg(long, value_enum, default_value_t = RoleName::Chat)]
        role: RoleName,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens
    #[command(after_help = "Example:\n  hearth token list --json | jq -r '.tokens[].name'")]
    List {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a token: its name, what it may do and since when; never its text
    #[command(after_help = "Example:\n  hearth token show 5b1f0c2a9d3e")]
    Show {
        /// Its id, from "hearth token list"
        #[arg(value_parser = id)]
        id: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a token invalid at once
    #[command(after_help = "Example:\n  hearth token revoke 5b1f0c2a9d3e")]
    Revoke {
        /// Its id, from "hearth token list"
        #[arg(value_parser = id)]
        id: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleName {
    /// Look at the appliance's state
    Read,
    /// Ask models
    Chat,
    /// Change things
    Admin,
}
