//! What the gateway bears: many requests, many streams, and many connections that say nothing.
//!
//! Clients come from many addresses of the loopback, as one alone may hold 64 connections (`agent/gateway/src/connections.rs`)
//! and, like each token, may only ask so often (`rates.rs`).

mod engine;
mod visitor;

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::rest::{CreatedToken, NewToken, Role};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use crate::host::{HostStack, Options, with_stack};
use visitor::{Answered, Door, Question, Visitor, address, knock, shake_hands};

/// Connections from one address.
const FROM_ONE: usize = 50;
/// Tokens among which the askers of a guarded path are divided.
const TOKENS: usize = 20;
/// The local socket takes this many connections.
const LOCAL: usize = 32;
/// Connections that say nothing, and how many come from one address.
const IDLE: usize = 10_000;
const IDLE_FROM_ONE: usize = 63;
/// So many must be open at the end: half of what the gateway takes (`MOST_NETWORK` in `connections.rs`).
const CROWDED: usize = 128;
/// Connections that are being opened at a time.
const OPENING: usize = 64;
/// Short chats, one after the other, with which it is compared how long they take beside those.
const CHATS: usize = 100;
/// The longest that a chat may take beside them: somebody who waits for an answer would not notice less.
const LONGEST_CHAT: Duration = Duration::from_secs(1);
/// Descriptors that the gateway may have on the appliance: systemd's `DefaultLimitNOFILE=`, the soft one.
const DESCRIPTORS: usize = 1024;

/// What came of one kind of load.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// Connections that were meant to be there at once.
    pub connections: usize,
    /// Answers to each second.
    pub answered: f64,
    /// Refusals by the limits on how often somebody may ask, in each second.
    pub refused: f64,
    /// MB of bodies in each second.
    pub megabytes: f64,
    /// How long an answer took: the median, and what one in a hundred took longer than.
    pub times: [Duration; 2],
    /// The gateway's share of one core.
    pub processor: f64,
    /// The gateway's PSS under load, in MiB.
    pub memory: f64,
}

/// What came of many connections that say nothing.
#[derive(Clone, Debug)]
pub struct Idle {
    /// What they did before.
    pub what: &'static str,
    /// How many came, and how many of them the gateway had still open at the end.
    pub connections: [usize; 2],
    /// How long a chat took beside them, and without them: the median and the longest.
    pub chats: [[Duration; 2]; 2],
    /// The gateway's PSS in MiB, before and with them.
    pub memory: [f64; 2],
    /// The most descriptors that the gateway had.
    pub descriptors: usize,
}

/// Everything that was measured.
#[derive(Clone, Debug)]
pub struct Load {
    /// Requests and streams.
    pub rows: Vec<Row>,
    /// Connections that say nothing.
    pub idle: Vec<Idle>,
}

impl Load {
    /// Measures each kind of load for so long. An error if something is not answered, or if a chat is starved.
    pub fn measure(time: Duration) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("hearth-load-").tempdir()?;
        let options = Options {
            engine: Some(folder.path().join("engine.sock")),
            ..Options::default()
        };
        let socket = folder.path().join("engine.sock");
        with_stack(&options, |stack| {
            let bench = Bench::new(stack, &socket, time)?;
            let rows = bench.rows()?;
            let idle = vec![
                bench.idle("say nothing", false)?,
                bench.idle("shake hands and say nothing", true)?,
            ];
            stack.others()?;
            Ok(Self { rows, idle })
        })
    }
}

struct Bench {
    runtime: Runtime,
    time: Duration,
    gateway: Gateway,
    tls: Door,
    local: Door,
    address: SocketAddr,
    tokens: Vec<String>,
}

impl Bench {
    fn new(stack: &mut HostStack, engine: &Path, time: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(async { engine::listen(engine) })?;
        // After the gateway's start: it has what it would have without.
        raise_limit()?;
        let make = |number| -> Result<String> {
            let new = NewToken {
                name: format!("load-{number}"),
                role: Role::Chat,
            };
            let made: CreatedToken = stack.admin().post("/api/v1/tokens", &new)?.expect(201)?.json()?;
            Ok(made.secret)
        };
        let tokens = (0..TOKENS).map(make).collect::<Result<_>>()?;
        let [_, pid] = stack.others()?;
        Ok(Self {
            runtime,
            time,
            gateway: Gateway { pid },
            tls: Door::Tls(stack.address(), stack.trust().clone()),
            local: Door::Local(stack.local_socket()),
            address: stack.address(),
            tokens,
        })
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let health = Question {
            method: "GET",
            path: "/api/v1/health",
            body: "",
            token: None,
        };
        let status = Question {
            path: "/api/v1/status",
            ..health.clone()
        };
        let stream = Question {
            method: "POST",
            path: "/v1/chat/completions",
            body: r#"{"model":"x","messages":[],"stream":true}"#,
            token: None,
        };
        Ok(vec![
            self.row("status, by the local socket", &self.local, &status, LOCAL)?,
            self.row(
                "status, 20 tokens from 4 addresses",
                &self.tls,
                &self.asked(&status),
                200,
            )?,
            self.row("health, for which nobody need be let in", &self.tls, &health, 200)?,
            self.row("streams of 64 events", &self.tls, &self.asked(&stream), 200)?,
        ])
    }

