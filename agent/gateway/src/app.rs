//! What all requests share.

use crate::{
    agent::Bus, arrivals::Arrivals, attempts::Attempts, import::ImportService, proxy::Upstream,
    rest::HealthCache, tls::Identity, tokens::Book,
};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What all requests share.
pub(crate) struct App {
    /// The valid tokens.
    pub(crate) book: Book,
    /// The way to inferd.
    pub(crate) upstream: Upstream,
    /// The way to the import service.
    pub(crate) import: ImportService,
    /// Where hearthd hears of requests as they come.
    pub(crate) arrivals: Arrivals,
    /// Where hearthd is asked.
    pub(crate) bus: Bus,
    /// The certificate by which clients know this machine.
    pub(crate) identity: Arc<Identity>,
    /// The last answer about health.
    pub(crate) health: HealthCache,
    attempts: Mutex<Attempts>,
}

impl App {
    /// Nothing has happened yet.
    pub(crate) fn new(
        book: Book,
        upstream: Upstream,
        import: ImportService,
        arrivals: Arrivals,
        bus: Bus,
        identity: Arc<Identity>,
    ) -> Self {
        Self {
            book,
            upstream,
            import,
            arrivals,
            bus,
            identity,
            health: HealthCache::default(),
            attempts: Mutex::default(),
        }
    }

    /// Counts a request without a valid token; an error tells how long its address must wait.
    pub(crate) fn failed_attempt(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fail(address, now)
    }
}
