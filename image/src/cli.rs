//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use image::{Options, Paths, Progress};

use crate::flash_command;

const EXAMPLES: &str = "\
Examples:
  image setup                 install what building and testing needs, and download the model
  image build --compress      build hearth.raw, and hearth.raw.zst beside it
  image flash /dev/sdb        build if needed, write to the disk, check it, print the token
  truncate -s 16G disk.raw && image flash disk.raw --yes
                              the same into a file that stands for a disk";

/// Sets up a machine for building, builds Hearth's disk image and flashes it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the packages, make the tools tree and fetch the model that builds and tests need.
    Setup,
    /// Build the disk image, unless it is up to date.
    Build(BuildArguments),
    /// Write the image to a disk, or to a file that stands for one. Everything on it is lost.
    Flash(flash_command::FlashArguments),
    /// Print where a thing is, fetched or made if it is not there yet.
    Path {
        #[arg(value_enum)]
        what: What,
    },
}

#[derive(Debug, Args)]
struct BuildArguments {
    /// The folder for the result, in place of ~/.cache/hearth/image.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Make hearth.raw.zst too.
    #[arg(long)]
    compress: bool,
    /// Build even if nothing has changed, with Debian's newest packages.
    #[arg(long)]
    fresh: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// The disk image.
    Image,
    /// The default model.
    Model,
}

/// Carries out one command.
pub(crate) fn run(arguments: Arguments, progress: Progress<'_>) -> Result<()> {
    let paths = Paths::discover();
    match arguments.command {
        Command::Setup => image::ensure_setup(&paths, progress)?,
        Command::Build(arguments) => build(&arguments, &paths, progress)?,
        Command::Flash(arguments) => flash_command::run(&arguments, &paths, progress)?,
        Command::Path { what: What::Image } => {
            println!("{}", image::ensure_image(&paths, progress)?.display())
        }
        Command::Path { what: What::Model } => {
            println!("{}", image::ensure_model(&paths, progress)?.display())
        }
    }
    Ok(())
}

fn build(arguments: &BuildArguments, paths: &Paths, progress: Progress<'_>) -> Result<()> {
    let options = Options {
        output: arguments.output.clone(),
        compress: arguments.compress,
        fresh: arguments.fresh,
    };
    let built = image::build(&options, paths, progress)?;
    if arguments.json {
        println!("{}", as_json(&built));
        return Ok(());
    }
    let how = if built.reused { "up to date" } else { "built" };
    println!("{} ({how})", built.raw.display());
    println!(
        "  {} MB, of which {} MB are on this disk",
        megabytes(built.apparent),
        megabytes(built.allocated)
    );
    if let Some((path, size)) = &built.compressed {
        println!("{}\n  {} MB", path.display(), megabytes(*size));
    }
    Ok(())
}

fn as_json(built: &image::Built) -> serde_json::Value {
    serde_json::json!({
        "raw": built.raw,
        "raw_bytes": built.apparent,
        "raw_allocated_bytes": built.allocated,
        "compressed": built.compressed.as_ref().map(|(path, _)| path),
        "compressed_bytes": built.compressed.as_ref().map(|(_, size)| size),
        "reused": built.reused,
    })
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
