//! Who calls, by which door, and what they may do.

use crate::{
    app::App,
    bearer,
    refusal::{Kind, Refusal},
};
use api::rest::Role;
use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use std::{fmt, net::IpAddr, sync::Arc, time::Instant};

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    /// Over the network: nothing is known but the address.
    Network(IpAddr),
    /// Over the local socket: the kernel vouches for the user. Who may open the socket is an administrator.
    Local {
        /// The user's id.
        uid: u32,
    },
}

impl Peer {
    /// The address, for a peer that has one.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Network(address) => Some(address),
            Self::Local { .. } => None,
        }
    }
}

/// By which door a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Over the network, by TLS.
    Tls,
    /// Over the network, unencrypted.
    Plain,
    /// Over the local socket.
    Local,
}

/// Who a request was found to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The bearer of the token with this id.
    Token(String),
    /// The local user with this id.
    User(u32),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token:{id}"),
            Self::User(uid) => write!(f, "uid:{uid}"),
        }
    }
}

/// A middleware's state: the least role that the routes behind it need.
#[derive(Clone)]
pub(crate) struct Gate {
    /// Where tokens are looked up.
    pub(crate) app: Arc<App>,
    /// The least role that may pass.
    pub(crate) role: Role,
}

/// Lets a request pass if its caller has the role; notes who it is in [`crate::journal::RequestLine`]'s cell.
pub(crate) async fn require(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let found = request
        .extensions()
        .get::<Peer>()
        .copied()
        .ok_or_else(|| Refusal::new(Kind::Internal, "the connection has no peer"));
    let admitted = found.and_then(|peer| identify(&gate.app, peer, request.headers(), Instant::now()));
    let (actor, role) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.response(request.uri().path()),
    };
    if let Some(cell) = request.extensions().get::<crate::journal::ActorCell>() {
        cell.get_or_init(|| actor);
    }
    if role < gate.role {
        let [has, needs] = [role, gate.role].map(name);
        let detail = format!("the token has the role \"{has}\" and this needs \"{needs}\"");
        return Refusal::new(Kind::Forbidden, detail).response(request.uri().path());
    }
    next.run(request).await
}

fn identify(app: &App, peer: Peer, headers: &HeaderMap, now: Instant) -> Result<(Actor, Role), Refusal> {
    let address = match peer {
        Peer::Local { uid } => return Ok((Actor::User(uid), Role::Admin)),
        Peer::Network(address) => address,
    };
    let problem = match bearer::of(headers) {
        Ok(digest) => match app.book.verify(&digest) {
            Some(grant) => return Ok((Actor::Token(grant.id), grant.role)),
            None => "the token is not valid".to_owned(),
        },
        Err(problem) => problem.to_string(),
    };
    app.failed_attempt(address, now).map_err(|wait| {
        Refusal::new(
            Kind::TooMany,
            "too many requests without a valid token from this address",
        )
        .retry_after(wait)
    })?;
    let way_out =
        "send one as \"Authorization: Bearer hearth_…\"; \"hearth token new\" on the appliance makes one";
    Err(Refusal::new(
        Kind::Unauthenticated,
        format!("{problem}; {way_out}"),
    ))
}

/// A role, as JSON has it.
pub(crate) fn name(role: Role) -> &'static str {
    match role {
        Role::Read => "read",
        Role::Chat => "chat",
        Role::Admin => "admin",
    }
}
