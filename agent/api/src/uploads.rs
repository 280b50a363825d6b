//! Files that come in parts: `/api/v1/uploads`.

use serde::{Deserialize, Serialize};

/// The longest part, in bytes.
pub const LARGEST_PART: u64 = 8 << 20;

/// Body of `POST /api/v1/uploads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// The name that requests will give the model.
    pub name: String,
    /// The file's name without folders.
    pub file: String,
    /// Its size in bytes.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub size: u64,
    /// What tells the file from another of the same name and size: any text that is the same for the same bytes, such as
    /// when it was changed last and a digest of its ends. An upload without it is not gone on with by beginning it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// Answer to `POST /api/v1/uploads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Upload {
    /// For sending its parts.
    pub id: String,
    /// How many bytes are there: 0, or what has come of the same file before.
    pub offset: u64,
}
