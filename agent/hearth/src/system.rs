//! `hearth system`: restarting the machine, powering it off, making it new.

use crate::{
    cli::SystemCommand,
    client::{Client, json_payload},
    screen,
};
use anyhow::Context;
use api::system::Confirmation;
use clap::{CommandFactory, error::ErrorKind};
use hyper::Method;
use serde_json::json;
use std::io::{self, IsTerminal, Write};

/// Asks which machine is meant, if it was not said: before there is a runtime, which would take Ctrl-C to itself.
pub(crate) fn open(command: &mut SystemCommand) -> anyhow::Result<()> {
    let what = named(command).1;
    let confirmed = command.confirmed();
    if confirmed.name.is_some() {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let missing = "which machine is meant? Give its name with --confirm";
        crate::cli::Cli::command()
            .error(ErrorKind::MissingRequiredArgument, missing)
            .exit()
    }
    anstream::eprint!("The machine is {what}. Its host name, to confirm: ");
    io::stderr().flush()?;
    let mut name = String::new();
    io::stdin()
        .read_line(&mut name)
        .context("cannot read the host's name")?;
    confirmed.name = Some(name.trim().to_owned());
    Ok(())
}

/// What it is called on the line, and what it does.
fn named(command: &SystemCommand) -> (&'static str, &'static str) {
    match command {
        SystemCommand::Reboot(_) => ("reboot", "restarted"),
        SystemCommand::PowerOff(_) => ("power-off", "powered off"),
        SystemCommand::FactoryReset(_) => ("factory-reset", "made as it was when it was new"),
    }
}

/// Does it.
pub(crate) async fn system(client: &Client, mut command: SystemCommand) -> anyhow::Result<()> {
    let (name, what) = named(&command);
    let confirmed = command.confirmed();
    let body = Confirmation {
        confirm: confirmed.name.take().unwrap_or_default(),
    };
    let body = json_payload(serde_json::to_vec(&body)?);
    let path = format!("/api/v1/system/{name}");
    client.call(Method::POST, &path, &[], Some(body)).await?;
    if confirmed.json {
        return screen::json(&json!({"begun": name}));
    }
    Ok(screen::print(&format!("the machine is being {what}\n"))?)
}