    /// The same question of somebody who may ask.
    fn asked(&self, question: &Question) -> Question {
        Question {
            token: self.tokens.first().cloned(),
            ..question.clone()
        }
    }

    fn row(&self, what: &str, door: &Door, question: &Question, connections: usize) -> Result<Row> {
        self.runtime.block_on(async {
            let barrier = Arc::new(Barrier::new(connections + 1));
            let mut askers = JoinSet::new();
            for number in 0..connections {
                let (door, barrier, time) = (door.clone(), barrier.clone(), self.time);
                let mut question = question.clone();
                if question.token.is_some() {
                    question.token = Some(self.tokens[number % TOKENS].clone());
                }
                askers.spawn(async move {
                    let visitor = Visitor::come(&door, address(number / FROM_ONE)).await;
                    barrier.wait().await;
                    ask_on(visitor?, &question, Instant::now() + time).await
                });
            }
            barrier.wait().await;
            let (began, worked) = (Instant::now(), self.gateway.processor()?);
            tokio::time::sleep(self.time / 2).await;
            let memory = self.gateway.memory()?;
            let mut answers = Vec::new();
            while let Some(asked) = askers.join_next().await {
                answers.extend(asked?.with_context(|| what.to_owned())?);
            }
            let seconds = began.elapsed().as_secs_f64();
            let worked = self.gateway.processor()? - worked;
            row(what, connections, &answers, seconds, worked, memory)
        })
    }

    /// What many connections that say nothing do to a chat.
    fn idle(&self, what: &'static str, shaking: bool) -> Result<Idle> {
        self.runtime.block_on(async {
            let before = self.gateway.memory()?;
            let alone = self.chats(CHATS).await?;
            let crowd = self.crowd(shaking);
            let mut crowd = std::pin::pin!(crowd);
            let (mut beside, mut held, mut descriptors) = (Vec::new(), None, 0);
            while held.is_none() || beside.len() < CHATS {
                let chat = self.chats(1);
                let chat = async { tokio::time::timeout(10 * LONGEST_CHAT, chat).await };
                let took = match held {
                    None => tokio::select! {
                        biased;
                        took = chat => took,
                        come = crowd.as_mut() => { held = Some(come?); continue; }
                    },
                    Some(_) => chat.await,
                };
                let took = took.context("a chat was starved")?;
                beside.extend(took.with_context(|| format!("a chat beside connections that {what}"))?);
                descriptors = descriptors.max(self.gateway.descriptors()?);
            }
            let held = held.unwrap_or_default();
            let idle = Idle {
                what,
                connections: [held.len(), held.iter().filter(|one| one.is_open()).count()],
                chats: [middle_and_longest(beside), middle_and_longest(alone)],
                memory: [before, self.gateway.memory()?],
                descriptors,
            };
            idle.must_be_harmless()?;
            Ok(idle)
        })
    }

    /// Opens connections, as many at a time as a network would.
    async fn crowd(&self, shaking: bool) -> Result<Vec<Held>> {
        let Door::Tls(_, trust) = &self.tls else {
            return Ok(Vec::new());
        };
        let opening = Arc::new(Semaphore::new(OPENING));
        let mut coming = JoinSet::new();
        for number in 0..IDLE {
            let turn = opening.clone().acquire_owned().await?;
            let (gateway, trust) = (self.address, trust.clone());
            coming.spawn(async move {
                let stream = knock(gateway, address(16 + number / IDLE_FROM_ONE)).await;
                let held = match stream {
                    // One that is closed under its handshake has come, too.
                    Ok(stream) if shaking => match shake_hands(stream, gateway, &trust).await {
                        Ok(stream) => Held::Shaken(Box::new(stream)),
                        Err(error) if was_closed(&error) => Held::Closed,
                        Err(error) => return Err(error.context("a handshake failed")),
                    },
                    Ok(stream) => Held::Silent(stream),
                    Err(error) => return Err(error),
                };
                drop(turn);
                Ok(held)
            });
        }
        let mut held = Vec::new();
        while let Some(come) = coming.join_next().await {
            held.push(come??);
        }
        Ok(held)
    }

    /// How long short chats take, one after the other, each by a connection of its own.
    async fn chats(&self, count: usize) -> Result<Vec<Duration>> {
        let question = Question {
            method: "POST",
            path: "/v1/chat/completions",
            body: r#"{"model":"x","messages":[],"stream":true}"#,
            token: self.tokens.first().cloned(),
        };
        let mut times = Vec::new();
        for _ in 0..count {
            let began = Instant::now();
            let mut visitor = Visitor::come(&self.tls, address(15)).await?;
            let answer = visitor.ask(&question).await?;
            ensure!(answer.status == 200, "a chat was answered {}", answer.status);
            times.push(began.elapsed());
        }
        Ok(times)
    }
}

/// Asks until it is time.
async fn ask_on(mut visitor: Visitor, question: &Question, end: Instant) -> Result<Vec<Answered>> {
    let mut answers = Vec::new();
    while Instant::now() < end {
        answers.push(visitor.ask(question).await?);
    }
    Ok(answers)
}

