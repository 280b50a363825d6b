//! What all requests share.

use crate::{
    agent::Bus,
    arrivals::Arrivals,
    caller::Actor,
    conditions::Changing,
    feed::Feed,
    idempotency::Answers,
    import::ImportService,
    jobs::Jobs,
    metrics::Measured,
    proxy::Upstream,
    rates::Rates,
    ration::Ration,
    refusal::{Kind, Refusal},
    rest::HealthCache,
    sessions::Sessions,
    setup::SetupService,
    tls::Identity,
    tokens::Book,
    uploads::Uploads,
};
use api::rest::Role;
use std::{
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Processes that read the journal at once.
const READERS: usize = 8;

/// What all requests share.
pub(crate) struct App {
    /// The valid tokens.
    pub(crate) book: Book,
    /// The way to inferd.
    pub(crate) upstream: Upstream,
    /// The way to the import service.
    pub(crate) import: ImportService,
    /// The way to hearth-setup.
    pub(crate) setup: SetupService,
    /// Where hearthd hears of requests as they come.
    pub(crate) arrivals: Arrivals,
    /// Where hearthd is asked.
    pub(crate) bus: Bus,
    /// The certificate by which clients know this machine.
    pub(crate) identity: Arc<Identity>,
    /// The last answer about health.
    pub(crate) health: HealthCache,
    /// What is told to whoever listens.
    pub(crate) feed: Arc<Feed>,
    /// Long work.
    pub(crate) jobs: Arc<Jobs>,
    /// Files that come in parts.
    pub(crate) uploads: Arc<Uploads>,
    /// Who is signed in.
    pub(crate) sessions: Sessions,
    /// The program that reads the journal.
    pub(crate) journalctl: PathBuf,
    /// Who may read it at once.
    pub(crate) readers: Arc<Semaphore>,
    /// Told of each token that is revoked and each session that is given back.
    pub(crate) revoked: watch::Sender<()>,
    /// How long answers took.
    pub(crate) measured: Arc<Measured>,
    /// Fires when the gateway is to end: what would go on for ever ends by it.
    pub(crate) stopping: CancellationToken,
    /// What requests with a key were answered.
    pub(crate) answers: Answers,
    /// What may be written into the journal about requests.
    pub(crate) ration: Ration,
    /// Whose turn it is to change something.
    pub(crate) changing: Changing,
    rates: Rates,
}

/// The ways to whom the gateway asks.
pub(crate) struct Ways {
    /// To inferd.
    pub(crate) upstream: Upstream,
    /// To the import service.
    pub(crate) import: ImportService,
    /// To hearth-setup.
    pub(crate) setup: SetupService,
    /// To hearthd, of requests as they come.
    pub(crate) arrivals: Arrivals,
    /// To hearthd, for answers.
    pub(crate) bus: Bus,
    /// The program that reads the journal.
    pub(crate) journalctl: PathBuf,
}

impl App {
    /// Nothing has happened yet.
    pub(crate) fn new(book: Book, ways: Ways, identity: Arc<Identity>) -> Self {
        let feed = Arc::<Feed>::default();
        Self {
            book,
            upstream: ways.upstream,
            import: ways.import,
            setup: ways.setup,
            arrivals: ways.arrivals,
            bus: ways.bus,
            identity,
            health: HealthCache::default(),
            jobs: Arc::new(Jobs::new(feed.clone())),
            feed,
            uploads: Arc::default(),
            sessions: Sessions::default(),
            journalctl: ways.journalctl,
            revoked: watch::Sender::default(),
            measured: Arc::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            stopping: CancellationToken::new(),
            answers: Answers::default(),
            ration: Ration::default(),
            changing: Changing::default(),
            rates: Rates::default(),
        }
    }

    /// Counts a request without a valid token; an address that has sent too many is refused.
    pub(crate) fn guessed(&self, address: IpAddr, now: Instant) -> Result<(), Refusal> {
        let detail = "too many requests without a valid token from this address";
        let counted = self.rates.guess(address, now);
        counted.map_err(|wait| Refusal::new(Kind::TooMany, detail).retry_after(wait))
    }

    /// Counts a request for what anybody may have; an address that asks too often is refused.
    pub(crate) fn visited(&self, address: Option<IpAddr>, now: Instant) -> Result<(), Refusal> {
        let counted = address.map_or(Ok(()), |address| self.rates.visit(address, now));
        counted.map_err(|wait| too_often("too many requests from this address", wait))
    }

    /// Counts a request of somebody who was let in; one who asks too often is refused.
    pub(crate) fn asked(&self, actor: &Actor, address: Option<IpAddr>, now: Instant) -> Result<(), Refusal> {
        let counted = self.rates.count(actor, address, now);
        counted.map_err(|wait| too_often("too many requests of this token, or from this address", wait))
    }

    /// Counts a session that is begun with the token of this id and role; one that begins too many is refused.
    pub(crate) fn signed_in(&self, id: &str, role: Role, now: Instant) -> Result<(), Refusal> {
        let counted = self.rates.sign_in(id, role, now);
        counted.map_err(|wait| too_often("too many sessions are begun with tokens of this role", wait))
    }

    /// Counts a change; one who changes too much is refused.
    pub(crate) fn changes(&self, actor: &Actor, role: Role, now: Instant) -> Result<(), Refusal> {
        let counted = self.rates.change(actor, role, now);
        let detail = "too many changes by this token, or by tokens of its role; \"hearth\" on the appliance is not counted";
        counted.map_err(|wait| too_often(detail, wait))
    }

    /// Takes back that a change was counted: it was refused.
    pub(crate) fn has_not_changed(&self, actor: &Actor, role: Role) {
        self.rates.unchanged(actor, role);
    }
}

fn too_often(detail: &str, wait: Duration) -> Refusal {
    Refusal::new(Kind::TooOften, detail).retry_after(wait)
}
