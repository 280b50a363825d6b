//! Who calls, by which door, and what they may do.

use crate::{
    app::App,
    bearer::{self, NoBearer},
    journal::{SESSION, is_change, takes_back},
    refusal::{Announced, Kind, Refusal},
    sessions::{Signed, is_ours},
    slots::Turn,
    tokens::Grant,
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

impl Actor {
    /// The token's id, if it is one.
    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Self::Token(id) => Some(id),
            Self::User(_) => None,
        }
    }
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
    /// Whether it is counted how often somebody passes.
    pub(crate) counts: bool,
}

/// What was found of a request's caller, for the handlers behind a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Who it is.
    pub(crate) actor: Actor,
    /// What they may do.
    pub(crate) role: Role,
    /// The session by which they came, if it was by one.
    pub(crate) signed: Option<Signed>,
}

impl Pass {
    /// Whether it would still be given.
    pub(crate) fn holds(&self, app: &App, now: Instant) -> bool {
        let token = self.actor.token();
        let known = token.is_none_or(|id| app.book.list().iter().any(|token| token.id == id));
        known
            && self
                .signed
                .is_none_or(|signed| app.sessions.is_open(&signed.cookie, now))
    }
}

/// Lets a request pass if its caller has the role; notes who it is in [`crate::journal::RequestLine`]'s cell.
pub(crate) async fn require(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let admitted = admit(&gate, &request).and_then(|pass| {
        let changes = gate.counts && is_limited(&request, &pass);
        if changes {
            gate.app.changes(&pass.actor, pass.role, Instant::now())?;
        }
        Ok((pass, changes))
    });
    let (pass, changes) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.response(request.uri().path()),
    };
    request.extensions_mut().insert(pass.clone());
    let response = next.run(request).await;
    // What is told in the journal is told as often as changes are, and not as often as somebody asks for what is refused.
    let is_told = response.extensions().get::<Announced>().is_some();
    if changes && response.status().is_client_error() && !is_told {
        gate.app.has_not_changed(&pass.actor, pass.role);
    }
    response
}

/// Whether it is a change that somebody may make only so often. Nobody is hindered from taking back what was made, least of
/// all by who has stolen a token: it is done as often as something was made before. A token has no session to end.
fn is_limited(request: &Request, pass: &Pass) -> bool {
    let (method, path) = (request.method(), request.uri().path());
    let signs_nobody_out = path == SESSION && pass.signed.is_none();
    is_change(method, path) && (signs_nobody_out || !takes_back(method, path))
}

/// Lets anybody pass, and no address too often.
pub(crate) async fn anybody(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match visit(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.response(request.uri().path()),
    }
}

/// Counts a request for what anybody may have.
pub(crate) fn visit(app: &App, request: &Request) -> Result<(), Refusal> {
    let peer = request.extensions().get::<Peer>().copied();
    app.visited(peer.and_then(Peer::address), Instant::now())
}

fn admit(gate: &Gate, request: &Request) -> Result<Pass, Refusal> {
    let peer = request.extensions().get::<Peer>().copied();
    let peer = peer.ok_or_else(|| Refusal::new(Kind::Internal, "the connection has no peer"))?;
    let pass = identify(&gate.app, peer, request.headers())?;
    if let Some(cell) = request.extensions().get::<crate::journal::ActorCell>() {
        cell.get_or_init(|| pass.actor.clone());
    }
    if pass.signed.is_some() && !is_ours(request.method(), request.headers()) {
        return Err(Refusal::cross_site());
    }
    if pass.role < gate.role {
        let [has, needs] = [pass.role, gate.role].map(name);
        let detail = format!("the token has the role \"{has}\" and this needs \"{needs}\"");
        return Err(Refusal::new(Kind::Forbidden, detail));
    }
    if gate.counts {
        gate.app.asked(&pass.actor, peer.address(), Instant::now())?;
    }
    if let Some(turn) = request.extensions().get::<Turn>() {
        turn.keep();
    }
    Ok(pass)
}

/// A token goes before a cookie: who sends one means it.
fn identify(app: &App, peer: Peer, headers: &HeaderMap) -> Result<Pass, Refusal> {
    let address = match peer {
        Peer::Local { uid } => {
            return Ok(Pass {
                actor: Actor::User(uid),
                role: Role::Admin,
                signed: None,
            });
        }
        Peer::Network(address) => address,
    };
    let (digest, signed) = match bearer::of(headers) {
        Err(NoBearer::Missing) => {
            let signed = app.sessions.find(headers, Instant::now());
            (signed.map(|signed| signed.token).ok_or(NoBearer::Missing), signed)
        }
        found => (found, None),
    };
    let brings_nothing = matches!(digest, Err(NoBearer::Missing));
    let problem = match digest {
        Ok(digest) => match app.book.verify(&digest) {
            Some(Grant { id, role }) => {
                let actor = Actor::Token(id);
                return Ok(Pass { actor, role, signed });
            }
            None => "the token is not valid".to_owned(),
        },
        Err(problem) => problem.to_string(),
    };
    // Who brings nothing guesses nothing: a page that is opened asks who is signed in.
    if brings_nothing {
        app.visited(Some(address), Instant::now())?;
    } else {
        app.guessed(address, Instant::now())?;
    }
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