fn row(
    what: &str,
    connections: usize,
    answers: &[Answered],
    seconds: f64,
    worked: Duration,
    memory: f64,
) -> Result<Row> {
    let with = |status: u16| answers.iter().filter(move |answer| answer.status == status);
    let (good, refused) = (with(200).count(), with(429).count());
    ensure!(
        good > 0 && good + refused == answers.len(),
        "{what}: {good} answers and {refused} refusals of {}",
        answers.len()
    );
    let mut times: Vec<Duration> = with(200).map(|answer| answer.took).collect();
    times.sort_unstable();
    Ok(Row {
        what: what.to_owned(),
        connections,
        answered: good as f64 / seconds,
        refused: refused as f64 / seconds,
        megabytes: with(200).map(|answer| answer.bytes as f64 / 1e6).sum::<f64>() / seconds,
        times: [50, 99].map(|percent| times[times.len() * percent / 100]),
        processor: worked.as_secs_f64() / seconds,
        memory,
    })
}

fn middle_and_longest(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    [times.len() / 2, times.len() - 1].map(|index| times[index])
}

/// Whether the other end has closed a connection: nothing else makes room.
fn was_closed(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe)
    )
}

impl Idle {
    /// An error if a chat has waited too long beside them, or if the gateway came near the end of its descriptors; and if
    /// there was nobody beside whom to wait.
    fn must_be_harmless(&self) -> Result<()> {
        let [came, open] = self.connections;
        ensure!(
            open >= CROWDED,
            "of {came} connections that {} the gateway had {open} open at the end, and {CROWDED} are a crowd",
            self.what
        );
        let [[_, longest], _] = self.chats;
        ensure!(
            longest <= LONGEST_CHAT,
            "a chat beside connections that {} took {longest:?}",
            self.what
        );
        ensure!(
            self.descriptors < DESCRIPTORS,
            "the gateway has {} descriptors",
            self.descriptors
        );
        Ok(())
    }
}

/// A connection that is not closed by its client.
enum Held {
    Silent(TcpStream),
    Shaken(Box<TlsStream<TcpStream>>),
    Closed,
}

impl Held {
    /// Whether the gateway has it open still.
    fn is_open(&self) -> bool {
        let stream = match self {
            Self::Silent(stream) => stream,
            Self::Shaken(stream) => stream.get_ref().0,
            Self::Closed => return false,
        };
        // After a handshake there may be tickets to read; the end comes behind them.
        let mut bytes = [0; 16 << 10];
        loop {
            match stream.try_read(&mut bytes) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// The gateway's process, as the kernel sees it.
struct Gateway {
    pid: u32,
}

impl Gateway {
    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(name)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.file(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// PSS in MiB.
    fn memory(&self) -> Result<f64> {
        let text = self.read("smaps_rollup")?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        Ok(kib.context("no Pss in smaps_rollup")?.trim().parse::<f64>()? / 1024.0)
    }

    /// What it has worked so far.
    fn processor(&self) -> Result<Duration> {
        let text = self.read("schedstat")?;
        let nanoseconds = text.split_whitespace().next().context("an empty schedstat")?;
        Ok(Duration::from_nanos(nanoseconds.parse()?))
    }

    fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(self.file("fd"))?.count())
    }
}

/// Lets this program have as many descriptors as it may.
fn raise_limit() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = IDLE as u64 + 1024;
    ensure!(
        most >= wanted,
        "this user may open {most} files, and {wanted} are wanted: ulimit -Hn"
    );
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| {
                vec![
                    row.what.clone(),
                    row.connections.to_string(),
                    format!("{:.0}", row.answered),
                    format!("{:.0}", row.refused),
                    format!("{:.1}", row.megabytes),
                    milliseconds(row.times[0]),
                    milliseconds(row.times[1]),
                    format!("{:.0} %", row.processor * 100.0),
                    format!("{:.1}", row.memory),
                ]
            })
            .collect();
        let header = [
            "load",
            "connections",
            "answers/s",
            "429/s",
            "MB/s",
            "median ms",
            "99th ms",
            "of a core",
            "PSS MiB",
        ];
        writeln!(f, "{}\n", crate::report::table(&header, &rows))?;
        let rows: Vec<Vec<String>> = self
            .idle
            .iter()
            .map(|idle| {
                let [[beside, longest], [alone, _]] = idle.chats;
                vec![
                    format!("{} that {}", idle.connections[0], idle.what),
                    idle.connections[1].to_string(),
                    milliseconds(alone),
                    milliseconds(beside),
                    milliseconds(longest),
                    format!("{:.1}", idle.memory[0]),
                    format!("{:.1}", idle.memory[1]),
                    idle.descriptors.to_string(),
                ]
            })
            .collect();
        let header = [
            "connections",
            "open at the end",
            "chat alone, ms",
            "beside them",
            "the longest",
            "PSS before, MiB",
            "with them",
            "descriptors",
        ];
        write!(f, "{}", crate::report::table(&header, &rows))
    }
}
