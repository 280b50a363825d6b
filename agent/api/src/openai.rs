//! OpenAI's chat shapes, as far as Hearth speaks them.
//!
//! Source: OpenAI's API reference, "Chat" and "Models". A request's unknown fields are ignored, as OpenAI's own
//! clients send new ones all the time; a field that is understood and out of range is an error that names it.

use serde::{Deserialize, Serialize};

/// Body of `POST /v1/chat/completions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The model's id, from `GET /v1/models`.
    pub model: String,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// Whether the answer comes as server-sent events.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stream: bool,
    /// What a stream tells beside tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Most tokens to make. OpenAI's newer name of [`Self::max_tokens`], and the one that counts if both are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// Most tokens to make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 chooses the likeliest token always; up to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Choose among the likeliest tokens that together have this probability; above 0 up to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Same seed, same request: same answer. Negative ones are seeds, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Text at which the answer ends; it is not part of the answer. At most four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// How many answers are wanted; only 1 is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// How long the model is to stay loaded after the answer. Not OpenAI's but Ollama's; with it `messages` may be empty,
    /// and then the model is loaded, or let go of, and nothing is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
}

/// How long a model is to stay loaded, as Ollama has it; 0: it goes at once; a negative one: for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(
    untagged,
    expecting = "it is a number of seconds or a duration as \"30s\", \"5m\" or \"1h30m\"; 0: at once; a negative one: for ever"
)]
pub enum KeepAlive {
    /// Seconds.
    Seconds(f64),
    /// A duration as Go writes it: `30s`, `5m`, `1h30m`.
    Text(String),
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What a stream tells beside tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// Send a last chunk with [`Usage`] and no choice.
    #[serde(default)]
    pub include_usage: bool,
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`; `developer` counts as `system`.
    pub role: String,
    /// What was said.
    #[serde(default)]
    pub content: Content,
}

/// What was said: a string, or a list of parts of which text is understood.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Parts, told apart by their `type`.
    Parts(Vec<Part>),
    /// Nothing, as of an assistant that only called tools.
    #[default]
    Nothing,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// Anything else: an image, a sound. Not understood yet.
    #[serde(other)]
    Unsupported,
}

/// One stop string or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stop {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Answer to `POST /v1/chat/completions` without `stream`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatCompletion {
    /// Unique, begins with `chatcmpl-`.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Unix time in seconds.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// The answers; always one.
    pub choices: Vec<Choice>,
    /// What it took.
    pub usage: Usage,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its place among the answers.
    pub index: u32,
    /// The answer.
    pub message: Message,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model said that it had finished, or a stop string was reached.
    Stop,
    /// `max_tokens` or the end of the context was reached.
    Length,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The same in all events of one answer.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Unix time in seconds.
    pub created: u64,
    /// The model that answers.
    pub model: String,
    /// What is new; empty in the chunk that carries usage.
    pub choices: Vec<ChunkChoice>,
    /// What it took, in the last chunk if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What is new in an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// Its place among the answers.
    pub index: u32,
    /// The new text.
    pub delta: Delta,
    /// Why the answer ended; `null` until then.
    pub finish_reason: Option<FinishReason>,
}

/// New text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// `assistant`, in the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Tokens read and made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, the template's own included.
    pub prompt_tokens: u32,
    /// Tokens made.
    pub completion_tokens: u32,
    /// Both.
    pub total_tokens: u32,
    /// How the prompt was read.
    #[serde(default)]
    pub prompt_tokens_details: PromptTokensDetails,
}

/// How a prompt was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Tokens of the prompt that were not run, for they were still there from an earlier answer.
    pub cached_tokens: u32,
}

/// Answer to `GET /v1/models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The models, by id.
    pub data: Vec<Model>,
}

/// A model that can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The name that requests give.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// Unix time in seconds at which the file was last written; 0 in the image, whose files have no time.
    pub created: u64,
    /// Always `hearth`.
    pub owned_by: String,
}

/// Body of every error under `/v1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: Error,
}

/// What went wrong, in OpenAI's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// For people.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `server_error` …
    #[serde(rename = "type")]
    pub kind: String,
    /// The field at fault.
    pub param: Option<String>,
    /// For programs: `model_not_found`, `invalid_api_key` …
    pub code: Option<String>,
}

impl ErrorBody {
    /// An error of a kind, with the code and the field at fault where there is one.
    pub fn new(kind: &str, code: Option<&str>, param: Option<&str>, message: impl Into<String>) -> Self {
        let error = Error {
            message: message.into(),
            kind: kind.to_owned(),
            param: param.map(str::to_owned),
            code: code.map(str::to_owned),
        };
        Self { error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_as_clients_send_it() {
        let text = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"},
            {"type":"image_url","image_url":{"url":"data:"}}]}],"stop":"\n","unknown":1}"#;
        let request: ChatRequest = serde_json::from_str(text).unwrap();
        let Content::Parts(parts) = &request.messages[0].content else {
            panic!("not parts")
        };
        assert_eq!(
            parts[..],
            [
                Part::Text {
                    text: "hi".to_owned()
                },
                Part::Unsupported
            ]
        );
        assert_eq!(request.stop, Some(Stop::One("\n".to_owned())));
        assert!(!request.stream);
    }

    #[test]
    fn an_error_has_openais_shape() {
        let body = ErrorBody::new(
            "invalid_request_error",
            Some("model_not_found"),
            Some("model"),
            "no such model",
        );
        let json = serde_json::to_value(body).unwrap();
        let expected = serde_json::json!({"error": {"message": "no such model", "type": "invalid_request_error",
            "param": "model", "code": "model_not_found"}});
        assert_eq!(json, expected);
    }
}
