//! The certificate by which the appliance is known on the network, over REST.

use serde::{Deserialize, Serialize};

/// Answer to `GET /api/v1/tls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tls {
    /// SHA-256 of what a client may pin: the local authority's certificate, or the owner's own while that is served.
    /// Upper-case hexadecimal, its bytes parted by colons.
    pub fingerprint: String,
    /// Whose certificate is served.
    pub source: Source,
    /// The certificate that is served.
    pub certificate: Certificate,
    /// The local authority, which signs the appliance's certificate while there is no other. `GET /ca.crt` has it.
    pub authority: Certificate,
    /// Why the owner's own certificate is not served though there is one.
    pub own_problem: Option<String>,
    /// Whether requests with a token are answered on port 80, unencrypted, from private addresses.
    pub plain_http: bool,
}

/// Whose certificate is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// One that the local authority has signed.
    Local,
    /// The one that the owner has installed.
    Own,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Certificate {
    /// SHA-256 of the certificate; upper-case hexadecimal, its bytes parted by colons.
    pub sha256: String,
    /// Whose it is, as a distinguished name.
    pub subject: String,
    /// Who has signed it, as a distinguished name.
    pub issuer: String,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// When it begins to be valid, RFC 3339.
    pub not_before: String,
    /// When it ends to be, RFC 3339.
    pub not_after: String,
}

/// Body of `PUT /api/v1/tls/certificate`. Not `Debug`, for it holds a private key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewCertificate {
    /// The certificate, then those by which it leads to its authority, in PEM.
    pub certificate: String,
    /// Its private key in PEM, not encrypted.
    pub key: String,
}

/// Body of `PUT /api/v1/tls/plain-http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PlainHttp {
    /// Whether requests with a token are to be answered on port 80, unencrypted, from private addresses.
    pub enabled: bool,
}
