//! The model's own chat template, and how a conversation becomes tokens through it.
//!
//! A template is Jinja code out of the model file. What people write must not become the template's marks: text that
//! spells `<|im_end|>` stays text. So before rendering, a character that no message has is put inside each mark that
//! a message spells; after rendering, marks are looked for, and then that character is taken out again.

mod work;

use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};
use store::metadata::Metadata;

use crate::error::{LoadError, RequestError};
use crate::keys::Keys;
use crate::quote::quoted;
use crate::vocabulary::Vocabulary;

/// The key of the template.
pub(crate) const KEY: &str = "tokenizer.chat_template";
/// Longest template, in bytes; the longest that are real have a third of it. A longer one could nest its code so deep
/// that compiling it takes more stack than there is.
const MAX_TEMPLATE_BYTES: usize = 64 << 10;
/// Stack to compile any template up to that length with, and to drop or show values nested as deep as [`FUEL`] lets
/// them be: under 100 MiB was seen. Only what is touched takes memory. Compiling brings a thread of its own; who calls
/// [`ChatTemplate::tokens`] has to have one.
pub(crate) const STACK_BYTES: usize = 256 << 20;
/// Instructions that a template may run for one conversation: ten times what the longest conversation needs.
const FUEL: u64 = 2_000_000;
/// How much longer than the messages a rendered conversation may be, in bytes, beside a factor of four.
const RENDERED_MARGIN: usize = 1 << 20;
/// Noncharacters: code points that Unicode will never give a meaning, and that no text interchanges.
const SEPARATORS: std::ops::RangeInclusive<char> = '\u{FDD0}'..='\u{FDEF}';

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one who sets the task.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The name that templates know.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles the one in GGUF metadata.
    pub fn read(metadata: &Metadata, path: &Path, vocabulary: &Vocabulary) -> Result<Self, LoadError> {
        let keys = Keys::new(metadata, path);
        let source = keys
            .text(KEY)?
            .ok_or_else(|| keys.problem(KEY, "is missing: this model was not made for conversations"))?;
        if source.len() > MAX_TEMPLATE_BYTES {
            let problem = format!(
                "has {} bytes; at most {MAX_TEMPLATE_BYTES} are allowed",
                source.len()
            );
            return Err(keys.problem(KEY, problem));
        }
        let count = keys.texts("tokenizer.ggml.tokens")?.len();
        let spelling = |key| -> Result<String, LoadError> {
            let id = keys.token(key, count)?;
            let spelling = id.and_then(|id| vocabulary.spelling(id));
            Ok(spelling.unwrap_or_default().to_owned())
        };
        let environment = compile(source).map_err(|error| LoadError::Template {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self {
            environment,
            bos: spelling("tokenizer.ggml.bos_token_id")?,
            eos: spelling("tokenizer.ggml.eos_token_id")?,
        })
    }

    /// The tokens of a conversation, with the beginning of the assistant's answer.
    pub fn tokens(&self, messages: &[Message], vocabulary: &Vocabulary) -> Result<Vec<u32>, RequestError> {
        let separator = unused_character(messages)?;
        let guarded: Vec<Message> = messages
            .iter()
            .map(|message| Message {
                content: guard(&message.content, vocabulary, separator),
                ..message.clone()
            })
            .collect();
        let rendered = self.render(&guarded)?;
        let mut tokens = tokenize(&rendered, vocabulary, separator)?;
        if let Some(first) = vocabulary.first().filter(|first| tokens.first() != Some(first)) {
            tokens.insert(0, first);
        }
        Ok(tokens)
    }

    fn render(&self, messages: &[Message]) -> Result<String, RequestError> {
        let refused = |error: minijinja::Error| RequestError::Template(quoted(&reason(&error)));
        let template = self.environment.get_template("chat").map_err(refused)?;
        let turn =
            |message: &Message| context! { role => message.role.name(), content => message.content.as_str() };
        let turns: Value = messages.iter().map(turn).collect();
        let context = context! {
            messages => turns,
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        let said: usize = messages.iter().map(|message| message.content.len()).sum();
        let mut output = Bounded {
            bytes: Vec::new(),
            limit: RENDERED_MARGIN + said * 4,
        };
        template
            .render_captured_to(context, &mut output)
            .map_err(refused)?;
        String::from_utf8(output.bytes).map_err(|error| RequestError::Template(error.to_string()))
    }
}

fn reason(error: &minijinja::Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps; send fewer messages".to_owned(),
        _ => error.detail().map_or_else(|| error.to_string(), str::to_owned),
    }
}

/// Compiles on a thread with [`STACK_BYTES`], whoever calls: a chain of operators takes a few frames for each of them.
fn compile(source: &str) -> Result<Environment<'static>, minijinja::Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("template".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || environment(source))
            .map_err(|error| {
                minijinja::Error::new(
                    ErrorKind::InvalidOperation,
                    format!("there is no thread to compile it: {error}"),
                )
            })?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
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

fn unused_character(messages: &[Message]) -> Result<char, RequestError> {
    SEPARATORS
        .into_iter()
        .find(|&separator| {
            messages
                .iter()
                .all(|message| !message.content.contains(separator))
        })
        .ok_or_else(|| RequestError::Tokenize("they contain every Unicode noncharacter".to_owned()))
}

/// Puts `separator` behind the first character of each mark that `text` spells, also where marks overlap.
fn guard(text: &str, vocabulary: &Vocabulary, separator: char) -> String {
    let mut guarded = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        guarded.push(c);
        if vocabulary.mark_at(&text[at..]).is_some() {
            guarded.push(separator);
        }
    }
    guarded
}

/// Tokens of a rendered conversation: its marks are looked up, what is between them is text.
fn tokenize(rendered: &str, vocabulary: &Vocabulary, separator: char) -> Result<Vec<u32>, RequestError> {
    let mut tokens = Vec::new();
    let mut text_start = 0;
    let mut at = 0;
    while let Some(c) = rendered[at..].chars().next() {
        let Some((mark, token)) = vocabulary.mark_at(&rendered[at..]) else {
            at += c.len_utf8();
            continue;
        };
        push_text(&rendered[text_start..at], vocabulary, separator, &mut tokens)?;
        tokens.push(token);
        at += mark.len();
        text_start = at;
    }
    push_text(&rendered[text_start..], vocabulary, separator, &mut tokens)?;
    Ok(tokens)
}

fn push_text(
    text: &str,
    vocabulary: &Vocabulary,
    separator: char,
    tokens: &mut Vec<u32>,
) -> Result<(), RequestError> {
    if !text.is_empty() {
        tokens.extend(vocabulary.encode(&text.replace(separator, ""))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
