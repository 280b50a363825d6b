//! `inferd serve`: the engine, the sockets, and the end of both.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use engine::capacity::Limit;
use engine::engine::{Ended, Engine, Settings};
use engine::parking;
use kernels::compute::Fusions;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::admission::Admission;
use crate::apart;
use crate::arguments::Serve;
use crate::door::{Accepting, Door};
use crate::life::{Departure, KeepAlive, Life, Limits};
use crate::model_settings::Reader;
use crate::preload::preload;
use crate::report::{self, Orders};
use crate::size::Size;
use crate::sockets::{self, Sockets};
use crate::{cpu, memory, render, routes};

/// Requests that may wait for a slot.
const QUEUE: usize = 32;
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
    let (settings, limits) = (settings(arguments)?, limits(arguments));
    cpu::place(settings.threads);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    apart::run(runtime, serve_here(arguments, settings, limits), FAREWELL_TIME)
}

/// Serves until told to stop, on this thread.
async fn serve_here(arguments: &Serve, settings: Settings, limits: Limits) -> Result<()> {
    let sockets = sockets::open(arguments.listen).await?;
    let threads = settings.threads;
    let (engine, ended) = Engine::start(settings).context("cannot start the model's thread")?;
    tracing::info!(
        threads,
        slots = arguments.slots,
        context = arguments.context,
        "started"
    );
    let orders = report::start(arguments.phase_socket.clone(), engine.clone());
    let (life, settings) = (Life::new(limits), Arc::new(Reader::new(engine.folders())));
    let admission = Admission::new(
        engine.clone(),
        life.clone(),
        orders.clone(),
        Arc::clone(&settings),
    );
    let watched = Watched {
        engine: engine.clone(),
        life: life.clone(),
        orders: orders.clone(),
        ended,
        terminate: on(SignalKind::terminate())?,
        interrupt: on(SignalKind::interrupt())?,
    };
    let (first, chosen) = (engine.clone(), arguments.model.clone());
    tokio::spawn(async move { preload(first, life, settings, chosen, orders).await });
    serve(sockets, routes::router(engine.clone(), admission), watched).await?;
    park(&engine).await;
    Ok(())
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
        available: memory::available()?,
        limit: Limit::new(memory::limit),
        parking: parking(arguments),
        renderer: render::IN_A_PROCESS,
    })
}

/// A socket of its own goes with the process, and with it who waits there: then the process stays.
fn limits(arguments: &Serve) -> Limits {
    Limits {
        keep_alive: arguments.keep_alive,
        exit: match arguments.listen {
            Some(_) => KeepAlive::Ever,
            None => arguments.exit_idle,
        },
    }
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

/// What ends the process.
enum End {
    /// An order from outside: answers that are under way come to their end.
    Told,
    /// As [`End::Told`], but the next process begins with a smaller context.
    Shrink,
    /// Nobody wants anything, and nobody is connected.
    Idle,
    /// The model's thread has ended: no answer will end well any more.
    Broken,
}

/// Serves until the process is to end. An idle process looks whether somebody has come meanwhile when nothing is accepted
/// any more: whoever comes later waits in the socket's queue, and starts the next process.
async fn serve(sockets: Sockets, router: Router, mut watched: Watched) -> Result<()> {
    let door = Arc::new(Door::new(router, watched.life.clone()));
    let mut sockets = sockets.all();
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!("systemd cannot be told that inferd is ready: {error}");
    }
    let end = loop {
        let accepting = Accepting::start(&door, sockets);
        let end = watched.end().await;
        sockets = accepting.stop().await;
        if !matches!(end, End::Idle) || watched.life.may_leave() {
            break end;
        }
    };
    let time = match end {
        End::Told | End::Idle => STOP_TIME,
        End::Shrink => {
            tracing::warn!("memory is short: the engine begins anew with shorter conversations");
            STOP_TIME
        }
        // Its readers are told so, and that is all there is to do.
        End::Broken => FAREWELL_TIME,
    };
    Door::finish(door, time).await?;
    ensure!(
        !matches!(end, End::Broken),
        "the model's thread has ended; its last words are above"
    );
    Ok(())
}

/// What may end the process.
struct Watched {
    engine: Engine,
    life: Life,
    orders: Orders,
    ended: Ended,
    terminate: Signal,
    interrupt: Signal,
}

impl Watched {
    async fn end(&mut self) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Told,
            _ = self.interrupt.recv() => End::Told,
            () = self.ended.wait() => End::Broken,
            departure = self.life.run(&self.engine, &mut self.orders) => match departure {
                Departure::Idle => End::Idle,
                Departure::Shrink => End::Shrink,
            },
        }
    }
}

fn on(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("cannot listen for signals")
}
