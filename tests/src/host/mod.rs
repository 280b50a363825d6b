//! The three daemons on this host, without root: a bus of their own, and this program in systemd's place.

mod activation;
mod bus;
mod captured;
mod inetd;
mod socket_unit;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::rest::{EngineStatus, Status};
use machine::{Record, Sample};

use crate::client::{Client, Trust};
use crate::process::{self, Process, tail, tethered};
use crate::report::say;
use crate::wait;
use activation::Activator;
use bus::Bus;
use inetd::Inetd;

/// The daemons and the command.
const BUILT: [&str; 5] = ["hearthd", "inferd", "gateway", "setup", "hearth"];
/// The copied machine, in the stack's folder.
const MACHINE: &str = "machine";
/// What hearthd's laws were told, in the stack's folder.
const RECORDING: &str = "hearthd.jsonl";
/// Where a gateway listens that is not told where: at a port that the kernel chooses, which is then nobody else's.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// What the gateway's log says before an address for TLS, and before one for plain HTTP.
const TLS: &str = "listening on ";
const PLAIN: &str = "plain HTTP on ";
/// The file of its authority's certificate, in the stack's folder.
const AUTHORITY: &str = "ca.crt";
/// How long a daemon may take to be ready.
const READY: Duration = Duration::from_secs(30);

/// What differs between stacks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The store of models that cannot be changed, as the image's. Empty or absent: a stack whose engine has no model.
    pub models: PathBuf,
    /// Further arguments of `inferd serve`.
    pub inferd: Vec<String>,
    /// Where the gateway listens; a free port of the loopback if not given.
    pub listen: Option<SocketAddr>,
    /// The captured machine of `tests/machines` that hearthd works on a copy of. Without one it watches this host and
    /// changes nothing.
    pub machine: Option<&'static str>,
    /// A socket at which somebody else answers in inferd's place.
    pub engine: Option<PathBuf>,
    /// What the gateway reads the journal by; the system's own `journalctl` if not given.
    pub journalctl: Option<PathBuf>,
}

impl Options {
    /// With the models of this store, and the rest as usual.
    pub fn models(folder: &Path) -> Self {
        Self {
            models: folder.to_owned(),
            ..Self::default()
        }
    }

    /// With a captured machine for hearthd to work on.
    #[must_use]
    pub fn on(mut self, machine: &'static str) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Adds an argument of `inferd serve` with its value.
    #[must_use]
    pub fn inferd(mut self, flag: &str, value: impl ToString) -> Self {
        self.inferd.extend([flag.to_owned(), value.to_string()]);
        self
    }
}

/// The running daemons. All are killed, by their ids, when it is dropped.
#[derive(Debug)]
pub struct HostStack {
    // In the order in which they go: the door first, the bus last, then the folder.
    gateway: Process,
    import: Inetd,
    _setup: Inetd,
    inferd: Activator,
    hearthd: Process,
    _bus: Bus,
    folder: tempfile::TempDir,
    address: SocketAddr,
    plain: SocketAddr,
    trust: Trust,
    token: String,
}

impl HostStack {
    /// Starts everything but inferd, which starts on the first request, and waits until the gateway answers.
    pub fn start(options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("hearth-").tempdir()?;
        let place = folder.path();
        let bus = Bus::start(place)?;
        let hearthd = start_hearthd(place, &bus, options.machine)?;
        let inferd = Activator::start(
            &place.join("infer.sock"),
            &place.join("inferd.log"),
            inferd_args(place, options),
        )?;
        let import = Inetd::start(
            "inferd import-service",
            "inferd",
            &place.join("import.sock"),
            import_args(place, options),
        )?;
        let setup = Inetd::start(
            "setup serve",
            "setup",
            &place.join("setup.sock"),
            setup_args(place)?,
        )?;
        let token = first_token(place)?;
        let mut gateway = start_gateway(place, &bus, options)?;
        let address = address_of(&mut gateway, TLS)?;
        let plain = address_of(&mut gateway, PLAIN)?;
        let authority = authority_of(plain, place)?;
        let mut stack = Self {
            gateway,
            import,
            _setup: setup,
            inferd,
            hearthd,
            _bus: bus,
            folder,
            address,
            plain,
            trust: Trust::in_authority(&authority)?,
            token,
        };
        stack.wait_until_ready()?;
        Ok(stack)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let admin = self.admin();
        wait::until("the gateway and the agent", READY, || {
            self.gateway.check()?;
            self.hearthd.check()?;
            let Ok(answer) = admin.get("/api/v1/status") else {
                return Ok(None);
            };
            let status: Status = answer.expect(200)?.json()?;
            Ok(status.sample.map(|_| ()))
        })
    }

    /// A client of the gateway without a token.
    pub fn client(&self) -> Client {
        Client::tls(self.address, &self.trust)
    }

    /// The same without TLS.
    pub fn plain_client(&self) -> Client {
        Client::tcp(self.plain)
    }

    /// A client of the gateway with the first token.
    pub fn admin(&self) -> Client {
        self.client().with_token(&self.token)
    }

    /// Whose certificates its clients believe.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The first token, of role admin.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the gateway listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://ADDRESS`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The file of the gateway's authority, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join(AUTHORITY)
    }

