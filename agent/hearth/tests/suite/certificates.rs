//! Certificates for a gateway on loopback.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What a gateway shows: its own certificate, then its authority's, if that has signed it.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The last of the chain in PEM.
    pub(crate) authority_pem: String,
    key: KeyPair,
}

impl Shown {
    /// For a name, signed by an authority of its own.
    pub(crate) fn signed(name: &str) -> Self {
        let (upper, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authority = CertificateParams::default();
        authority
            .distinguished_name
            .push(DnType::CommonName, "an authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&upper).unwrap();
        let issuer = Issuer::from_params(&authority, &upper);
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        Self {
            authority_pem: root.pem(),
            chain: vec![leaf.into(), root.into()],
            key,
        }
    }

    /// For a name, signed by nobody else.
    pub(crate) fn alone(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.self_signed(&key).unwrap();
        Self {
            authority_pem: leaf.pem(),
            chain: vec![leaf.into()],
            key,
        }
    }

    /// SHA-256 of one of the chain, as the gateway writes it.
    pub(crate) fn fingerprint(&self, place: usize) -> String {
        let digest = Sha256::digest(&self.chain[place]);
        let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// For rustls.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_no_client_auth();
        builder.with_single_cert(self.chain.clone(), key).unwrap().into()
    }
}
