//! What the gateway costs, in time and memory: `just bench`.

#![allow(clippy::unwrap_used, reason = "a failure ends the measurement")]
#![allow(
    dead_code,
    reason = "the suite's engine and client can do more than is measured"
)]

#[path = "../tests/suite/client.rs"]
mod client;
#[path = "../tests/suite/engine.rs"]
mod engine;
#[path = "../tests/suite/process.rs"]
mod process;

use client::Client;
use engine::Engine;
use process::{Gateway, asked, gateway_with_engine};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const ROUNDS: usize = 5000;

fn main() {
    time_and_memory();
    time_of_a_handshake();
    time_of_a_streamed_event();
}

fn time_and_memory() {
    let (setup, gateway, engine, token) = gateway_with_engine();
    println!("idle:  {}", pss(&gateway));
    let socket = setup.engine_socket();
    let engine = answer_always(engine);
    let direct = measure(|| assert_eq!(Client::unix(&socket).ask("GET /v1/x", &[], "").status, 200));
    let mut client = gateway.client();
    let through = measure(|| assert_eq!(client.ask("GET /v1/x", &[&token], "").status, 200));
    drop((client, engine));
    println!("a request to the engine itself: {direct}; through the gateway: {through}");
    println!("after: {}", pss(&gateway));
}

/// With a client that has not been there before, and with one that resumes its session.
fn time_of_a_handshake() {
    let (setup, gateway, _engine, _token) = gateway_with_engine();
    let pem = std::fs::read(setup.state("tls-authority.pem")).unwrap();
    let front = |mut client: Client| assert_eq!(client.ask("GET /", &[], "").status, 200);
    let new = measure(|| front(Client::tls(gateway.address, &client::trusting(&pem))));
    let again = measure(|| front(gateway.client()));
    println!("a connection with its first request, client included: {new}; resumed: {again}");
    let open: Vec<Client> = (0..60).map(|_| gateway.client()).collect();
    println!("with {} idle connections: {}", open.len(), pss(&gateway));
}

fn time_of_a_streamed_event() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let (mut client, mut call) = asked(&gateway, &engine, &token, "POST /v1/chat/completions", "{}");
    call.begin("text/event-stream");
    client.head();
    let event = format!("data: {}\n\n", "x".repeat(200));
    let through = measure(|| {
        call.chunk(&event);
        assert_eq!(client.chunk().unwrap().len(), event.len());
    });
    println!("an event from the engine's write to the client's read: {through}");
    println!("streaming: {}", pss(&gateway));
}

fn answer_always(engine: Engine) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for _ in 0..2 * ROUNDS {
            let mut call = engine.next();
            call.head();
            call.answer("{}");
        }
    })
}

fn measure(mut round: impl FnMut()) -> String {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            round();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let [median, slow] = [50, 99].map(|percent| times[ROUNDS * percent / 100].as_micros());
    format!("median {median} µs, 99th percentile {slow} µs")
}

fn pss(gateway: &Gateway) -> String {
    let path = format!("/proc/{}/smaps_rollup", gateway.pid());
    let text = std::fs::read_to_string(Path::new(&path)).unwrap();
    text.lines()
        .filter(|line| line.starts_with("Pss:") || line.starts_with("Pss_Anon"))
        .collect::<Vec<_>>()
        .join(" ")
}
