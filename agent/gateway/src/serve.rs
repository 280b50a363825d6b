//! The daemon: opens its doors, tells systemd, and closes them again.

use crate::{
    agent::Bus,
    app::{App, Ways},
    arrivals::Arrivals,
    connections::Connections,
    import::ImportService,
    listen::Sockets,
    plain,
    proxy::Upstream,
    rest, routes,
    setup::SetupService,
    tls::{Acceptor, Identity},
    tokens::{Book, Provided, Store, read_provided},
};
use anyhow::Context;
use axum::Router;
use nix::unistd::gethostname;
use sd_notify::NotifyState;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::interval,
};

/// How long running answers may take to finish after SIGTERM.
const LAST_ANSWERS: Duration = Duration::from_secs(20);

/// What the daemon is told on its command line.
pub(crate) struct Settings {
    /// Addresses to listen on for TLS, besides the sockets that are inherited.
    pub(crate) listen: Vec<SocketAddr>,
    /// The same for plain HTTP.
    pub(crate) listen_plain: Vec<SocketAddr>,
    /// inferd's socket.
    pub(crate) infer: PathBuf,
    /// The import service's socket.
    pub(crate) import: PathBuf,
    /// hearth-setup's socket.
    pub(crate) setup: PathBuf,
    /// Where hearthd hears of requests.
    pub(crate) arrivals: PathBuf,
    /// The local socket, where it is not inherited.
    pub(crate) local: Option<PathBuf>,
    /// The state folder.
    pub(crate) state: PathBuf,
    /// Files of provided token hashes; none where there are no credentials.
    pub(crate) hashes: Vec<PathBuf>,
    /// Where hearthd is asked.
    pub(crate) bus: Bus,
    /// The program that reads the journal.
    pub(crate) journalctl: PathBuf,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn serve(settings: Settings) -> anyhow::Result<()> {
    let book = open_book(&settings.state, &settings.hashes)?;
    let identity = Arc::new(open_identity(&settings.state)?);
    let sockets = open_sockets(&settings)?;
    let tls_port = sockets.tls_port()?;
    let acceptor = Acceptor::new(identity.clone()).context("cannot set TLS up")?;
    let ways = Ways {
        upstream: Upstream::new(settings.infer),
        import: ImportService::new(settings.import),
        setup: SetupService::new(settings.setup),
        arrivals: Arrivals::new(settings.arrivals),
        bus: settings.bus,
        journalctl: settings.journalctl,
    };
    let app = Arc::new(App::new(book, ways, identity));
    rest::system::withdraw_reset(&app).await;
    let connections = Connections::new(app.stopping.clone());
    let service = routes::router(&app);
    let plain = plain::router(&app, service.clone(), tls_port);
    let service = routes::observed(&app, service);
    open_doors(&connections, sockets, acceptor, &service, plain)?;
    notify(&[NotifyState::Ready]);
    tracing::info!("ready");
    run_until_signal().await?;
    notify(&[NotifyState::Stopping]);
    tracing::info!("stopping: running answers have {} s", LAST_ANSWERS.as_secs());
    if !connections.stop(LAST_ANSWERS).await {
        tracing::warn!("some answers did not finish in time and were cut off");
    }
    Ok(())
}

fn open_sockets(settings: &Settings) -> anyhow::Result<Sockets> {
    let mut sockets = Sockets::inherited()?;
    for address in &settings.listen {
        sockets.listen_tls(*address)?;
    }
    for address in &settings.listen_plain {
        sockets.listen_plain(*address)?;
    }
    if let Some(path) = &settings.local {
        sockets.listen_local(path)?;
    }
    Ok(sockets)
}

/// The identity, with a certificate, so that what cannot be read or made is told at the start.
fn open_identity(state: &Path) -> anyhow::Result<Identity> {
    let hostname = gethostname().context("the kernel does not tell the host's name")?;
    let hostname = hostname.to_string_lossy();
    let identity = Identity::open(state, &hostname)?;
    let now = OffsetDateTime::now_utc();
    identity.prepare(&hostname, None, now)?;
    tracing::info!("certificate to compare: SHA-256 {}", identity.fingerprint(now));
    Ok(identity)
}

fn open_doors(
    connections: &Connections,
    sockets: Sockets,
    acceptor: Acceptor,
    service: &Router,
    plain: Router,
) -> anyhow::Result<()> {
    for listener in sockets.tls {
        tracing::info!("listening on {}", listener.local_addr()?);
        tokio::spawn(
            connections
                .clone()
                .accept_tls(listener, acceptor.clone(), service.clone()),
        );
    }
    for listener in sockets.plain {
        tracing::info!("plain HTTP on {}", listener.local_addr()?);
        tokio::spawn(connections.clone().accept_plain(listener, plain.clone()));
    }
    match sockets.local {
        Some(listener) => drop(tokio::spawn(
            connections.clone().accept_local(listener, service.clone()),
        )),
        None => tracing::warn!("no local socket: neither --local nor a socket named \"local\" from systemd"),
    }
    Ok(())
}

fn open_book(state: &Path, hashes: &[PathBuf]) -> anyhow::Result<Book> {
    let store = Store::open(state).context("cannot open the store of tokens")?;
    let provided = provided(hashes)?;
    if store.tokens().is_empty() && provided.is_empty() {
        tracing::warn!("there is no token yet: only the local socket lets anybody in");
    }
    Ok(Book::new(store, provided))
}

/// The tokens of files of hashes; one that is in two of them is the first's. Bad lines are logged, each by its place, and the
/// others count.
pub(crate) fn provided(files: &[PathBuf]) -> anyhow::Result<Vec<Provided>> {
    let mut all: Vec<Provided> = Vec::new();
    for file in files {
        for token in provided_by(file)? {
            if !all.iter().any(|known| known.digest == token.digest) {
                all.push(token);
            }
        }
    }
    Ok(all)
}

fn provided_by(path: &Path) -> anyhow::Result<Vec<Provided>> {
    let (tokens, bad) = read_provided(path).with_context(|| format!("cannot read {}", path.display()))?;
    for bad in bad {
        tracing::error!("{}:{}: {}", path.display(), bad.line, bad.problem);
    }
    Ok(tokens)
}

async fn run_until_signal() -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Half of what systemd allows, as it recommends. Without a watchdog the timer is set and never matters.
    let watchdog = sd_notify::watchdog_enabled();
    let mut tick = interval(watchdog.map_or(Duration::MAX / 2, |limit| limit / 2));
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = tick.tick(), if watchdog.is_some() => notify(&[NotifyState::Watchdog]),
        }
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("cannot tell systemd: {error}");
    }
}
