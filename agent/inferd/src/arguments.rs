//! The command line.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use kernels::kv::KvKind;
use kernels::pool::MAX_THREADS;

use crate::import_service::ImportService;
use crate::life::KeepAlive;
use crate::offline;
use crate::render;
use crate::size::{self, Size};

/// How many threads may compute.
const THREADS: RangeInclusive<i64> = 1..=MAX_THREADS as i64;

const EXAMPLES: &str = "Examples:
  inferd serve                                      on the sockets that systemd hands over
  inferd serve --models . --listen 127.0.0.1:8090   for development, with the models of this folder
  inferd serve --memory-budget 400M                 with at most so much of a model in memory

Settings by the environment, where the command line is silent: HEARTH_MODEL, HEARTH_MEMORY_BUDGET, HEARTH_THREADS,
HEARTH_CPU, HEARTH_KV, HEARTH_KV_MEMORY, HEARTH_KV_PARK_QUOTA, HEARTH_KEEP_ALIVE, HEARTH_EXIT_IDLE, HEARTH_SLOTS and
HEARTH_CONTEXT, with the values of the options of these names. One that cannot be used is told in the log and passed over.
On the appliance they come from hearth.toml on CONFIG.";

const BENCH_EXAMPLES: &str = "Examples:
  inferd bench -m model.gguf
  inferd bench --store /usr/share/hearth/models -m smollm2-135m-instruct
  inferd bench -m model.gguf -p 128,512 -n 32 -d 0,512,2048 -t 1,2 -r 3 --json";

/// Hearth's inference daemon.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer chat requests until told to stop.
    #[command(after_help = EXAMPLES)]
    Serve(Serve),
    /// Measure how fast models are here: prompts (pp) and generating (tg), as llama-bench does.
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(Bench),
    /// Pack a GGUF file and put it into a store.
    Import(offline::Import),
    /// Read models in a store and tell which of their blocks are damaged.
    Verify(offline::Verify),
    /// Write a model in a store as a GGUF file.
    Export(offline::Export),
    /// Remove a model from a store.
    Remove(offline::Remove),
    /// Serve one request about the models on the disk, on the connection that is standard input.
    #[command(hide = true)]
    ImportService(ImportService),
    /// Run the chat template that is on standard input for the conversation that is there, within limits.
    #[command(hide = true, name = render::COMMAND)]
    Render,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// A store of models, as `inferd import` makes it, or a folder of GGUF files; give it again for more. A model in an
    /// earlier folder hides one of the same name in a later one.
    #[arg(long, value_name = "DIR", default_values = ["/usr/share/hearth/models", "/var/lib/hearth/models"])]
    pub(crate) models: Vec<PathBuf>,
    /// The model that is loaded where nobody names one; `hearth model set --default` comes first.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// A TCP address to listen on beside inherited sockets.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Most memory for a model's weights, as 400M or 1.5G: those of a larger model are read again for each token, ahead of
    /// their use. All are mapped if nothing is said.
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory_budget: Option<Size>,
    /// Where hearthd hears what the engine does, so that clocks follow it. It need not be there.
    #[arg(long, value_name = "PATH", default_value = api::phase::PHASE_SOCKET)]
    pub(crate) phase_socket: PathBuf,
    /// Threads that compute; one for each core that this process may use if nothing is said.
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(THREADS))]
    pub(crate) threads: Option<u16>,
    /// Instructions that compute: scalar, avx2, avxvnni, avx512 or amx; the fastest by measurement if nothing is said.
    /// Answers do not depend on it.
    #[arg(long, value_name = "NAME", value_parser = kernels::path::Path::from_environment)]
    pub(crate) cpu: Option<kernels::path::Path>,
    /// How keys and values are kept: in 16 bits, or in 8 with half the memory.
    #[arg(long, value_enum, default_value_t = Kv::F16)]
    pub(crate) kv: Kv,
    /// A folder for what is measured once and kept, and for parked conversations.
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY")]
    pub(crate) state: Option<PathBuf>,
    /// Most memory for what was computed of conversations that wait for their next turn, which then need not be read
    /// again; 0: none is kept.
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = size::or_none)]
    pub(crate) kv_memory: Size,
    /// Most room in the state folder for conversations that were not gone on with for a minute; 0: none is written. What
    /// was said can be read from the files.
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = size::or_none)]
    pub(crate) kv_park_quota: Size,
    /// How long a model stays loaded after its last answer, as 30s, 5m, 1h30m or a number of seconds; 0: it goes at once,
    /// a negative one: it stays for ever. A request's `keep_alive` and the model's own setting come first.
    #[arg(long, value_name = "TIME", default_value = "5m", allow_hyphen_values = true)]
    pub(crate) keep_alive: KeepAlive,
    /// How long this process stays after the last answer, once the model is gone; a request on the socket that systemd
    /// holds starts the next one. Written as --keep-alive.
    #[arg(long, value_name = "TIME", default_value = "10m", allow_hyphen_values = true)]
    pub(crate) exit_idle: KeepAlive,
    /// Answers that are made at the same time; fewer where the memory is not enough for the conversations of so many.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u16).range(1..=64))]
    pub(crate) slots: u16,
    /// Most tokens of a conversation with its answer; a model that was trained for less has less, and so has one for
    /// which the memory is not enough.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = value_parser!(u32).range(64..=1_048_576))]
    pub(crate) context: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// A GGUF file, which is packed into `$XDG_CACHE_HOME/hearth/packed` first; give it again for more.
    #[arg(short, long = "model", value_name = "FILE", required_unless_present = "order")]
    pub(crate) models: Vec<PathBuf>,
    /// A store's folder; then models are names in it, and nothing is packed.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Lengths of prompts, tokens; 0: none.
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_value = "512")]
    pub(crate) prompt: Vec<usize>,
    /// Tokens to generate; 0: none.
    #[arg(
        short = 'n',
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "128"
    )]
    pub(crate) generate: Vec<usize>,
    /// Tokens that are there before each test begins.
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_value = "0")]
    pub(crate) depth: Vec<usize>,
    /// Threads that compute; one for each core that this process may use if nothing is said.
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', value_parser = value_parser!(u16).range(THREADS))]
    pub(crate) threads: Vec<u16>,
    /// Timed runs of each test; one before them is not counted.
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) repetitions: u32,
    /// Load the model once before, so that the time to load it is that of a model in memory.
    #[arg(long)]
    pub(crate) warm: bool,
    /// Leave out the measurement of the memory's bandwidth, which takes 256 MiB for each thread.
    #[arg(long)]
    pub(crate) no_bandwidth: bool,
    /// Print the results as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// What a process that this one starts is to do.
    #[arg(long, hide = true, value_name = "JSON")]
    pub(crate) order: Option<String>,
}

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kv {
    /// In 16 bits.
    F16,
    /// In 8 bits.
    Q8,
}

impl From<Kv> for KvKind {
    fn from(kv: Kv) -> Self {
        match kv {
            Kv::F16 => Self::F16,
            Kv::Q8 => Self::Q8,
        }
    }
}
