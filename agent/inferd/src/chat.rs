//! From the body of a chat request to what the engine takes.

use api::openai::{ChatRequest, Content, KeepAlive as Told, Message, Part, Stop};
use axum::http::StatusCode;
use engine::request::Request;
use engine::sampler::Sampling;
use engine::template::{Message as Turn, Role};
use serde_json::Value;

use crate::life::KeepAlive;
use crate::refusal::Refusal;

/// Longest name of a model, in bytes: no file's name is longer. What is refused here never reaches the log.
const MAX_MODEL_BYTES: usize = 255;
/// Most messages of a conversation.
const MAX_MESSAGES: usize = 1024;
/// Most stop strings, as in OpenAI's reference.
const MAX_STOPS: usize = 4;
/// Longest stop string, in bytes.
const MAX_STOP_BYTES: usize = 256;

/// Reads a request. Fields that nobody knows are ignored; those that would change the answer and are not served are
/// refused.
pub(crate) fn parse(body: &[u8]) -> Result<ChatRequest, Refusal> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(None, format!("the body is not JSON: {error}")))?;
    let Value::Object(fields) = &value else {
        return Err(Refusal::invalid(None, "the body is not a JSON object"));
    };
    if let Some(field) = fields
        .iter()
        .find(|(field, value)| changes_the_answer(field, value))
    {
        return Err(Refusal::invalid(
            Some(field.0),
            format!("`{}` is not supported", field.0),
        ));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, reason) = (error.path().to_string(), error.inner().to_string());
        Refusal::invalid(field_at_fault(&path, &reason).as_deref(), reason)
    })
}

/// The path of a field that has the wrong shape, or that is missing at the path.
fn field_at_fault(path: &str, reason: &str) -> Option<String> {
    let missing = reason
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    let at = Some(path).filter(|&path| path != ".");
    let parts: Vec<_> = at.into_iter().chain(missing).collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

/// Whether a field that this server does not serve asks for something.
fn changes_the_answer(field: &str, value: &Value) -> bool {
    let asks = match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(true) | Value::String(_) => true,
    };
    match field {
        "tools" | "functions" | "logprobs" | "top_logprobs" | "logit_bias" | "audio" => asks,
        "presence_penalty" | "frequency_penalty" => asks,
        "tool_choice" | "function_call" => asks && value != "none" && value != "auto",
        "response_format" => asks && value["type"] != "text",
        "modalities" => {
            asks && value
                .as_array()
                .is_some_and(|list| list.iter().any(|one| one != "text"))
        }
        _ => false,
    }
}

/// Checks a request's values and brings them into the engine's shape. `seed` is taken where the request has none.
pub(crate) fn to_engine(request: &ChatRequest, seed: u64) -> Result<Request, Refusal> {
    if request.model.len() > MAX_MODEL_BYTES {
        let message = format!("no model has a name of more than {MAX_MODEL_BYTES} bytes");
        return Err(Refusal::special(
            StatusCode::NOT_FOUND,
            "model_not_found",
            Some("model"),
            message,
        ));
    }
    if request.n.is_some_and(|n| n != 1) {
        return Err(Refusal::invalid(
            Some("n"),
            "only 1 answer is served for a request",
        ));
    }
    let sampling = Sampling {
        temperature: within("temperature", request.temperature, 0.0..=2.0, 1.0)?,
        top_p: within("top_p", request.top_p, f64::MIN_POSITIVE..=1.0, 1.0)?,
        seed: request.seed.map_or(seed, i64::cast_unsigned),
    };
    Ok(Request {
        model: request.model.clone(),
        context: None,
        messages: turns(&request.messages, request.keep_alive.is_some())?,
        sampling,
        max_tokens: max_tokens(request)?,
        stops: stops(request.stop.as_ref())?,
    })
}

fn within(
    param: &str,
    value: Option<f64>,
    allowed: std::ops::RangeInclusive<f64>,
    default: f64,
) -> Result<f32, Refusal> {
    let value = value.unwrap_or(default);
    if !allowed.contains(&value) {
        let least = if *allowed.start() > 0.0 {
            "above 0"
        } else {
            "from 0"
        };
        let message = format!("`{param}` is {value}; {least} to {} is allowed", allowed.end());
        return Err(Refusal::invalid(Some(param), message));
    }
    Ok(value as f32)
}

fn max_tokens(request: &ChatRequest) -> Result<Option<usize>, Refusal> {
    let both = [
        ("max_completion_tokens", request.max_completion_tokens),
        ("max_tokens", request.max_tokens),
    ];
    match both
        .into_iter()
        .find_map(|(param, value)| value.map(|value| (param, value)))
    {
        Some((param, 0)) => Err(Refusal::invalid(
            Some(param),
            format!("`{param}` is 0; at least 1 is allowed"),
        )),
        found => Ok(found.map(|(_, value)| value as usize)),
    }
}

