//! `hearthd sample` and `hearthd capabilities`: one look at any tree.

use crate::cli::ShowOptions;
use crate::clock::boot_time;
use crate::daemon::watched;
use crate::screen;
use anyhow::Context;
use linux::{Sampler, Tree};
use std::io::{self, Write};

pub(crate) fn sample(options: &ShowOptions) -> anyhow::Result<()> {
    let sampler = Sampler::new(Tree::open(&options.root)?, watched());
    let sample = sampler.sample(boot_time()?);
    print(options, &sample, |out| screen::sample(out, &sample))
}

pub(crate) fn capabilities(options: &ShowOptions) -> anyhow::Result<()> {
    let found = linux::discover(&Tree::open(&options.root)?);
    print(options, &found, |out| screen::capabilities(out, &found))
}

fn print(
    options: &ShowOptions,
    value: &impl serde::Serialize,
    screen: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = if options.json {
        serde_json::to_writer_pretty(&mut out, value)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        screen(&mut out)
    };
    match written {
        // `hearthd sample | head`: the reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}