    /// The folder of sockets, state and logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The gateway's local socket.
    pub fn local_socket(&self) -> PathBuf {
        self.folder.path().join("gateway.sock")
    }

    /// The store that models are added to.
    pub fn store(&self) -> PathBuf {
        store_of(self.folder.path())
    }

    /// Ids of the import service's processes that run now.
    pub fn import_pids(&self) -> Result<Vec<u32>> {
        self.import.pids()
    }

    /// What the engine says of itself, asked at its own socket.
    pub fn engine(&self) -> Result<EngineStatus> {
        Client::unix(&self.folder.path().join("infer.sock"))
            .get("/health")?
            .json()
    }

    /// inferd's process id, if it runs.
    pub fn inferd_pid(&self) -> Option<u32> {
        self.inferd.pid()
    }

    /// How often inferd was started.
    pub fn inferd_starts(&self) -> usize {
        self.inferd.starts()
    }

    /// What hearthd has logged.
    pub fn hearthd_log(&self) -> Result<String> {
        process::read_log(&self.folder.path().join("hearthd.log"))
    }

    /// What inferd has logged.
    pub fn inferd_log(&self) -> Result<String> {
        process::read_log(&self.folder.path().join("inferd.log"))
    }

    /// The process ids of those that must not restart: hearthd and the gateway. An error if one has ended.
    pub fn others(&mut self) -> Result<[u32; 2]> {
        self.hearthd.check()?;
        self.gateway.check()?;
        Ok([self.hearthd.pid(), self.gateway.pid()])
    }

    /// A file of the copied machine, by its path there.
    pub fn kernel_file(&self, path: &str) -> Result<String> {
        let path = self.folder.path().join(MACHINE).join(path);
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.trim().to_owned())
    }

    /// What hearthd's laws were told so far.
    pub fn samples(&self) -> Result<Vec<Sample>> {
        let recording = process::read_log(&self.folder.path().join(RECORDING))?;
        let whole = recording.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut samples = Vec::new();
        for line in whole.lines() {
            if let Record::Sample(sample) = serde_json::from_str(line).context("hearthd's recording")? {
                samples.push(*sample);
            }
        }
        Ok(samples)
    }

    /// The `hearth` command, to be given arguments. Nothing in the environment points it anywhere, and it believes the
    /// gateway's authority.
    pub fn hearth(&self) -> Result<Command> {
        let mut command = Command::new(daemon("hearth")?);
        command
            .env_remove("HEARTH_HOST")
            .env_remove("HEARTH_TOKEN")
            .env("HEARTH_CA", self.authority())
            .env("NO_COLOR", "1");
        Ok(command)
    }

    /// The ends of all logs.
    pub fn logs(&self) -> String {
        let names = ["hearthd", "inferd", "import", "setup", "gateway", "bus"];
        let ends = names.map(|name| {
            let log = process::read_log(&self.folder.path().join(format!("{name}.log")));
            format!(
                "-- {name} --\n{}\n",
                log.map_or_else(|error| error.to_string(), |log| tail(&log, 30))
            )
        });
        ends.concat()
    }
}

/// Starts a stack, runs a test with it, and shows the daemons' logs if the test fails.
pub fn with_stack<T>(options: &Options, test: impl FnOnce(&mut HostStack) -> Result<T>) -> Result<T> {
    let mut stack = HostStack::start(options)?;
    let result = test(&mut stack);
    if result.is_err() {
        say(&stack.logs());
    }
    result
}

/// Builds the daemons and the command into the folder that [`daemon`] finds them in.
pub fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--release", "--quiet"]);
    command.args(BUILT.iter().flat_map(|name| ["--package", name]));
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

/// A daemon or the command, as it was built into the folder of the running program.
pub fn daemon(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let place = own
        .ancestors()
        .skip(1)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    place.with_context(|| {
        format!(
            "no {name} in a folder above {}; build it: cargo build --release -p hearthd -p inferd -p gateway -p setup -p hearth",
            own.display()
        )
    })
}

/// A new store with one model, packed by the engine as it was built. It goes when it is dropped.
pub fn store_with(id: &str, file: &Path) -> Result<tempfile::TempDir> {
    let store = tempfile::Builder::new().prefix("hearth-models-").tempdir()?;
    import(store.path(), id, file)?;
    Ok(store)
}

/// Packs a GGUF file and puts it into a store.
pub fn import(store: &Path, id: &str, file: &Path) -> Result<()> {
    let mut command = Command::new(daemon("inferd")?);
    command.args(["import", "--name", id, "--store"]).arg(store);
    process::output(command.arg(file)).map(drop)
}

/// Removes a model from a store.
pub fn remove(store: &Path, id: &str) -> Result<()> {
    let mut command = Command::new(daemon("inferd")?);
    command.args(["remove", "--store"]).arg(store);
    process::output(command.arg(id)).map(drop)
}

