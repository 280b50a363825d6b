//! The gateway's process.

use crate::{
    client::{Answer, Client, trusting},
    engine::{Call, DEADLINE, Engine},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rustls::ClientConfig;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
};
use tempfile::TempDir;

type Log = Arc<(Mutex<Vec<String>>, Condvar)>;

/// Everything that belongs to one gateway.
pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    hashes: Option<String>,
    bus: String,
}

impl Setup {
    /// Empty state.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        Self {
            folder,
            hashes: None,
            bus: "none".to_owned(),
        }
    }

    /// With hearthd on the bus at this address.
    pub(crate) fn on_bus(self, address: &str) -> Self {
        Self {
            bus: address.to_owned(),
            ..self
        }
    }

    /// With a credential of token hashes.
    pub(crate) fn with_hashes(hashes: &str) -> Self {
        Self {
            hashes: Some(hashes.to_owned()),
            ..Self::new()
        }
    }

    /// inferd's socket.
    pub(crate) fn engine_socket(&self) -> PathBuf {
        self.folder.path().join("infer.sock")
    }

    /// The import service's socket.
    pub(crate) fn import_socket(&self) -> PathBuf {
        self.folder.path().join("import.sock")
    }

    /// hearth-setup's socket.
    pub(crate) fn setup_socket(&self) -> PathBuf {
        self.folder.path().join("setup.sock")
    }

    /// Where hearthd hears of requests.
    pub(crate) fn arrival_socket(&self) -> PathBuf {
        self.folder.path().join("arrival.sock")
    }

    /// The program that reads the journal.
    pub(crate) fn journalctl(&self) -> PathBuf {
        self.folder.path().join("journalctl")
    }

    /// A file of the state folder.
    pub(crate) fn state(&self, file: &str) -> PathBuf {
        self.folder.path().join("state").join(file)
    }

    /// The token store.
    pub(crate) fn store(&self) -> PathBuf {
        self.state("tokens.json")
    }

    /// Runs the program with a subcommand.
    pub(crate) fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("CREDENTIALS_DIRECTORY");
        command
            .arg(subcommand)
            .arg("--state")
            .arg(self.folder.path().join("state"));
        if let Some(hashes) = &self.hashes {
            fs::write(self.folder.path().join("hearth.token-hashes"), hashes).unwrap();
            command.env("CREDENTIALS_DIRECTORY", self.folder.path());
        }
        command
    }

    /// The first token's text.
    pub(crate) fn first_token(&self) -> String {
        let output = self.command("first-token").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Where the local socket is made.
    pub(crate) fn local(&self) -> PathBuf {
        self.folder.path().join("gateway.sock")
    }

    /// The command that starts it, but for the local socket.
    pub(crate) fn serve_command(&self) -> Command {
        let mut command = self.command("serve");
        command
            .args(["--listen", "127.0.0.1:0", "--listen-plain", "127.0.0.1:0"])
            .args(["--bus", &self.bus, "--infer"])
            .arg(self.engine_socket())
            .arg("--import")
            .arg(self.import_socket())
            .arg("--setup")
            .arg(self.setup_socket())
            .arg("--journalctl")
            .arg(self.journalctl())
            .arg("--arrival-socket")
            .arg(self.arrival_socket());
        command
    }

    /// Starts the gateway and waits until it is ready.
    pub(crate) fn serve(&self) -> Gateway {
        let mut command = self.serve_command();
        command.arg("--local").arg(self.local());
        self.start(command)
    }

    /// Starts a command that serves and waits until it is ready.
    pub(crate) fn start(&self, mut command: Command) -> Gateway {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Log::default();
        collect(child.stderr.take().unwrap(), log.clone());
        wait_for_line(&log, "ready");
        if !self.setup_socket().exists() {
            // It asks hearth-setup at its start: who is bound there from now on is not asked that.
            wait_for_line(&log, "a factory reset that was ordered before");
        }
        let address_after = |text| {
            let line = wait_for_line(&log, text);
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        Gateway {
            address: address_after("listening on "),
            plain: address_after("plain HTTP on "),
            trust: trusting(&fs::read(self.state("tls-authority.pem")).unwrap()),
            local: self.local(),
            child,
            log,
        }
    }
}

fn collect(stderr: ChildStderr, log: Log) {
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            log.0.lock().unwrap().push(line.unwrap());
            log.1.notify_all();
        }
    });
}

fn wait_for_line(log: &Log, text: &str) -> String {
    wait_for_lines(log, text, 1)
}

/// The last of so many lines.
fn wait_for_lines(log: &Log, text: &str, count: usize) -> String {
    let find = |lines: &Vec<String>| {
        let mut found = lines.iter().filter(|line| line.contains(text));
        found.nth(count - 1).cloned()
    };
    let lines = log.0.lock().unwrap();
    let (lines, _) = log
        .1
        .wait_timeout_while(lines, DEADLINE, |lines| find(lines).is_none())
        .unwrap();
    find(&lines).unwrap_or_else(|| panic!("not {count} of {text:?} in {lines:#?}"))
}

/// A running gateway.
pub(crate) struct Gateway {
    child: Child,
    log: Log,
    pub(crate) local: PathBuf,
    /// Where it speaks TLS.
    pub(crate) address: SocketAddr,
    /// Where it speaks plain HTTP.
    pub(crate) plain: SocketAddr,
    /// A client that trusts its local authority.
    pub(crate) trust: Arc<ClientConfig>,
}

impl Gateway {
    /// A connection by TLS.
    pub(crate) fn client(&self) -> Client {
        Client::tls(self.address, &self.trust)
    }

    /// One request by plain HTTP.
    pub(crate) fn ask_plainly(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        Client::tcp(self.plain).ask(line, headers, body)
    }

    /// One request by TLS.
    pub(crate) fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        self.client().ask(line, headers, body)
    }

    /// One request by the local socket.
    pub(crate) fn ask_locally(&self, line: &str, body: &str) -> Answer {
        Client::unix(&self.local).ask(line, &[], body)
    }

    /// Waits for a log line that contains a text.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        wait_for_line(&self.log, text)
    }

    /// Waits for so many log lines that contain a text.
    pub(crate) fn wait_for_lines(&self, text: &str, count: usize) {
        wait_for_lines(&self.log, text, count);
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.0.lock().unwrap().join("\n")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGTERM).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A gateway with an engine behind it and a token for administration.
pub(crate) fn gateway_with_engine() -> (Setup, Gateway, Engine, String) {
    let setup = Setup::new();
    let header = format!("Authorization: Bearer {}", setup.first_token());
    let engine = Engine::listen(&setup.engine_socket());
    let gateway = setup.serve();
    (setup, gateway, engine, header)
}

/// A request on its way: the client that sent it, and the engine's end, where its head was read.
pub(crate) fn asked(
    gateway: &Gateway,
    engine: &Engine,
    header: &str,
    line: &str,
    body: &str,
) -> (Client, Call) {
    let mut client = gateway.client();
    client.send(line, &[header], body);
    let mut call = engine.next();
    call.head();
    (client, call)
}
