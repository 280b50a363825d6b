//! `hearth power` and `hearth thermal` on the command line.

use crate::span;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use machine::{MilliCelsius, PowerProfile};
use std::time::Duration;

/// What to do with power.
#[derive(Subcommand)]
pub(crate) enum PowerCommand {
    /// Show the profile, its holds and the clocks
    #[command(after_help = "Example:\n  hearth power show --json | jq .effective_profile")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Choose a profile; it ends all holds and is kept over restarts
    #[command(after_help = "Example:\n  hearth power set balanced")]
    Set {
        /// Frugal and quiet, following the engine, or fast
        #[arg(value_parser = profile_of(["power-saver", "balanced", "performance"]))]
        profile: PowerProfile,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold a profile for a while, whatever is chosen
    #[command(after_help = "Of several holds the most frugal counts.\n\nExamples:\n  \
        hearth power hold performance --reason \"nightly build\" --for 2h\n  \
        hearth power hold power-saver --reason \"guests sleep here\"")]
    Hold {
        /// Frugal and quiet, or fast
        #[arg(value_parser = profile_of(["power-saver", "performance"]))]
        profile: PowerProfile,
        /// Why, for others who wonder
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// How long, such as 45m, 2h or 1d12h [default: until it is released or hearthd restarts]
        #[arg(long = "for", value_name = "SPAN", value_parser = span::parse)]
        span: Option<Duration>,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// End a hold
    #[command(after_help = "Example:\n  hearth power release 3")]
    Release {
        /// Its number, from "hearth power"
        #[arg(value_name = "HOLD")]
        id: u32,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

fn profile_of<const N: usize>(names: [&'static str; N]) -> impl TypedValueParser<Value = PowerProfile> {
    PossibleValuesParser::new(names).try_map(|name| name.parse::<PowerProfile>())
}

/// What to do with heat.
#[derive(Subcommand)]
pub(crate) enum ThermalCommand {
    /// Show temperatures, the target and the last steps against heat
    #[command(after_help = "Example:\n  hearth thermal show --json | jq .sensors")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set the temperature to hold; it is kept over restarts
    #[command(after_help = "Example:\n  hearth thermal set 72.5")]
    Set {
        /// In degrees Celsius; 30 to 95, and below what the firmware calls critical
        #[arg(value_name = "CELSIUS", value_parser = celsius, allow_negative_numbers = true)]
        target: MilliCelsius,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold the firmware profile's temperature again
    #[command(after_help = "Example:\n  hearth thermal reset")]
    Reset {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

fn celsius(text: &str) -> Result<MilliCelsius, String> {
    let degrees: f64 = text
        .parse()
        .map_err(|_| "degrees Celsius are wanted, such as 70 or 72.5".to_owned())?;
    let target = MilliCelsius((degrees * 1000.0).round() as i64);
    if degrees.is_finite() && target.is_plausible() {
        Ok(target)
    } else {
        Err("no processor can be held at that; 30 to 95 are allowed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_become_thousandths() {
        assert_eq!(celsius("72.5"), Ok(MilliCelsius(72_500)));
        for wrong in ["warm", "NaN", "1e300", "-41", "72500"] {
            assert!(celsius(wrong).is_err(), "{wrong}");
        }
    }
}