fn start_hearthd(place: &Path, bus: &Bus, machine: Option<&str>) -> Result<Process> {
    let mut command = tethered(daemon("hearthd")?);
    command.args(["run", "--bus", bus.address()]);
    command.arg("--sockets").arg(place);
    command.arg("--record").arg(place.join(RECORDING));
    match machine {
        Some(name) => {
            captured::copy(name, &place.join(MACHINE))?;
            command.arg("--root").arg(place.join(MACHINE));
            command.arg("--runtime").arg(place);
        }
        None => drop(command.arg("--watch-only")),
    }
    Process::start("hearthd", command, &place.join("hearthd.log"))
}

fn start_gateway(place: &Path, bus: &Bus, options: &Options) -> Result<Process> {
    let address = options.listen.unwrap_or(ANY_PORT);
    let engine = options.engine.clone().unwrap_or_else(|| place.join("infer.sock"));
    let mut command = tethered(daemon("gateway")?);
    command.args(["serve", "--bus", bus.address(), "--listen", &address.to_string()]);
    command.args(["--listen-plain", &ANY_PORT.to_string()]);
    command.arg("--infer").arg(engine);
    command.arg("--import").arg(place.join("import.sock"));
    command.arg("--setup").arg(place.join("setup.sock"));
    command.arg("--arrival-socket").arg(place.join("arrival.sock"));
    command.arg("--local").arg(place.join("gateway.sock"));
    command.arg("--state").arg(place.join("gateway"));
    if let Some(journalctl) = &options.journalctl {
        command.arg("--journalctl").arg(journalctl);
    }
    Process::start("gateway", command, &place.join("gateway.log"))
}

/// Where a gateway listens, by the words before it in the log, once it has told so.
fn address_of(gateway: &mut Process, words: &str) -> Result<SocketAddr> {
    wait::until("the gateway's address", READY, || {
        gateway.check()?;
        address_after(words, &gateway.log()?)
    })
}

/// Fetches the authority's certificate as people do, and keeps it.
fn authority_of(plain: SocketAddr, place: &Path) -> Result<String> {
    let authority = wait::until("the gateway's authority", READY, || {
        Ok(Client::tcp(plain).get("/ca.crt").ok())
    })?;
    let (authority, path) = (authority.expect(200)?.text(), place.join(AUTHORITY));
    std::fs::write(&path, &authority).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(authority)
}

/// The address in the gateway's log, if its line is there.
fn address_after(words: &str, log: &str) -> Result<Option<SocketAddr>> {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut lines = whole.lines();
    let Some(address) = lines.find_map(|line| Some(line.split_once(words)?.1)) else {
        return Ok(None);
    };
    let address = address.trim().parse();
    address
        .map(Some)
        .with_context(|| format!("no address in {log:?}"))
}

fn first_token(place: &Path) -> Result<String> {
    let state = place.join("gateway");
    std::fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
    let made = process::output(
        Command::new(daemon("gateway")?)
            .arg("first-token")
            .arg("--state")
            .arg(&state),
    )?;
    let token = made.trim();
    if !token.starts_with("hearth_") {
        bail!("`gateway first-token` printed no token: {made:?}");
    }
    Ok(token.to_owned())
}

fn inferd_args(place: &Path, options: &Options) -> Vec<String> {
    let models = options.models.display().to_string();
    let store = store_of(place).display().to_string();
    let phases = place.join("phase.sock").display().to_string();
    let serve = [
        "serve",
        "--models",
        &models,
        "--models",
        &store,
        "--phase-socket",
        &phases,
    ];
    let serve = serve.map(str::to_owned).into_iter();
    serve.chain(options.inferd.iter().cloned()).collect()
}

fn import_args(place: &Path, options: &Options) -> Vec<String> {
    let image = options.models.display().to_string();
    let store = store_of(place).display().to_string();
    ["import-service", "--image", &image, "--store", &store]
        .map(str::to_owned)
        .into()
}

/// It works on a folder of its own, which has this host's time zones: nothing of this host is changed.
fn setup_args(place: &Path) -> Result<Vec<String>> {
    let root = place.join("root");
    let share = root.join("usr/share");
    std::fs::create_dir_all(&share)
        .and_then(|()| symlink("/usr/share/zoneinfo", share.join("zoneinfo")))
        .with_context(|| format!("cannot make {}", share.display()))?;
    Ok(vec![
        "--root".to_owned(),
        root.display().to_string(),
        "serve".to_owned(),
    ])
}

fn store_of(place: &Path) -> PathBuf {
    place.join("models")
}

/// An address of the loopback whose port was free a moment ago.
pub fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port on the loopback")?;
    Ok(listener.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_address_is_read_from_a_whole_line_of_its_log() {
        let line = "2026-01-01T00:00:00Z  INFO gateway::serve: listening on 127.0.0.1:41234";
        assert_eq!(address_after(TLS, "").unwrap(), None);
        assert_eq!(address_after(TLS, "no token yet\n").unwrap(), None);
        assert_eq!(address_after(TLS, line).unwrap(), None, "more digits may come");
        let address = address_after(TLS, &format!("no token yet\n{line}\nready\n")).unwrap();
        assert_eq!(address, Some(([127, 0, 0, 1], 41234).into()));
        assert!(address_after(TLS, "listening on nothing\n").is_err());
    }
}
