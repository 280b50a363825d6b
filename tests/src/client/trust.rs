//! Whose certificates a client believes.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

/// Authorities that a client believes, and nobody else.
#[derive(Clone)]
pub struct Trust(pub(super) Arc<ClientConfig>);

impl Trust {
    /// In nobody: no handshake comes to its end.
    pub fn nobody() -> Result<Self> {
        Self::roots(RootCertStore::empty())
    }

    /// In the authority of a certificate in PEM.
    pub fn in_authority(pem: &str) -> Result<Self> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| anyhow::anyhow!("no certificate: {error}: {pem}"))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).context("no authority")?;
        Self::roots(roots)
    }

    /// The same for rustls.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }

    fn roots(roots: RootCertStore) -> Result<Self> {
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions()?;
        Ok(Self(
            builder.with_root_certificates(roots).with_no_client_auth().into(),
        ))
    }
}

/// Its contents fill a screen.
impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}
