//! Jinja: a template's code, compiled and run within limits of steps and of what its filters go through.
//!
//! What these limits do not reach, operators (`~`, `*`, `in`), captured blocks and comparisons, only a process of its own
//! can bound: [`super::renderer`].

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::thread;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};

use super::{Message, work};

/// Stack to compile any template of the greatest length with, and to drop or show values nested as deep as [`FUEL`] lets
/// them be: under 100 MiB was seen. Only what is touched takes memory. Compiling brings a thread of its own; who calls
/// [`Jinja::render`] has to have one.
pub(crate) const STACK_BYTES: usize = 256 << 20;
/// Instructions that a template may run for one conversation: ten times what the longest conversation needs.
const FUEL: u64 = 2_000_000;
/// How much longer than the messages a rendered conversation may be, in bytes, beside a factor of four.
const RENDERED_MARGIN: usize = 1 << 20;

/// What a template is given.
#[derive(Clone, Copy)]
pub(super) struct Conversation<'a> {
    pub(super) messages: &'a [Message],
    /// The text of the token that a sequence begins with.
    pub(super) bos: &'a str,
    /// The text of the token that a sequence ends with.
    pub(super) eos: &'a str,
}

impl Conversation<'_> {
    /// Most bytes that it may become.
    pub(super) fn limit(&self) -> usize {
        let said: usize = self.messages.iter().map(|message| message.content.len()).sum();
        RENDERED_MARGIN + said * 4
    }
}

/// A compiled template.
pub(super) struct Jinja(Environment<'static>);

impl Jinja {
    /// Compiles a template, on whatever stack there is.
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        environment(source).map(Self).map_err(|error| error.to_string())
    }

    /// The text of a conversation, or why the template refuses it.
    pub(super) fn render(&self, conversation: &Conversation) -> Result<String, String> {
        let refused = |error: minijinja::Error| reason(&error);
        let template = self.0.get_template("chat").map_err(refused)?;
        let turn =
            |message: &Message| context! { role => message.role.name(), content => message.content.as_str() };
        let turns: Value = conversation.messages.iter().map(turn).collect();
        let context = context! {
            messages => turns,
            add_generation_prompt => true,
            bos_token => conversation.bos,
            eos_token => conversation.eos,
        };
        let mut output = Bounded {
            bytes: Vec::new(),
            limit: conversation.limit(),
        };
        template
            .render_captured_to(context, &mut output)
            .map_err(refused)?;
        String::from_utf8(output.bytes).map_err(|error| error.to_string())
    }
}

/// Works on a thread with [`STACK_BYTES`], whoever calls: a chain of operators takes a few frames for each of them.
pub(super) fn with_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("template".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| format!("there is no thread to compile it: {error}"))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn reason(error: &minijinja::Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps; send fewer messages".to_owned(),
        _ => error.detail().map_or_else(|| error.to_string(), str::to_owned),
    }
}

fn environment(source: &str) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    // As Hugging Face's transformers set up Jinja, for which the templates were written.
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_fuel(Some(FUEL));
    work::limit(&mut environment);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_template_owned("chat", source.to_owned())?;
    Ok(environment)
}

/// Takes what is rendered, up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::Error::other("the rendered conversation is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
