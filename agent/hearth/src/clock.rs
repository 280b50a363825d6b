//! `hearth time`: the appliance's clock.

use crate::{
    cli::{Switch, TimeCommand},
    client::{Client, json_payload},
    screen::{self, WARN, line},
};
use api::system::{Clock, ClockChange};
use hyper::Method;

const TIME: &str = "/api/v1/time";

/// Shows or sets.
pub(crate) async fn time(client: &Client, command: TimeCommand) -> anyhow::Result<()> {
    let json = match command {
        TimeCommand::Show { json } => json,
        TimeCommand::Set { zone, ntp, json } => {
            let ntp = ntp.map(|ntp| ntp == Switch::On);
            let body = ClockChange { timezone: zone, ntp };
            let body = json_payload(serde_json::to_vec(&body)?);
            client.call(Method::PUT, TIME, &[], Some(body)).await?;
            json
        }
    };
    let clock: Clock = client.get(TIME).await?;
    if json {
        return screen::json(&clock);
    }
    Ok(screen::print(&render(&clock))?)
}

fn render(clock: &Clock) -> String {
    let mut text = String::new();
    line(&mut text, "Time", screen::one_line(&clock.time));
    line(&mut text, "Time zone", screen::one_line(&clock.timezone));
    let kept = match (clock.ntp, clock.synchronised) {
        (true, Some(true)) => "set over the network".to_owned(),
        (true, None) => "to be set over the network; whether it has been is not told".to_owned(),
        (true, Some(false)) => format!("{WARN}to be set over the network, and has not been yet{WARN:#}"),
        (false, _) => format!("{WARN}goes by itself: setting it over the network is off{WARN:#}"),
    };
    line(&mut text, "Clock", kept);
    text
}
