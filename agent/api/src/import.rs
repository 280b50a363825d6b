//! The import service: what the gateway says to `hearth-import@.service`, which alone opens model files that came from
//! outside, and what it hears.
//!
//! A connection is one request. It begins with one line of JSON, a [`Request`]. The answers are lines of JSON, too, each
//! a [`Reply`]; the last one is neither [`Reply::Ready`] nor [`Reply::Progress`], and then the service hangs up.
//!
//! After `add` the service answers `ready`, or refuses before a byte of the files has been sent. Then come the files,
//! one after the other as one stream in chunks: the length as 4 bytes, least significant first, from 1 to
//! [`LARGEST_CHUNK`], then so many bytes. A length of 0 ends the stream; a connection that ends without it has broken
//! off, and nothing remains of what came. The service says nothing while it receives, so that neither waits for the
//! other; whoever sends knows how far it is.

use serde::{Deserialize, Serialize};

use crate::models::{ModelChange, Progress, RemovedModel, StoredModel, Verification};

/// Where the service is on the appliance.
pub const SOCKET: &str = "/run/hearth/import.sock";
/// The longest request, in bytes.
pub const LONGEST_REQUEST: u64 = 256 << 10;
/// The longest reply, in bytes.
pub const LONGEST_REPLY: u64 = 16 << 20;
/// The longest chunk of a file, in bytes.
pub const LARGEST_CHUNK: usize = 1 << 20;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// A new model; its files follow.
    Add(NewModel),
    /// All models.
    List,
    /// All blocks of a model read.
    Verify(String),
    /// A model forgotten.
    Remove(String),
    /// What is set of a model changed.
    Set(SetModel),
}

/// A model of which something is to be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetModel {
    /// Its name.
    pub name: String,
    /// What is to be set.
    pub change: ModelChange,
}

/// A model that is to be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// The name that requests will give: letters, digits, `.`, `_` and `-`, the first a letter or a digit.
    pub name: String,
    /// Its files: one, or the parts of a split model in their order.
    pub files: Vec<NewFile>,
}

/// A file of a model that is to be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// Its name without folders.
    pub name: String,
    /// Its size; may be unknown if it is the only one.
    pub bytes: Option<u64>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The files may come.
    Ready,
    /// How far it is.
    Progress(Progress),
    /// All models.
    Models(Vec<StoredModel>),
    /// The model is there.
    Added(Box<StoredModel>),
    /// All blocks were read.
    Verified(Verification),
    /// The model is gone.
    Removed(RemovedModel),
    /// It is set; the model as it is now.
    Set(Box<StoredModel>),
    /// It was not done.
    Refused(Refused),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What kind of reason.
    pub kind: RefusedKind,
    /// The reason, and the way out.
    pub message: String,
}

/// A kind of reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedKind {
    /// The request is not understood, or the files are not what it announced.
    Invalid,
    /// The files are no model that can be asked here.
    Unusable,
    /// There is not enough room on the disk.
    NoSpace,
    /// A model has the name already.
    Taken,
    /// No model has the name.
    Unknown,
    /// It cannot be done to this model.
    Fixed,
    /// Another model is being added.
    Busy,
    /// The service itself failed.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_documented() {
        for (line, request) in [
            (r#""list""#, Request::List),
            (r#"{"remove":"x"}"#, Request::Remove("x".to_owned())),
            (
                r#"{"add":{"name":"x","files":[{"name":"x.gguf","bytes":null}]}}"#,
                Request::Add(NewModel {
                    name: "x".to_owned(),
                    files: vec![NewFile {
                        name: "x.gguf".to_owned(),
                        bytes: None,
                    }],
                }),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
        }
        assert!(serde_json::from_str::<Request>(r#"{"add":{"name":"x","files":[],"path":"/etc"}}"#).is_err());
    }
}
