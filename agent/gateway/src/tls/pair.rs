//! A certificate with its private key, as they lie in one file and as rustls uses them.

use super::facts::Facts;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{fs, io, path::Path, sync::Arc};

/// A certificate, those by which it leads to its authority, and its key. One file holds all of them, so that none is
/// ever found with another's. Not `Debug`, for the key's sake.
#[derive(Clone)]
pub(super) struct Pair {
    /// All of it in PEM.
    pub(super) pem: String,
    /// The certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// What the first certificate says.
    pub(super) facts: Facts,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Pair {
    /// Of certificates and a key in PEM, one after the other; else the problem in words.
    pub(super) fn from_pem(pem: String) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| format!("the certificate is not PEM: {error}"))?;
        let first = chain
            .first()
            .ok_or("there is no certificate in PEM (-----BEGIN CERTIFICATE-----)")?;
        let facts = Facts::of(first)?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| format!("there is no private key in PEM that can be read: {error}"))?;
        Ok(Self {
            pem,
            chain,
            facts,
            key: Arc::new(key),
        })
    }

    /// What a file holds, if it is there.
    pub(super) fn read(path: &Path) -> io::Result<Option<Result<Self, String>>> {
        match fs::read_to_string(path) {
            Ok(pem) => Ok(Some(Self::from_pem(pem))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The private key.
    pub(super) fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    /// As rustls uses it, with these certificates after its own. An error if key and certificate do not belong together,
    /// or are of a kind that is not used.
    pub(super) fn certified(
        &self,
        further: &[CertificateDer<'static>],
    ) -> Result<Arc<CertifiedKey>, rustls::Error> {
        let chain = [&self.chain[..], further].concat();
        CertifiedKey::from_der(chain, self.key.clone_key(), &ring::default_provider()).map(Arc::new)
    }
}
