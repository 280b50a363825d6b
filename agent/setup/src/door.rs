//! `setup serve`: one request of the gateway's, on the connection that systemd hands over as standard input. `api::setup`
//! says what is spoken there.

use std::io::{BufRead, Write};

use anyhow::Result;
use api::setup::{LONGEST_REQUEST, NetworkState, Reason, Refused, Reply, Request, SetNetwork};
use machine::BootTime;
use setup::change::{checked, shown};
use setup::digest;
use setup::settings::{Network, TimeZone};

use crate::boot::is_zone;
use crate::desk::Desk;
use crate::journal;
use crate::place::Place;

/// Answers one request, and then does what changes how the answer travels.
pub(crate) fn serve(place: &Place, input: impl BufRead, mut output: impl Write, now: BootTime) -> Result<()> {
    let mut desk = Desk::open(place)?;
    let before = desk.network().clone();
    let reply = request(input)
        .and_then(|request| answer(place, &mut desk, request, now))
        .unwrap_or_else(Reply::Refused);
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    let told = output.write_all(&line).and_then(|()| output.flush());
    if let Err(error) = told {
        journal::info(&format!("nobody is there to be answered: {error}"));
    }
    if *desk.network() != before {
        desk.render_now(&before)?;
    }
    Ok(())
}

fn request(input: impl BufRead) -> Result<Request, Refused> {
    let mut line = Vec::new();
    let read = input.take(LONGEST_REQUEST).read_until(b'\n', &mut line);
    read.map_err(|error| refused(Reason::Failed, format!("the request cannot be read: {error}")))?;
    serde_json::from_slice(&line)
        .map_err(|error| refused(Reason::Invalid, format!("this is no request: {error}")))
}

fn answer(place: &Place, desk: &mut Desk<'_>, request: Request, now: BootTime) -> Result<Reply, Refused> {
    match request {
        Request::Network => Ok(Reply::Network(state(desk, now))),
        Request::SetNetwork(set) => set_network(desk, &set, now),
        Request::Confirm => confirm(desk, now),
        Request::TimeZone => Ok(Reply::TimeZone(time_zone(desk))),
        Request::SetTimeZone(zone) => {
            let parsed: TimeZone = zone.parse().map_err(|error| refused(Reason::Invalid, error))?;
            if !is_zone(place, &zone) {
                return Err(refused(
                    Reason::Invalid,
                    format!("there is no time zone `{zone}`"),
                ));
            }
            desk.set_time_zone(parsed).map_err(failed)?;
            Ok(Reply::Done)
        }
    }
}

fn set_network(desk: &mut Desk<'_>, set: &SetNetwork, now: BootTime) -> Result<Reply, Refused> {
    if set.of.as_ref().is_some_and(|of| *of != revision(desk.network())) {
        let message = "the network was changed meanwhile; read it again".to_owned();
        return Err(refused(Reason::Changed, message));
    }
    let wanted = checked(&set.change, desk.network()).map_err(|error| refused(Reason::Invalid, error))?;
    if wanted == desk.kept.network {
        desk.withdraw().map_err(failed)?;
        return Ok(Reply::Done);
    }
    desk.begin(wanted, now).map_err(failed)?;
    Ok(Reply::OnTrial(setup::trial::LIMIT.as_secs()))
}

fn confirm(desk: &mut Desk<'_>, now: BootTime) -> Result<Reply, Refused> {
    let is_in_time = desk.trial.clone().is_some_and(|trial| trial.confirm(now).is_ok());
    if !is_in_time {
        let message =
            "no change is on trial; one that was not confirmed within two minutes is taken back".to_owned();
        return Err(refused(Reason::NoTrial, message));
    }
    desk.keep().map_err(failed)?;
    Ok(Reply::Done)
}

fn state(desk: &Desk<'_>, now: BootTime) -> NetworkState {
    NetworkState {
        network: shown(desk.network()),
        revision: revision(desk.network()),
        on_trial: desk.trial.as_ref().map(|trial| trial.left(now).as_secs()),
    }
}

/// Names a network, as it is shown: a password does not count, for it could be guessed from this.
fn revision(network: &Network) -> String {
    // What is made of plain texts and numbers can always be written.
    let text = serde_json::to_vec(&shown(network)).unwrap_or_default();
    digest(&text).chars().take(16).collect()
}

fn time_zone(desk: &Desk<'_>) -> String {
    desk.kept
        .timezone
        .as_ref()
        .map_or_else(|| "UTC".to_owned(), ToString::to_string)
}

fn failed(error: anyhow::Error) -> Refused {
    journal::error(&format!("{error:#}"));
    refused(
        Reason::Failed,
        "it could not be kept; the journal has the reason".to_owned(),
    )
}

fn refused(reason: Reason, message: String) -> Refused {
    Refused { reason, message }
}

#[cfg(test)]
mod tests;