fn stops(stop: Option<&Stop>) -> Result<Vec<String>, Refusal> {
    let stops = match stop {
        None => Vec::new(),
        Some(Stop::One(stop)) => vec![stop.clone()],
        Some(Stop::Many(stops)) => stops.clone(),
    };
    if stops.len() > MAX_STOPS
        || stops
            .iter()
            .any(|stop| stop.is_empty() || stop.len() > MAX_STOP_BYTES)
    {
        let message = format!("at most {MAX_STOPS} stop strings of 1 to {MAX_STOP_BYTES} bytes are allowed");
        return Err(Refusal::invalid(Some("stop"), message));
    }
    Ok(stops)
}

/// How long the model is to stay, if the request says so.
pub(crate) fn keep_alive(request: &ChatRequest) -> Result<Option<KeepAlive>, Refusal> {
    let read = |told: &Told| match told {
        Told::Seconds(seconds) => KeepAlive::seconds(*seconds),
        Told::Text(text) => KeepAlive::duration(text),
    };
    let keep_alive = request.keep_alive.as_ref().map(read).transpose();
    keep_alive.map_err(|error| Refusal::invalid(Some("keep_alive"), format!("`keep_alive`: {error}")))
}

/// The conversation, which may be empty where only the model's stay is asked about.
fn turns(messages: &[Message], may_be_empty: bool) -> Result<Vec<Turn>, Refusal> {
    if messages.is_empty() && !may_be_empty || messages.len() > MAX_MESSAGES {
        let message = format!(
            "there are {} messages; 1 to {MAX_MESSAGES} are allowed",
            messages.len()
        );
        return Err(Refusal::invalid(Some("messages"), message));
    }
    messages
        .iter()
        .enumerate()
        .map(|(index, message)| turn(index, message))
        .collect()
}

fn turn(index: usize, message: &Message) -> Result<Turn, Refusal> {
    let role = match message.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            let message =
                format!("the role `{other}` is not known; system, developer, user and assistant are");
            return Err(Refusal::invalid(
                Some(&format!("messages[{index}].role")),
                message,
            ));
        }
    };
    let content = match &message.content {
        Content::Text(text) => text.clone(),
        Content::Parts(parts) => parts
            .iter()
            .map(|part| text(index, part))
            .collect::<Result<_, _>>()?,
        // Clients send back what an assistant has answered, and a call of tools says nothing.
        Content::Nothing if role == Role::Assistant => String::new(),
        Content::Nothing => {
            let param = format!("messages[{index}].content");
            let message = "is missing; only an assistant may have said nothing";
            return Err(Refusal::invalid(Some(&param), format!("`{param}` {message}")));
        }
    };
    Ok(Turn { role, content })
}

