//! Where a template is run: here, or in a process of its own that the kernel holds to limits.
//!
//! A process for each conversation, and none between: it costs about two milliseconds, keeps nothing resident while
//! nobody asks, and what a template does to it, nobody else notices. Its program answers by [`answer`], which is the only
//! thing it does.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::jinja::{Conversation, Jinja, STACK_BYTES, with_stack};
use super::{Message, Role};
use crate::activity::Pulse;

/// Seconds of the processor that a template may take for a conversation: the longest that is real takes a twentieth.
const CPU_SECONDS: u64 = 5;
/// How long a process may take in all, whatever it waits for: on a busy machine, or a slowed one, its own seconds of the
/// processor take several times as long.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the pulse beats until then: what ends in any case is no standstill.
const BEAT: Duration = Duration::from_secs(1);
/// Memory that it may take beside its stack, in bytes: its program, the conversation several times over, and room.
const MEMORY_BYTES: u64 = 384 << 20;

/// Where templates are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renderer {
    /// In this process. Its memory is not bounded: for templates that are trusted, and programs that end anyway.
    Here,
    /// In a process of its own for each conversation.
    Process {
        /// The program, which is to call [`answer`].
        program: &'static str,
        /// What it is told.
        argument: &'static str,
    },
}

/// A template that is ready to be run.
pub(super) enum Prepared {
    Here(Box<Jinja>),
    Process {
        program: &'static str,
        argument: &'static str,
        source: String,
        wait: Wait,
    },
}

/// Why there is no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RenderError {
    /// The template refuses the conversation, or is stopped.
    Refused(String),
    /// There is no process to run it in.
    Failed(String),
}

/// What a process is given, as JSON on its standard input.
#[derive(Serialize, Deserialize)]
struct Job<'a> {
    #[serde(borrow)]
    template: Cow<'a, str>,
    /// Nothing if the template is only to be compiled.
    #[serde(borrow)]
    said: Option<Said<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    turns: Vec<(Role, Cow<'a, str>)>,
    #[serde(borrow)]
    bos: Cow<'a, str>,
    #[serde(borrow)]
    eos: Cow<'a, str>,
}

/// Longest reason that a process tells, in bytes.
const LONGEST_REASON: usize = 16 << 10;
/// What a process's answer begins with: the text follows, or why there is none.
const RENDERED: u8 = b'+';
const REFUSED: u8 = b'-';

impl Renderer {
    /// Compiles a template, or has it compiled to see that it can be. The pulse beats for as long as a process is waited
    /// for, now and later, which is never for ever.
    pub(super) fn prepare(self, source: &str, pulse: &Pulse) -> Result<Prepared, RenderError> {
        let wait = Wait {
            patience: PATIENCE,
            beat: BEAT,
            pulse: pulse.clone(),
        };
        self.prepare_in(source, wait)
    }

    fn prepare_in(self, source: &str, wait: Wait) -> Result<Prepared, RenderError> {
        match self {
            Self::Here => with_stack(|| Jinja::compile(source))
                .map(|jinja| Prepared::Here(Box::new(jinja)))
                .map_err(RenderError::Refused),
            Self::Process { program, argument } => {
                run(program, argument, source, None, &wait)?;
                Ok(Prepared::Process {
                    program,
                    argument,
                    source: source.to_owned(),
                    wait,
                })
            }
        }
    }
}

impl Prepared {
    /// The text of a conversation.
    pub(super) fn render(&self, conversation: &Conversation) -> Result<String, RenderError> {
        match self {
            Self::Here(jinja) => jinja.render(conversation).map_err(RenderError::Refused),
            Self::Process {
                program,
                argument,
                source,
                wait,
            } => run(program, argument, source, Some(conversation), wait),
        }
    }
}

/// How a process is waited for.
pub(super) struct Wait {
    /// How long at most.
    patience: Duration,
    /// How often the pulse beats until then.
    beat: Duration,
    pulse: Pulse,
}

/// Has a process do one job.
fn run(
    program: &str,
    argument: &str,
    template: &str,
    conversation: Option<&Conversation>,
    wait: &Wait,
) -> Result<String, RenderError> {
    let none = |error: io::Error| RenderError::Failed(format!("no process for its template: {error}"));
    let failed = |error: io::Error| RenderError::Failed(format!("the process of its template: {error}"));
    let job = serde_json::to_vec(&job(template, conversation)).map_err(|error| none(error.into()))?;
    let limit = conversation.map_or(0, Conversation::limit) + LONGEST_REASON;
    // Nothing of this process is its: not the environment, and no descriptor, for all are closed when it begins.
    let mut child = Command::new(program)
        .arg(argument)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(none)?;
    let exchanged = within(wait, &mut child, |child| exchange(child, &job, limit));
    if exchanged.is_err() {
        // It may have ended already.
        let _ended = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    match exchanged.map_err(failed)?.split_first() {
        Some((&RENDERED, text)) if status.success() => text_of(text).map_err(RenderError::Refused),
        Some((&REFUSED, reason)) if status.success() => Err(RenderError::Refused(
            text_of(reason).unwrap_or_else(|error| error),
        )),
        _ => Err(ended(status)),
    }
}

fn job<'a>(template: &'a str, conversation: Option<&Conversation<'a>>) -> Job<'a> {
    let said = conversation.map(|conversation| Said {
        turns: conversation
            .messages
            .iter()
            .map(|message| (message.role, message.content.as_str().into()))
            .collect(),
        bos: conversation.bos.into(),
        eos: conversation.eos.into(),
    });
    let template = template.into();
    Job { template, said }
}

/// Does something with a process that ends at the latest when the process does, which is killed after that time.
fn within<T>(
    wait: &Wait,
    child: &mut Child,
    work: impl FnOnce(&mut Child) -> io::Result<T>,
) -> io::Result<T> {
    // Its id is nobody else's before it was waited for, which is after this.
    let process = Pid::from_raw(child.id().cast_signed());
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let timer = thread::Builder::new().name("patience".to_owned());
        let timer = timer.spawn_scoped(scope, move || {
            let deadline = Instant::now() + wait.patience;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if waiting.recv_timeout(left.min(wait.beat)) != Err(RecvTimeoutError::Timeout) {
                    return false;
                }
                if left <= wait.beat {
                    // It may have ended just now.
                    return kill(process, Signal::SIGKILL).is_ok();
                }
                wait.pulse.beat();
            }
        })?;
        let worked = work(child);
        drop(done);
        if timer.join().unwrap_or(false) {
            return Err(io::Error::other(format!(
                "it has not answered in {} ms and was killed; memory or the disk may be busy",
                wait.patience.as_millis()
            )));
        }
        worked
    })
}

