//! `/api/v1/power`: the profile, and who holds which.

use super::{answer, answer_tagged, read};
use crate::{
    agent::{self, AgentError},
    app::App,
    caller::Actor,
    conditions,
    journal::ActorCell,
    openapi::{OfAgent, OfCondition, OfState},
    plain_text::is_plain,
    refusal::{Kind, Refusal},
};
use api::power::{NewHold, Power, PowerSettings};
use axum::{
    Json,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{Extensions, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use machine::{Hold, PowerProfile};
use nix::unistd::{Uid, User};
use std::sync::Arc;

/// The longest reason of a hold, in characters.
const LONGEST_REASON: usize = 200;
/// The longest hold, in seconds: a year.
const LONGEST_HOLD: u64 = 366 * 86_400;
const SETTINGS: &str = r#"{"profile": "power-saver" | "balanced" | "performance"}"#;
const HOLD: &str =
    r#"{"profile": "power-saver" | "performance", "reason": "…", "seconds": 1 or more, or null}"#;

/// Profile, holds, clocks.
#[utoipa::path(
    get,
    path = "/api/v1/power",
    tag = "power",
    responses((status = 200, description = "Power and clocks", body = Power, headers(("ETag" = String))), OfAgent)
)]
pub(crate) async fn power(State(app): State<Arc<App>>, uri: Uri) -> Response {
    answer_tagged(&uri, agent::power(&app.bus).await, |power| power.profile)
}

/// Chooses a profile.
#[utoipa::path(
    put,
    path = "/api/v1/power",
    tag = "power",
    request_body = PowerSettings,
    responses((status = 200, description = "What is in force then", body = Power, headers(("ETag" = String))), OfAgent, OfCondition)
)]
pub(crate) async fn set_power(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    answer_tagged(&uri, choose(&app, request).await, |power| power.profile)
}

async fn choose(app: &App, request: Request) -> Result<Power, Refusal> {
    let (who, headers) = (who(app, request.extensions()), request.headers().clone());
    let PowerSettings { profile } = read(request, SETTINGS).await?;
    let _turn = app.changing.power.lock().await;
    let now = async { Ok(agent::power(&app.bus).await?.profile) };
    conditions::unchanged(&headers, now).await?;
    let power = agent::set_profile(&app.bus, profile).await?;
    tracing::info!(who, "power profile set to {profile} by {who}");
    Ok(power)
}

/// Holds a profile.
#[utoipa::path(
    post,
    path = "/api/v1/power/holds",
    tag = "power",
    request_body = NewHold,
    responses((status = 201, description = "The hold", body = Hold, headers(("Location" = String))), OfAgent, OfState)
)]
pub(crate) async fn hold(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    match begin(&app, request).await {
        Ok(hold) => {
            let location = [(header::LOCATION, format!("{}/{}", uri.path(), hold.id))];
            (StatusCode::CREATED, location, Json(hold)).into_response()
        }
        Err(refusal) => refusal.response(uri.path()),
    }
}

async fn begin(app: &App, request: Request) -> Result<Hold, Refusal> {
    let (holder, who) = (name(app, request.extensions()), who(app, request.extensions()));
    let new: NewHold = read(request, HOLD).await?;
    check(&new).map_err(|problem| Refusal::new(Kind::Unacceptable, problem))?;
    let hold = agent::hold(&app.bus, &new, &holder).await?;
    tracing::info!(
        who,
        hold = hold.id,
        "power profile {} held (hold {}) by {who}: {:?}",
        hold.profile,
        hold.id,
        hold.reason
    );
    Ok(hold)
}

fn check(new: &NewHold) -> Result<(), String> {
    let reason = new.reason.trim();
    let sound = (1..=LONGEST_REASON).contains(&reason.chars().count());
    if new.profile == PowerProfile::Balanced {
        Err("profile: balanced cannot be held; power-saver and performance can".to_owned())
    } else if !sound || !reason.chars().all(is_plain) {
        Err(format!(
            "reason: 1 to {LONGEST_REASON} characters are wanted, none of them a control character"
        ))
    } else if new
        .seconds
        .is_some_and(|seconds| !(1..=LONGEST_HOLD).contains(&seconds))
    {
        Err(format!(
            "seconds: 1 to {LONGEST_HOLD} are allowed; null holds until it is released"
        ))
    } else {
        Ok(())
    }
}

/// Releases a hold, whoever holds it.
#[utoipa::path(
    delete,
    path = "/api/v1/power/holds/{id}",
    tag = "power",
    params(("id" = String, Path, description = "The number of the hold")),
    responses((status = 200, description = "What is in force then", body = Power), OfAgent)
)]
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
    extensions: Extensions,
) -> Response {
    answer(&uri, end(&app, id, &extensions).await)
}

async fn end(
    app: &App,
    id: Result<Path<String>, PathRejection>,
    extensions: &Extensions,
) -> Result<Power, Refusal> {
    let Path(id) = id.map_err(|error| Refusal::new(Kind::Invalid, error.body_text()))?;
    let unknown = || Refusal::new(Kind::NotFound, format!("there is no hold {id:?}"));
    let id = id.parse().map_err(|_| unknown())?;
    let power = agent::release(&app.bus, id).await.map_err(|error| match error {
        // Of a release only the number can be wrong.
        AgentError::Refused(detail) => Refusal::new(Kind::NotFound, detail),
        error => error.into(),
    })?;
    let who = who(app, extensions);
    tracing::info!(who, hold = id, "hold {id} on a power profile released by {who}");
    Ok(power)
}

/// Who asks, by name if there is one: of the token, or of the local user.
pub(super) fn name(app: &App, extensions: &Extensions) -> String {
    let actor = extensions.get::<ActorCell>().and_then(|cell| cell.get());
    match actor {
        Some(Actor::Token(id)) => {
            let tokens = app.book.list();
            let token = tokens.into_iter().find(|token| token.id == *id);
            token.map_or_else(|| id.clone(), |token| token.name)
        }
        Some(Actor::User(uid)) => {
            let user = User::from_uid(Uid::from_raw(*uid)).ok().flatten();
            user.map_or_else(|| format!("uid:{uid}"), |user| user.name)
        }
        None => "unknown".to_owned(),
    }
}

/// Who it is that changes something, for the journal: by name, and by what a name cannot say, for people choose the names
/// of tokens, and two may have the same.
pub(super) fn who(app: &App, extensions: &Extensions) -> String {
    let name = name(app, extensions);
    let actor = extensions.get::<ActorCell>().and_then(|cell| cell.get());
    actor.map_or_else(|| name.clone(), |actor| format!("{name} ({actor})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_that_cannot_be_is_named_by_its_field() {
        let good = NewHold {
            profile: PowerProfile::Performance,
            reason: "a build".to_owned(),
            seconds: Some(60),
        };
        assert_eq!(check(&good), Ok(()));
        let with = |change: fn(&mut NewHold)| {
            let mut new = good.clone();
            change(&mut new);
            new
        };
        for (field, new) in [
            ("profile:", with(|new| new.profile = PowerProfile::Balanced)),
            ("reason:", with(|new| new.reason = "  ".to_owned())),
            ("reason:", with(|new| new.reason = "x".repeat(201))),
            ("reason:", with(|new| new.reason = "a\u{1b}[2J".to_owned())),
            ("seconds:", with(|new| new.seconds = Some(0))),
            ("seconds:", with(|new| new.seconds = Some(u64::MAX))),
        ] {
            let problem = check(&new).unwrap_err();
            assert!(problem.starts_with(field), "{problem}");
        }
    }
}