fn text(index: usize, part: &Part) -> Result<&str, Refusal> {
    match part {
        Part::Text { text } => Ok(text),
        Part::Unsupported => {
            let param = format!("messages[{index}].content");
            Err(Refusal::invalid(
                Some(&param),
                "only text is understood: no images, sounds or files",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(mut fields: Value) -> Result<Request, Refusal> {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let request = fields.as_object_mut().unwrap();
        request.entry("model").or_insert_with(|| "m".into());
        request.entry("messages").or_insert(messages);
        to_engine(&parse(fields.to_string().as_bytes())?, 9)
    }

    fn param(fields: Value) -> Option<String> {
        checked(fields).err().unwrap().body.error.param
    }

    #[test]
    fn defaults_are_openais() {
        let request = checked(json!({})).unwrap();
        assert_eq!(
            request.sampling,
            Sampling {
                temperature: 1.0,
                top_p: 1.0,
                seed: 9
            }
        );
        assert_eq!((request.max_tokens, request.stops), (None, Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, name) in [
            (json!({"temperature": 2.5}), "temperature"),
            (json!({"top_p": 0}), "top_p"),
            (json!({"max_tokens": 0}), "max_tokens"),
            (json!({"max_tokens": "many"}), "max_tokens"),
            (json!({"n": 2}), "n"),
            (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop"),
            (json!({"stop": ""}), "stop"),
            (json!({"seed": 1.5}), "seed"),
            (json!({"seed": u64::MAX}), "seed"),
            (json!({"model": null}), "model"),
            (json!({"messages": []}), "messages"),
            (
                json!({"messages": [{"role": "king", "content": "x"}]}),
                "messages[0].role",
            ),
            (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
            (
                json!({"messages": [{"role": "system", "content": null}]}),
                "messages[0].content",
            ),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
                "messages[0].content",
            ),
            (json!({"tools": [{"type": "function"}]}), "tools"),
            (
                json!({"response_format": {"type": "json_object"}}),
                "response_format",
            ),
            (json!({"presence_penalty": 0.5}), "presence_penalty"),
        ] {
            let found = param(fields.clone());
            assert!(
                found.as_deref().is_some_and(|found| found.starts_with(name)),
                "{fields}: {found:?}"
            );
        }
        let missing = parse(b"{}").unwrap_err().body.error;
        assert_eq!(missing.param.as_deref(), Some("model"), "{}", missing.message);
    }

    #[test]
    fn what_asks_for_nothing_is_ignored() {
        let fields = json!({"tools": [], "logprobs": false, "response_format": {"type": "text"}, "user": "me",
            "presence_penalty": 0, "tool_choice": "none", "stop": null, "n": 1});
        assert!(checked(fields).is_ok());
    }

    #[test]
    fn keep_alive_is_seconds_or_a_duration_and_an_empty_conversation_is_about_it() {
        let stay = |value: Value| {
            let body = json!({"model": "m", "messages": [], "keep_alive": value}).to_string();
            let request = parse(body.as_bytes()).unwrap();
            to_engine(&request, 9).and_then(|_| keep_alive(&request))
        };
        let seconds = |seconds| Some(KeepAlive::For(std::time::Duration::from_secs(seconds)));
        assert_eq!(stay(json!(90)).unwrap(), seconds(90));
        assert_eq!(stay(json!("1h30m")).unwrap(), seconds(5400));
        assert_eq!(stay(json!(0)).unwrap(), seconds(0));
        assert_eq!(stay(json!(-1)).unwrap(), Some(KeepAlive::Ever));
        for wrong in [json!("5"), json!("soon"), json!(1e300)] {
            let refusal = stay(wrong.clone()).unwrap_err();
            assert_eq!(refusal.body.error.param.as_deref(), Some("keep_alive"), "{wrong}");
        }
        assert_eq!(param(json!({"keep_alive": true})).as_deref(), Some("keep_alive"));
        let told = checked(json!({"keep_alive": true}))
            .err()
            .unwrap()
            .body
            .error
            .message;
        assert!(told.contains("30s") && told.contains("for ever"), "{told}");
        assert_eq!(
            param(json!({"messages": [], "keep_alive": null})).as_deref(),
            Some("messages")
        );
    }

    #[test]
    fn a_name_that_no_file_can_have_is_not_repeated() {
        let refusal = checked(json!({"model": "m".repeat(256)})).err().unwrap();
        assert_eq!(refusal.status, 404);
        assert_eq!(refusal.body.error.code.as_deref(), Some("model_not_found"));
        assert!(!refusal.body.error.message.contains("mmm"));
        assert!(checked(json!({"model": "m".repeat(255)})).is_ok());
    }

    #[test]
    fn parts_become_one_text() {
        let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
        let request = checked(json!({"messages": [{"role": "developer", "content": parts}]})).unwrap();
        assert_eq!(
            request.messages,
            [Turn {
                role: Role::System,
                content: "ab".to_owned()
            }]
        );
    }

    #[test]
    fn an_assistant_that_called_tools_said_nothing() {
        for message in [
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function"}]}),
            json!({"role": "assistant", "tool_calls": []}),
        ] {
            let user = json!({"role": "user", "content": "and?"});
            let request = checked(json!({"messages": [message, user]})).unwrap();
            assert_eq!(request.messages[0].content, "");
            assert_eq!(request.messages[1].content, "and?");
        }
    }

    #[test]
    fn negative_seeds_are_seeds() {
        let seed = |seed: i64| checked(json!({"seed": seed})).unwrap().sampling.seed;
        assert_eq!(seed(i64::MAX), i64::MAX as u64);
        assert_eq!(seed(-1), u64::MAX);
        assert_ne!(seed(i64::MIN), seed(0));
    }

    /// Whatever is sent: it is a request within its bounds, or it is refused as the client's mistake.
    #[test]
    fn requests_that_are_nearly_right() {
        let full = json!({"model": "m", "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url"}]},
            {"role": "assistant", "content": null}], "temperature": 0.5, "top_p": 0.9, "seed": -3, "stop": ["a", "b"],
            "max_tokens": 5, "stream": true, "stream_options": {"include_usage": true}, "n": 1, "tools": [],
            "response_format": {"type": "text"}});
        let small = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        let campaign = fuzz::Campaign {
            name: "chat",
            seeds: [full, small].map(|body| body.to_string().into_bytes()).into(),
            executions: 100_000,
            change: &fuzz::json::change,
        };
        let report = campaign.run(&std::env::temp_dir(), |body| {
            let request = parse(body).and_then(|request| to_engine(&request, 9));
            let request = request.map_err(|refusal| {
                assert!(refusal.status.is_client_error(), "{refusal:?}");
                refusal.body.error.message
            })?;
            assert!((1..=MAX_MESSAGES).contains(&request.messages.len()));
            assert!(request.stops.len() <= MAX_STOPS && request.max_tokens != Some(0));
            assert!((0.0..=2.0).contains(&request.sampling.temperature));
            Ok(format!("{} messages", request.messages.len()))
        });
        report.show();
        assert!(report.taken > 0 && report.outcomes > 20, "{report}");
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["", "[]", "{\"model\":", "\"x\""] {
            assert_eq!(parse(body.as_bytes()).unwrap_err().status, 400, "{body}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes()).is_err());
    }
}