/// Gives a process its job and takes what it says. One that ends before it has read the job says nothing.
fn exchange(child: &mut Child, job: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    if let Some(mut input) = child.stdin.take() {
        match input.write_all(job) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(limit as u64 + 1).read_to_end(&mut answer)?;
    }
    if answer.len() > limit {
        return Err(io::Error::other("it says more than it may"));
    }
    Ok(answer)
}

fn text_of(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
}

/// What it means that a process has ended without an answer.
fn ended(status: ExitStatus) -> RenderError {
    let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
    match signal {
        Some(Signal::SIGXCPU) => RenderError::Refused(format!(
            "it takes more than {CPU_SECONDS} s of the processor; send fewer messages"
        )),
        // By the kernel, whose choice it is where memory is short: no template's own limit ends it like that.
        Some(Signal::SIGKILL) => RenderError::Failed(
            "the process of its template was killed; memory may be short: try again later".to_owned(),
        ),
        // An allocation that fails, and a stack that is used up.
        Some(Signal::SIGABRT) => RenderError::Refused(format!(
            "it takes more than {} MiB of memory; send fewer messages",
            MEMORY_BYTES >> 20
        )),
        Some(Signal::SIGSEGV | Signal::SIGBUS) => {
            RenderError::Refused("it nests deeper than there is stack".to_owned())
        }
        _ => RenderError::Failed(format!("the process of its template ended with {status}")),
    }
}

/// Does the one job that is on standard input, within limits that it sets itself first, and answers on standard output.
/// For the program of a [`Renderer::Process`].
pub fn answer() -> io::Result<()> {
    limit()?;
    let mut job = Vec::new();
    io::stdin().lock().read_to_end(&mut job)?;
    let (verdict, text) = match with_stack(|| work(&job)) {
        Ok(text) => (RENDERED, text),
        Err(reason) => (REFUSED, reason.chars().take(LONGEST_REASON / 4).collect()),
    };
    let mut output = io::stdout().lock();
    output.write_all(&[verdict])?;
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Where a limit is reached, the process ends by a signal, and leaves no core.
fn limit() -> io::Result<()> {
    let memory = STACK_BYTES as u64 + MEMORY_BYTES;
    setrlimit(Resource::RLIMIT_AS, memory, memory)?;
    setrlimit(Resource::RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 1)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    // No file but its standard ones, which are open.
    setrlimit(Resource::RLIMIT_NOFILE, 3, 3)?;
    Ok(())
}

fn work(job: &[u8]) -> Result<String, String> {
    let job: Job = serde_json::from_slice(job).map_err(|error| error.to_string())?;
    let jinja = Jinja::compile(&job.template)?;
    let Some(said) = job.said else {
        return Ok(String::new());
    };
    let turns = said.turns.into_iter();
    let messages: Vec<Message> = turns
        .map(|(role, content)| Message {
            role,
            content: content.into_owned(),
        })
        .collect();
    jinja.render(&Conversation {
        messages: &messages,
        bos: &said.bos,
        eos: &said.eos,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_says_nothing_is_given_up() {
        let pulse = Pulse::default();
        let prepare = |program, argument, milliseconds| {
            let wait = Wait {
                patience: Duration::from_millis(milliseconds),
                beat: Duration::from_millis(10),
                pulse: pulse.clone(),
            };
            let renderer = Renderer::Process { program, argument };
            renderer.prepare_in("", wait).map(drop)
        };
        let silent = prepare("/bin/sleep", "600", 100);
        assert!(
            matches!(&silent, Err(RenderError::Failed(reason)) if reason.contains("has not answered in 100 ms")),
            "{silent:?}"
        );
        assert!(pulse.count() > 0, "it was waited for, which is no standstill");
        let early = prepare("/bin/true", "", 600_000);
        assert!(
            matches!(&early, Err(RenderError::Failed(reason)) if reason.contains("exit status: 0")),
            "{early:?}"
        );
    }

    #[test]
    fn who_is_killed_from_outside_is_no_mistake_of_the_request() {
        let killed = ended(ExitStatus::from_raw(Signal::SIGKILL as i32));
        assert!(
            matches!(&killed, RenderError::Failed(reason) if reason.contains("memory may be short")),
            "{killed:?}"
        );
        let long = ended(ExitStatus::from_raw(Signal::SIGXCPU as i32));
        assert!(matches!(long, RenderError::Refused(_)), "{long:?}");
    }
}
