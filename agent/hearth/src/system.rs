//! `hearth system`: what the machine is, restarting the machine, powering it off, making it new.

use crate::{
    cli::{Confirmed, SystemCommand},
    client::{Client, json_payload},
    screen::{self, line},
};
use anyhow::Context;
use api::system::{Confirmation, System};
use clap::{CommandFactory, error::ErrorKind};
use hyper::Method;
use serde_json::json;
use std::io::{self, IsTerminal, Write};

/// Where the machine is on the line.
const SYSTEM: &str = "/api/v1/system";

/// What ends the machine, for a while or for good.
struct Order {
    /// What it is called on the line.
    name: &'static str,
    /// What the machine then is.
    what: &'static str,
}

const REBOOT: Order = Order {
    name: "reboot",
    what: "restarted",
};
const POWER_OFF: Order = Order {
    name: "power-off",
    what: "powered off",
};
const FACTORY_RESET: Order = Order {
    name: "factory-reset",
    what: "made new, and all that was set, added and said on it erased, on CONFIG too",
};

/// Asks which machine is meant, if it was not said: before there is a runtime, which would take Ctrl-C to itself.
pub(crate) fn open(command: &mut SystemCommand) -> anyhow::Result<()> {
    match command {
        SystemCommand::Show { .. } => Ok(()),
        SystemCommand::Reboot(confirmed) => ask(&REBOOT, confirmed),
        SystemCommand::PowerOff(confirmed) => ask(&POWER_OFF, confirmed),
        SystemCommand::FactoryReset(confirmed) => ask(&FACTORY_RESET, confirmed),
    }
}

fn ask(order: &Order, confirmed: &mut Confirmed) -> anyhow::Result<()> {
    if confirmed.name.is_some() {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let missing = "which machine is meant? Give its name with --confirm";
        crate::cli::Cli::command()
            .error(ErrorKind::MissingRequiredArgument, missing)
            .exit()
    }
    write!(
        anstream::stderr(),
        "The machine is {}. Its host name, to confirm: ",
        order.what
    )?;
    io::stderr().flush()?;
    let mut name = String::new();
    io::stdin()
        .read_line(&mut name)
        .context("cannot read the host's name")?;
    confirmed.name = Some(name.trim().to_owned());
    Ok(())
}

/// Shows it, or does it.
pub(crate) async fn system(client: &Client, command: SystemCommand) -> anyhow::Result<()> {
    match command {
        SystemCommand::Show { json } => show(client, json).await,
        SystemCommand::Reboot(confirmed) => end(client, &REBOOT, confirmed).await,
        SystemCommand::PowerOff(confirmed) => end(client, &POWER_OFF, confirmed).await,
        SystemCommand::FactoryReset(confirmed) => end(client, &FACTORY_RESET, confirmed).await,
    }
}

async fn end(client: &Client, order: &Order, confirmed: Confirmed) -> anyhow::Result<()> {
    let Order { name, what } = order;
    let body = Confirmation {
        confirm: confirmed.name.unwrap_or_default(),
    };
    let body = json_payload(serde_json::to_vec(&body)?);
    let path = format!("{SYSTEM}/{name}");
    client.call(Method::POST, &path, &[], Some(body)).await?;
    if confirmed.json {
        return screen::json(&json!({"begun": name}));
    }
    Ok(screen::print(&format!("the machine is being {what}\n"))?)
}

async fn show(client: &Client, json: bool) -> anyhow::Result<()> {
    let system: System = client.get(SYSTEM).await?;
    if json {
        return screen::json(&system);
    }
    let mut text = String::new();
    line(&mut text, "Host name", screen::one_line(&system.hostname));
    line(
        &mut text,
        "Machine",
        screen::words([&system.vendor, &system.product]),
    );
    line(&mut text, "Processor", screen::words([&system.processor]));
    line(&mut text, "Memory", screen::known(system.memory));
    line(&mut text, "Hearth", screen::one_line(&system.version));
    let kernel = format!("{} ({})", system.kernel, system.architecture);
    line(&mut text, "Kernel", screen::one_line(&kernel));
    line(&mut text, "Started", screen::one_line(&system.started));
    Ok(screen::print(&text)?)
}
