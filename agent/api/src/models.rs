//! The models that the appliance has: `/api/v1/models`.

use serde::{Deserialize, Deserializer, Serialize};

use crate::openai::KeepAlive;
use crate::rest::Problem;

/// Most files of a model that is added. Their names and sizes are in the request's target, and heads of requests end at
/// 16 KiB.
pub const MOST_FILES: usize = 128;
/// The longest target of a request that adds a model, in bytes: what is left of the head is for its other lines.
pub const LONGEST_TARGET: usize = 14 << 10;

/// Answer to `GET /api/v1/models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredModels {
    /// The models, those of the image first.
    pub models: Vec<StoredModel>,
    /// What `after` is to be for the next page; not there after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A model on the appliance's disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredModel {
    /// The name that requests give.
    pub id: String,
    /// How it came here.
    pub place: Place,
    /// The hash that names all of it; `null` for a GGUF file that was never imported.
    pub root: Option<String>,
    /// What its maker calls it.
    pub name: Option<String>,
    /// Its architecture: `llama`, `qwen2`, `qwen3`.
    pub family: Option<String>,
    /// Elements of all tensors.
    pub parameters: Option<u64>,
    /// The element type that most bytes are of, in ggml's spelling.
    pub kind: Option<String>,
    /// Tokens that it was trained to look back on.
    pub context: Option<u64>,
    /// Bytes of its blocks when decoded; of the file, for one that was never imported.
    pub bytes: u64,
    /// Bytes on disk; blocks that other models share count, too.
    pub stored: u64,
    /// Its blocks by how they are stored.
    pub codecs: Vec<CodecShare>,
    /// Why it cannot be read, if that is so.
    pub problem: Option<String>,
    /// What is set of it.
    #[serde(default)]
    pub settings: ModelSettings,
}

/// What is set of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelSettings {
    /// How long it stays loaded after an answer; `null`: as long as any.
    pub keep_alive: Option<KeepAlive>,
    /// Whether it is never parked for want of requests.
    pub pin: bool,
    /// Most tokens of a conversation with it; `null`: as many as of any.
    pub context: Option<u32>,
    /// Whether it is the one that is loaded when the engine is started and nobody asks.
    pub default: bool,
}

/// Body of `PATCH /api/v1/models/{name}`: what is not there stays, `null` is as if nothing had been set. It counts when the
/// model is loaded next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelChange {
    /// See [`ModelSettings::keep_alive`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub keep_alive: Option<Option<KeepAlive>>,
    /// See [`ModelSettings::pin`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<bool>,
    /// See [`ModelSettings::context`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub context: Option<Option<u32>>,
    /// See [`ModelSettings::default`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
}

/// A field that is there, be it `null`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// How a model came to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// It is part of the image and cannot be removed.
    Image,
    /// Somebody added it.
    Added,
}

/// The blocks of a model that are stored in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodecShare {
    /// `raw`, `lz4`, `zstd-2` or `zstd-4`.
    pub codec: String,
    /// How many.
    pub blocks: u64,
    /// Their bytes when decoded.
    pub bytes: u64,
    /// Their bytes on disk.
    pub stored: u64,
}

/// A line of a streamed answer: to `PUT /api/v1/models/{name}` and to `POST /api/v1/models/{name}/verify`. The last
/// line is never progress; an answer without a last line has broken off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ModelStep))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// How far it is.
    Progress(Progress),
    /// The model is there and can be asked.
    Added(Box<StoredModel>),
    /// All blocks were read.
    Verified(Verification),
    /// It has failed.
    Problem(Problem),
}

/// How far a long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes that it is done for.
    pub done: u64,
    /// All bytes.
    pub total: u64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ModelPhase))]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Tensors are packed and written as blocks.
    Packing,
    /// Blocks are read and their hashes compared.
    Verifying,
}

/// What came out of reading all blocks of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verification {
    /// The model.
    pub id: String,
    /// The hash that names all of it.
    pub root: String,
    /// How many blocks it has.
    pub blocks: u64,
    /// Bytes that were read.
    pub stored: u64,
    /// The damaged ones; none in a model that is whole.
    pub damaged: Vec<DamagedBlock>,
}

/// A block that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DamagedBlock {
    /// Its number in the model.
    pub block: u64,
    /// What is wrong with it.
    pub problem: String,
    /// The tensors that lie in it, wholly or in part; none in a block of the metadata.
    pub tensors: Vec<String>,
}

/// Answer to `DELETE /api/v1/models/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemovedModel {
    /// The model that is gone.
    pub id: String,
    /// Bytes of disk that were given back.
    pub freed: u64,
    /// What whoever removed it should know, for example that the room comes back later.
    pub note: Option<String>,
}

/// The name for a model from its file's: lower case, without folders, `.gguf` and the number of a part.
pub fn name_from_file(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or_default();
    let stem = name.strip_suffix(".gguf").unwrap_or(name);
    without_part(stem).to_lowercase()
}

/// Parts of split models are called `NAME-00001-of-00003.gguf`.
fn without_part(stem: &str) -> &str {
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let part = stem
        .rsplit_once("-of-")
        .filter(|(_, count)| is_number(count))
        .and_then(|(numbered, _)| numbered.rsplit_once('-'))
        .filter(|(_, number)| is_number(number));
    part.map_or(stem, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lends_its_name() {
        for (file, name) in [
            ("/m/SmolLM2-135M.Q4_1.gguf", "smollm2-135m.q4_1"),
            ("qwen-00001-of-00003.gguf", "qwen"),
            ("the-best-of-3.gguf", "the-best-of-3"),
            ("a-00001-of-three.gguf", "a-00001-of-three"),
            ("größe.gguf", "größe"),
            ("", ""),
        ] {
            assert_eq!(name_from_file(file), name);
        }
    }

    #[test]
    fn what_is_not_changed_is_not_what_is_taken_back() {
        let read = |text: &str| serde_json::from_str::<ModelChange>(text).unwrap();
        assert_eq!(read("{}"), ModelChange::default());
        let text = r#"{"keep_alive":null,"context":1024}"#;
        let change = read(text);
        assert_eq!(
            (&change.keep_alive, change.context, change.pin),
            (&Some(None), Some(Some(1024)), None)
        );
        assert_eq!(serde_json::to_string(&change).unwrap(), text);
        let forms = [
            ("\"5m\"", KeepAlive::Text("5m".to_owned())),
            ("-1", KeepAlive::Seconds(-1.0)),
        ];
        for (json, keep_alive) in forms {
            let change = read(&format!(r#"{{"keep_alive":{json}}}"#));
            assert_eq!(change.keep_alive, Some(Some(keep_alive)));
        }
        assert!(serde_json::from_str::<ModelChange>(r#"{"colour":1}"#).is_err());
    }

    #[test]
    fn lines_are_told_apart_by_their_one_key() {
        let progress = Step::Progress(Progress {
            phase: Phase::Packing,
            done: 1,
            total: 2,
        });
        let line = r#"{"progress":{"phase":"packing","done":1,"total":2}}"#;
        assert_eq!(serde_json::to_string(&progress).unwrap(), line);
        assert_eq!(serde_json::from_str::<Step>(line).unwrap(), progress);
    }
}
