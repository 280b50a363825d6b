//! `hearth top` on a terminal of its own.

use crate::{
    command::{Local, end, hearth},
    gateway::DEADLINE,
};
use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

const STATUS: &str = r#"{"hostname":"kitchen","version":"1","uptime_seconds":1.0,"fingerprint":"AB:CD","capabilities":null,"sample":null,"supervision":null,"agent_problem":null,"engine":null}"#;
const SAMPLES: &str = r#"{"step_seconds":1,"columns":[],"rows":[[1,40.0,1.8e9,null,1e8,null,"idle"]]}"#;
const ENGINE: &str = r#"{"state":"stopped","phase":"idle","model":null,"queued":0,"active":0,"tokens_per_second":null,"quarantined":[]}"#;
/// Taking the other screen, and giving it back (xterm's private mode 1049).
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";

/// `hearth top` on a terminal, shown what there was before.
struct Shown {
    local: Local,
    child: Child,
    master: File,
    slave: OwnedFd,
    pieces: Receiver<String>,
    seen: String,
}

impl Shown {
    fn begin() -> Self {
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        let local = Local::new();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = hearth(&["top", "--socket"]);
        command
            .arg(local.socket())
            .env("TERM", "xterm")
            .env("NO_COLOR", "1");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (sender, pieces) = channel();
        let mut reader = File::from(pty.master.try_clone().unwrap());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read) = reader.read(&mut bytes) {
                let piece = String::from_utf8_lossy(&bytes[..read]).into_owned();
                if read == 0 || sender.send(piece).is_err() {
                    return;
                }
            }
        });
        for answer in [STATUS, SAMPLES, ENGINE, r#"{"jobs":[]}"#] {
            local.gateway.next().answer("200 OK", answer);
        }
        Self {
            local,
            child,
            master: File::from(pty.master),
            slave: pty.slave,
            pieces,
            seen: String::new(),
        }
    }

    /// Waits until the terminal has been sent a text.
    fn wait_for(&mut self, text: &str) {
        let begin = Instant::now();
        while !self.seen.contains(text) {
            let left = DEADLINE.saturating_sub(begin.elapsed());
            let piece = self.pieces.recv_timeout(left);
            self.seen
                .push_str(&piece.unwrap_or_else(|_| panic!("{text:?} is not shown: {:?}", self.seen)));
        }
    }

    /// Waits for the program's end, and looks at what it has left.
    fn has_given_back(mut self) {
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.wait_for(GIVEN_BACK);
        let flags = tcgetattr(&self.slave).unwrap().local_flags;
        assert!(
            flags.contains(LocalFlags::ECHO | LocalFlags::ICANON),
            "what is typed is seen again: {flags:?}"
        );
    }
}

#[test]
fn what_happens_is_shown_and_q_gives_the_terminal_back() {
    let mut shown = Shown::begin();
    let mut call = shown.local.gateway.next();
    assert!(call.head.starts_with("get /api/v1/events "), "{}", call.head);
    call.begin();
    shown.wait_for(TAKEN);
    shown.wait_for("kitchen");
    let event = "event: alert\ndata: {\"level\":\"error\",\"message\":\"toohot\",\"time\":\"x\"}\n\n";
    call.write(&format!("{:x}\r\n{event}\r\n", event.len()));
    shown.wait_for("toohot");
    shown.master.write_all(b"q").unwrap();
    shown.has_given_back();
}

#[test]
fn ctrl_c_and_a_signal_give_the_terminal_back() {
    let mut shown = Shown::begin();
    shown.wait_for("kitchen");
    shown.master.write_all(b"\x03").unwrap();
    shown.has_given_back();
    let mut shown = Shown::begin();
    shown.wait_for("kitchen");
    kill(Pid::from_raw(shown.child.id().cast_signed()), Signal::SIGTERM).unwrap();
    shown.has_given_back();
}

#[test]
fn a_gateway_that_hangs_up_is_told_of() {
    let mut shown = Shown::begin();
    drop(shown.local.gateway.next());
    shown.wait_for("Gateway");
    shown.master.write_all(b"q").unwrap();
    shown.has_given_back();
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let ended = end(hearth(&["top"]).spawn().unwrap());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("hearth events"), "{}", ended.stderr);
}
