//! Log lines: one for each request, never its text.

use std::fmt::Debug;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use engine::request::{FinishReason, Summary};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::admission::Admitted;
use crate::life::Asking;
use crate::screen::one_line;

/// Sends log lines to standard error, which is the journal's in a unit. `/run/systemd/journal` is hidden from it there.
pub(crate) fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(fields())
        .with_writer(std::io::stderr)
        // Else a line that cannot be written to a closed standard error is reported there, which panics.
        .log_internal_errors(false)
        .with_ansi(colour);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        lines.without_time().init();
    } else {
        lines.init();
    }
}

/// Fields of which none ends the line: errors name what was found in model files.
fn fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    let field = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        let value = one_line(format_args!("{value:?}"));
        match field.name() {
            "message" => write!(writer, "{value}"),
            name => write!(writer, "{name}={value}"),
        }
    };
    debug_fn(field).delimited(" ")
}

/// The log line of one request, written when it is dropped: that is when the request ends, however it ends.
pub(crate) struct RequestLine {
    id: String,
    model: String,
    streamed: bool,
    received: Instant,
    /// How old the process was then, if this is its first request.
    start: Option<Duration>,
    /// When it had a slot, and how long the model was loaded for it.
    begun: Option<Duration>,
    loading: Option<Duration>,
    first_text: Option<Duration>,
    prompt_tokens: usize,
    outcome: Outcome,
    /// The engine is not idle for as long as this is there.
    asking: Option<Asking>,
}

enum Outcome {
    Cancelled,
    Finished(Summary),
    Failed(String),
}

impl RequestLine {
    /// For a request that has just come in.
    pub(crate) fn new(id: &str, model: &str, streamed: bool, admitted: Option<Admitted>) -> Self {
        let (asking, start) = admitted.map(|admitted| (admitted.asking, admitted.start)).unzip();
        Self {
            id: id.to_owned(),
            model: model.to_owned(),
            streamed,
            received: Instant::now(),
            start: start.flatten(),
            begun: None,
            loading: None,
            first_text: None,
            prompt_tokens: 0,
            outcome: Outcome::Cancelled,
            asking,
        }
    }

    pub(crate) fn started(&mut self, prompt_tokens: usize, loading: Option<Duration>) {
        self.prompt_tokens = prompt_tokens;
        self.begun = Some(self.received.elapsed());
        self.loading = loading;
        if let Some(asking) = &mut self.asking {
            asking.answered();
        }
    }

    pub(crate) fn text(&mut self) {
        self.first_text.get_or_insert_with(|| self.received.elapsed());
    }

    pub(crate) fn finished(&mut self, summary: Summary) {
        self.outcome = Outcome::Finished(summary);
    }

    pub(crate) fn failed(&mut self, reason: impl std::fmt::Display) {
        self.outcome = Outcome::Failed(reason.to_string());
    }

    /// From the slot to the first text.
    fn prefill(&self) -> Option<Duration> {
        self.first_text?.checked_sub(self.begun?)
    }

    /// Tokens per second after the first text.
    fn speed(&self, tokens: usize) -> Option<f64> {
        let decoding = self
            .received
            .elapsed()
            .checked_sub(self.first_text?)?
            .as_secs_f64();
        (tokens > 1 && decoding > 0.0).then(|| (tokens - 1) as f64 / decoding)
    }
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        let (id, model, streamed, prompt) = (&self.id, &self.model, self.streamed, self.prompt_tokens);
        let milliseconds = |time: Option<Duration>| time.map(|time| time.as_millis() as u64);
        let first = milliseconds(self.first_text);
        let total = self.received.elapsed().as_millis() as u64;
        match &self.outcome {
            Outcome::Finished(summary) => tracing::info!(
                id,
                model,
                streamed,
                prompt_tokens = prompt,
                cached_tokens = summary.reused_tokens,
                completion_tokens = summary.completion_tokens,
                finish = match summary.reason {
                    FinishReason::Stop => "stop",
                    FinishReason::Length => "length",
                },
                start_ms = milliseconds(self.start),
                load_ms = milliseconds(self.loading),
                prefill_ms = milliseconds(self.prefill()),
                time_to_first_text_ms = first,
                total_ms = total,
                tokens_per_second = self.speed(summary.completion_tokens),
                "answered"
            ),
            Outcome::Failed(reason) => {
                tracing::warn!(
                    id,
                    model,
                    streamed,
                    prompt_tokens = prompt,
                    total_ms = total,
                    reason,
                    "failed"
                );
            }
            Outcome::Cancelled => tracing::info!(
                id,
                model,
                streamed,
                prompt_tokens = prompt,
                time_to_first_text_ms = first,
                total_ms = total,
                "cancelled"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_log_line_is_one_line() {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        let lines = tracing_subscriber::fmt().fmt_fields(fields()).with_writer(writer);
        let name = "x\x1b[2J\nerror: fake";
        tracing::subscriber::with_default(lines.with_ansi(false).finish(), || {
            tracing::warn!(model = 7, problem = %name, "tensor `{name}` is wrong");
        });
        let mut written = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut written).unwrap();
        let escaped = "x\\u{1b}[2J\\nerror: fake";
        let expected = format!("tensor `{escaped}` is wrong model=7 problem={escaped}\n");
        assert!(written.ends_with(&expected), "{written}");
        assert_eq!(written.lines().count(), 1);
    }
}
