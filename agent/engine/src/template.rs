//! The model's own chat template, and how a conversation becomes tokens through it.
//!
//! A template is Jinja code out of the model file. What people write must not become the template's marks: text that
//! spells `<|im_end|>` stays text. So before rendering, a character that no message has is put inside each mark that
//! a message spells; after rendering, marks are looked for, and then that character is taken out again.

mod jinja;
pub mod renderer;
mod work;

use std::path::Path;

use serde::{Deserialize, Serialize};
use store::metadata::Metadata;

use crate::activity::Pulse;
use crate::error::{LoadError, RequestError};
use crate::keys::Keys;
use crate::quote::quoted;
use crate::vocabulary::Vocabulary;
use jinja::Conversation;
pub(crate) use jinja::STACK_BYTES;
use renderer::{Prepared, RenderError, Renderer};

/// The key of the template.
pub(crate) const KEY: &str = "tokenizer.chat_template";
/// Longest template, in bytes; the longest that are real have a third of it. A longer one could nest its code so deep
/// that compiling it takes more stack than there is.
const MAX_TEMPLATE_BYTES: usize = 64 << 10;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A chat template that can be used.
pub struct ChatTemplate {
    prepared: Prepared,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Prepares the one in GGUF metadata to be run by `renderer`. The pulse beats for as long as its process is waited for.
    pub fn read(
        metadata: &Metadata,
        path: &Path,
        vocabulary: &Vocabulary,
        renderer: Renderer,
        pulse: &Pulse,
    ) -> Result<Self, LoadError> {
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
        let prepared = renderer
            .prepare(source, pulse)
            .map_err(|error| LoadError::Template {
                path: path.to_owned(),
                reason: match error {
                    RenderError::Refused(reason) | RenderError::Failed(reason) => reason,
                },
            })?;
        Ok(Self {
            prepared,
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
        let conversation = Conversation {
            messages,
            bos: &self.bos,
            eos: &self.eos,
        };
        self.prepared.render(&conversation).map_err(|error| match error {
            RenderError::Refused(reason) => RequestError::Template(quoted(&reason)),
            RenderError::Failed(reason) => RequestError::Internal(reason),
        })
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
