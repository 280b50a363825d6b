//! `setup serve`: one request of the gateway's, on the connection that systemd hands over as standard input. `api::setup`
//! says what is spoken there.

use std::io::{BufRead, Write};

use anyhow::Result;
use api::setup::{ClockState, LONGEST_REQUEST, NetworkState, Reason, Refused, Reply, Request, SetNetwork};
use api::system::ClockChange;
use machine::BootTime;
use setup::change::{checked, shown};
use setup::digest;
use setup::settings::{Network, TimeZone};
use setup::state::State;

use crate::boot::is_zone;
use crate::desk::Desk;
use crate::journal;
use crate::place::Place;

/// What is done once the answer is on its way, as it changes how answers travel.
enum Then {
    /// Nothing.
    Rest,
    /// The files are brought to what was written down. This network was before.
    Render(Network),
    /// What was tried is over.
    PutBack(Box<State>),
    /// A reset stands if whoever has ordered it hears so: else nobody would take it back where no restart follows.
    Stand,
}

/// Answers one request, and then does what changes how the answer travels. The request is there before the desk is: who is
/// slow keeps nobody else waiting.
pub(crate) fn serve(
    place: &Place,
    input: impl BufRead,
    mut output: impl Write,
    now: impl Fn() -> Result<BootTime>,
) -> Result<()> {
    let request = request(input);
    let mut desk = Desk::open(place)?;
    let now = now()?;
    let answered = request.and_then(|request| answer(place, &mut desk, request, now));
    let (reply, then) = answered.unwrap_or_else(|refused| (Reply::Refused(refused), Then::Rest));
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    let told = output.write_all(&line).and_then(|()| output.flush());
    if let Err(error) = &told {
        journal::info(&format!("nobody is there to be answered: {error}"));
    }
    match then {
        Then::Rest => Ok(()),
        Then::Render(before) => desk.render_now(&before),
        Then::PutBack(next) => desk.put_back(*next),
        Then::Stand if told.is_ok() => Ok(()),
        Then::Stand => desk.reset(false),
    }
}

fn request(input: impl BufRead) -> Result<Request, Refused> {
    let mut line = Vec::new();
    let read = input.take(LONGEST_REQUEST).read_until(b'\n', &mut line);
    read.map_err(|error| refused(Reason::Failed, format!("the request cannot be read: {error}")))?;
    serde_json::from_slice(&line)
        .map_err(|error| refused(Reason::Invalid, format!("this is no request: {error}")))
}

fn answer(
    place: &Place,
    desk: &mut Desk<'_>,
    request: Request,
    now: BootTime,
) -> Result<(Reply, Then), Refused> {
    match request {
        Request::Network => Ok((Reply::Network(state(desk, now)), Then::Rest)),
        Request::SetNetwork(set) => set_network(desk, &set, now),
        Request::Confirm { of } => confirm(desk, of.as_deref(), now),
        Request::Clock => Ok((Reply::Clock(clock(desk)), Then::Rest)),
        Request::SetClock(change) => set_clock(place, desk, &change),
        Request::FactoryReset(wanted) => {
            desk.reset(wanted).map_err(failed)?;
            Ok((Reply::Done, if wanted { Then::Stand } else { Then::Rest }))
        }
    }
}

fn set_network(desk: &mut Desk<'_>, set: &SetNetwork, now: BootTime) -> Result<(Reply, Then), Refused> {
    let before = desk.state().network().clone();
    unchanged(&before, set.of.as_deref())?;
    let wanted = checked(&set.change, &before).map_err(|error| refused(Reason::Invalid, error))?;
    let mut next = desk.state().clone();
    if wanted == next.kept().network {
        next.give_up();
        let then = match desk.state().trial() {
            Some(_) => Then::PutBack(Box::new(next)),
            None => Then::Rest,
        };
        return Ok((Reply::Done, then));
    }
    next.begin(wanted, now);
    desk.save(next).map_err(failed)?;
    let reply = Reply::OnTrial(setup::trial::LIMIT.as_secs());
    Ok((reply, Then::Render(before)))
}

/// Who has read something else is refused.
fn unchanged(network: &Network, of: Option<&str>) -> Result<(), Refused> {
    if of.is_some_and(|of| of != revision(network)) {
        let message = "the network was changed meanwhile; read it again".to_owned();
        return Err(refused(Reason::Changed, message));
    }
    Ok(())
}

fn confirm(desk: &mut Desk<'_>, of: Option<&str>, now: BootTime) -> Result<(Reply, Then), Refused> {
    unchanged(desk.state().network(), of)?;
    let mut next = desk.state().clone();
    next.confirm(now).map_err(|_| {
        let message = "no change is on trial; one that was not confirmed within two minutes is taken back";
        refused(Reason::NoTrial, message.to_owned())
    })?;
    desk.save(next).map_err(failed)?;
    Ok((Reply::Done, Then::Rest))
}

fn set_clock(place: &Place, desk: &mut Desk<'_>, change: &ClockChange) -> Result<(Reply, Then), Refused> {
    let zone = &change.timezone;
    let invalid = |error| refused(Reason::Invalid, format!("timezone: {error}"));
    let parsed: TimeZone = zone.parse().map_err(invalid)?;
    if !is_zone(place, zone) {
        return Err(invalid(format!("there is no time zone `{zone}`")));
    }
    let mut next = desk.state().clone();
    next.set_clock(parsed, change.ntp);
    desk.save(next).map_err(failed)?;
    let before = desk.state().network().clone();
    desk.render_now(&before).map_err(failed)?;
    Ok((Reply::Done, Then::Rest))
}

fn state(desk: &Desk<'_>, now: BootTime) -> NetworkState {
    NetworkState {
        network: shown(desk.state().network()),
        revision: revision(desk.state().network()),
        on_trial: desk.state().trial().map(|trial| trial.left(now).as_secs()),
    }
}

/// Names a network, as it is shown: a password does not count, for it could be guessed from this.
fn revision(network: &Network) -> String {
    // What is made of plain texts and numbers can always be written.
    let text = serde_json::to_vec(&shown(network)).unwrap_or_default();
    digest(&text).chars().take(16).collect()
}

fn clock(desk: &Desk<'_>) -> ClockState {
    let kept = desk.state().kept();
    let zone = kept.timezone.as_ref();
    ClockState {
        timezone: zone.map_or_else(|| "UTC".to_owned(), ToString::to_string),
        ntp: !kept.without_ntp,
    }
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
