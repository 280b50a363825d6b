//! `hearth network` and `hearth time` on the command line.

use super::Switch;
use clap::{Args, Subcommand};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What to do with the network.
#[derive(Subcommand)]
pub(crate) enum NetworkCommand {
    /// Show the host's name, how its address is found, and what is on trial
    #[command(after_help = "Example:\n  hearth network show --json | jq -r .hostname")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Change the network on trial: what was before comes back after two minutes, unless it is confirmed
    ///
    /// What is not named stays. The answer comes before the change, whereupon the connection may break: come back by the new
    /// address and confirm.
    #[command(
        after_help = "Examples:\n  hearth network set --hostname kitchen\n  hearth network set --dhcp\n  \
        hearth network set --address 192.168.1.20/24 --gateway 192.168.1.1 --dns 192.168.1.1\n  \
        hearth network set --wifi home --password-file - < password"
    )]
    Set {
        #[command(flatten)]
        wish: NetworkWish,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep the network that is on trial
    #[command(after_help = "Example:\n  ssh admin@192.168.1.20 hearth network confirm")]
    Confirm {
        /// Print how the machine is reached then as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to change of the network; what is not said stays.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct NetworkWish {
    /// The name in the network, found as NAME.local
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// Take the IPv4 address that the network gives
    #[arg(long, conflicts_with = "address")]
    pub(crate) dhcp: bool,
    /// A fixed IPv4 address with its prefix, as 192.168.1.20/24
    #[arg(long, value_name = "ADDRESS/PREFIX")]
    pub(crate) address: Option<String>,
    /// The router of a fixed address
    #[arg(long, value_name = "ADDRESS", requires = "address")]
    pub(crate) gateway: Option<Ipv4Addr>,
    /// A server that resolves names, for a fixed address; may be given several times
    #[arg(long, value_name = "ADDRESS", requires = "address")]
    pub(crate) dns: Vec<IpAddr>,
    /// Join a Wi-Fi network
    #[arg(long, value_name = "SSID")]
    pub(crate) wifi: Option<String>,
    /// A file with its password in one line; "-" is standard input [default: the one that is known of this network]
    #[arg(long, value_name = "FILE", requires = "wifi")]
    pub(crate) password_file: Option<PathBuf>,
    /// Leave the Wi-Fi network
    #[arg(long, conflicts_with = "wifi")]
    pub(crate) no_wifi: bool,
    /// What the file holds. It is not an option, as anybody may read a process's arguments.
    #[arg(skip)]
    pub(crate) password: Option<String>,
}

/// What to do with the clock.
#[derive(Subcommand)]
pub(crate) enum TimeCommand {
    /// Show what the clock shows, its time zone, and whether it is kept right
    #[command(after_help = "Example:\n  hearth time show --json | jq .synchronised")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set the time zone, and whether the clock is set over the network
    #[command(after_help = "Examples:\n  hearth time set Europe/Berlin\n  hearth time set UTC --ntp on")]
    Set {
        /// The time zone, as Europe/Berlin
        #[arg(value_name = "ZONE")]
        zone: String,
        /// Whether the clock is set over the network [default: as it is]
        #[arg(long)]
        ntp: Option<Switch>,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}
