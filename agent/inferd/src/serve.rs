//! `inferd serve`: the engine, the sockets, and the end of both.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::phase::EngineOrder;
use axum::Router;
use axum::serve::Listener;
use engine::catalog::Entry;
use engine::engine::{Ended, Engine, Settings};
use engine::parking;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use kernels::compute::Fusions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::arguments::Serve;
use crate::report::{self, Orders};
use crate::size::Size;
use crate::sockets::{self, Sockets};
use crate::{cpu, memory, render, routes};

/// The model that is loaded before anyone asks, if it is there.
const DEFAULT_MODEL: &str = "smollm2-135m-instruct";
/// Requests that may wait for a slot.
const QUEUE: usize = 32;
/// Connections that are open at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 128;
/// How long a client may take to send its headers.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Most bytes of a request's headers.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// How long answers may still run after the order to stop.
const STOP_TIME: Duration = Duration::from_secs(10);
/// How long conversations may take to be written then.
const PARK_TIME: Duration = Duration::from_secs(10);
/// A turn that comes sooner finds its conversation as it was computed with.
const PACK_AFTER: Duration = Duration::from_secs(10);
/// A turn that comes sooner finds it in memory.
const WRITE_AFTER: Duration = Duration::from_secs(60);
/// How long readers may take to hear that the model's thread has ended.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Serves until told to stop.
pub(crate) fn run(arguments: &Serve) -> Result<()> {
    let settings = settings(arguments)?;
    let threads = settings.threads;
    cpu::place(threads);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        let sockets = sockets::open(arguments.listen).await?;
        let (engine, ended) = Engine::start(settings).context("cannot start the model's thread")?;
        tracing::info!(
            threads,
            slots = arguments.slots,
            context = arguments.context,
            "started"
        );
        let orders = report::start(arguments.phase_socket.clone(), engine.clone());
        tokio::spawn(preload(engine.clone(), orders));
        serve(sockets, routes::router(engine.clone()), ended).await?;
        park(&engine).await;
        Ok(())
    })
}

fn settings(arguments: &Serve) -> Result<Settings> {
    Ok(Settings {
        folders: arguments.models.clone(),
        slots: usize::from(arguments.slots),
        queue: QUEUE,
        context: arguments.context as usize,
        path: cpu::choose(arguments.cpu, arguments.state.as_deref()),
        threads: arguments
            .threads
            .map_or_else(cpu::threads, |wanted| Ok(wanted.into()))?,
        fused: Fusions::ALL,
        kv: arguments.kv.into(),
        memory_budget: arguments.memory_budget.map(|Size(bytes)| bytes),
        memory: memory::read()?,
        parking: parking(arguments),
        renderer: render::IN_A_PROCESS,
    })
}

fn parking(arguments: &Serve) -> parking::Settings {
    let (Size(memory), Size(quota)) = (arguments.kv_memory, arguments.kv_park_quota);
    parking::Settings {
        memory: memory as u64,
        pack_after: PACK_AFTER,
        write_after: WRITE_AFTER,
        disk: arguments.state.as_ref().map(|state| parking::Disk {
            folder: state.join("kv"),
            quota: if memory == 0 { 0 } else { quota as u64 },
        }),
    }
}

/// Has conversations written for the next process.
async fn park(engine: &Engine) {
    match timeout(PARK_TIME, engine.park()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!("conversations are not parked: {error}"),
        Err(_) => tracing::warn!("not all conversations were parked in {} s", PARK_TIME.as_secs()),
    }
}

/// Loads the default model, or the only one, so that the first question need not wait for it.
async fn preload(engine: Engine, mut orders: Orders) {
    let order = orders.first().await;
    let entries = engine.models();
    let Some(entry) = unnamed(&entries, &order) else {
        tracing::info!(models = entries.len(), folders = ?engine.folders(), "no model is loaded yet");
        return;
    };
    let start = std::time::Instant::now();
    match engine.load(&entry.id).await {
        Ok(()) => tracing::info!(
            model = entry.id,
            milliseconds = start.elapsed().as_millis() as u64,
            "loaded"
        ),
        Err(error) => tracing::error!("{error}"),
    }
}

/// The model that is loaded without being named: the default one, or the only one, or instead of a quarantined one the
/// last that answered well.
fn unnamed<'e>(entries: &'e [Entry], order: &EngineOrder) -> Option<&'e Entry> {
    let default = entries.iter().find(|entry| entry.id == DEFAULT_MODEL);
    let only = || entries.first().filter(|_| entries.len() == 1);
    let chosen = default.or_else(only)?;
    if !chosen.tag().is_ok_and(|tag| order.quarantines(tag)) {
        return Some(chosen);
    }
    let fallback = entries
        .iter()
        .find(|entry| entry.tag().is_ok_and(|tag| tag == order.fallback));
    tracing::warn!(
        model = chosen.id,
        fallback = fallback.map(|entry| entry.id.as_str()),
        "the model is quarantined: it has ended the engine time and again"
    );
    fallback
}

async fn serve(sockets: Sockets, router: Router, ended: Ended) -> Result<()> {
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let door = Arc::new(Door {
        router,
        connections: GracefulShutdown::new(),
        permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    });
    let mut accepting = JoinSet::new();
    for socket in sockets.unix {
        accepting.spawn(accept(Arc::clone(&door), socket));
    }
    if let Some(socket) = sockets.tcp {
        accepting.spawn(accept(Arc::clone(&door), socket));
    }
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!("systemd cannot be told that inferd is ready: {error}");
    }
    let told_to_stop = tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => true,
        () = ended.wait() => false,
    };
    accepting.shutdown().await;
    // Without the model's thread no answer will end well; its readers are told so, and that is all there is to do.
    finish(door, if told_to_stop { STOP_TIME } else { FAREWELL_TIME }).await?;
    ensure!(
        told_to_stop,
        "the model's thread has ended; its last words are above"
    );
    Ok(())
}

fn on(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

/// Lets running answers end.
async fn finish(door: Arc<Door>, time: Duration) -> Result<()> {
    let door = Arc::into_inner(door).context("connections are still being accepted")?;
    tracing::info!(connections = door.connections.count(), "stopping");
    if timeout(time, door.connections.shutdown()).await.is_err() {
        tracing::warn!("answers were cut off: they did not end in {} s", time.as_secs());
    }
    Ok(())
}

/// What every connection needs.
struct Door {
    router: Router,
    connections: GracefulShutdown,
    permits: Arc<Semaphore>,
}

async fn accept<L: Listener>(door: Arc<Door>, mut socket: L) {
    loop {
        let Ok(permit) = Arc::clone(&door.permits).acquire_owned().await else {
            return;
        };
        let (stream, _) = socket.accept().await;
        door.welcome(stream, permit);
    }
}

impl Door {
    fn welcome(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        permit: OwnedSemaphorePermit,
    ) {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(self.router.clone()),
            );
        let connection = self.connections.watch(connection);
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended early: {error}");
            }
        });
    }
}
