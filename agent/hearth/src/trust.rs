//! Which certificates of an appliance are believed: those of authorities that were named, or one by its fingerprint. The
//! machine's own list of authorities does not count, for none of them knows what is called `hearth.local`.

use crate::{fingerprint::Fingerprint, known::Known};
use anyhow::Context;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{io, path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What is believed.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    authorities: Option<Arc<RootCertStore>>,
    fingerprint: Option<Fingerprint>,
    known: Known,
}

/// Why a certificate is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Doubt {
    /// Nothing was said about this host.
    #[error(
        "nothing vouches for its certificate yet. These are the fingerprints that it shows:\n{}if one of them stands on the \
         appliance's console, or \"hearth tls\" on it shows it, repeat with --fingerprint and that one; or name its \
         authority's file with --ca",
        lines(.0)
    )]
    Unknown(Vec<Fingerprint>),
    /// It is another one than was said.
    #[error(
        "its certificate is not the one with the fingerprint {wanted}{place}. It shows\n{}if the appliance was set up anew \
         and one of them is what its console shows, repeat with --fingerprint and that one; else somebody is in between",
        lines(shown)
    )]
    Other {
        wanted: Fingerprint,
        place: String,
        shown: Vec<Fingerprint>,
    },
}

fn lines(fingerprints: &[Fingerprint]) -> String {
    fingerprints.iter().map(|one| format!("  {one}\n")).collect()
}

impl Trust {
    /// A fingerprint, else the authorities of a file in PEM, else what is remembered. A fingerprint is said on the command
    /// line and the file often by the environment, so the file is not even read then.
    pub(crate) fn new(
        authorities: Option<&Path>,
        fingerprint: Option<Fingerprint>,
        known: Known,
    ) -> anyhow::Result<Self> {
        let authorities = authorities.filter(|_| fingerprint.is_none());
        let authorities = authorities.map(read_authorities).transpose()?;
        Ok(Self {
            authorities: authorities.map(Arc::new),
            fingerprint,
            known,
        })
    }

    /// Shakes hands with whoever is to be `host` at `port`. A fingerprint that was given and fits is remembered.
    pub(crate) async fn shake_hands(
        &self,
        stream: TcpStream,
        host: &str,
        port: u16,
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let place = format!("{host}:{port}");
        // The zone of a link-local address means something on this machine alone.
        let name = host.split('%').next().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).context("it is not a name that a certificate can have")?;
        let connector = TlsConnector::from(Arc::new(self.config(&place)?));
        let stream = connector.connect(name, stream).await.map_err(explained)?;
        if let Some(fingerprint) = self.fingerprint {
            self.known.remember(&place, fingerprint)?;
        }
        Ok(stream)
    }

    fn config(&self, place: &str) -> anyhow::Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let verifier: Arc<dyn ServerCertVerifier> = match (self.fingerprint, &self.authorities) {
            (Some(given), _) => Arc::new(Pinned {
                fingerprint: Some(given),
                place: String::new(),
                provider,
            }),
            (None, Some(authorities)) => {
                WebPkiServerVerifier::builder_with_provider(authorities.clone(), provider).build()?
            }
            (None, None) => Arc::new(Pinned {
                fingerprint: self.known.find(place)?,
                place: self
                    .known
                    .path()
                    .map(|path| format!(" that {} has", path.display()))
                    .unwrap_or_default(),
                provider,
            }),
        };
        let dangerous = builder.dangerous().with_custom_certificate_verifier(verifier);
        Ok(dangerous.with_no_client_auth())
    }
}

fn read_authorities(path: &Path) -> anyhow::Result<RootCertStore> {
    let named = || format!("--ca {} (or HEARTH_CA)", path.display());
    let pem = std::fs::read(path).with_context(named)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| anyhow::anyhow!("it is not PEM: {error}"));
        roots.add(certificate.with_context(named)?).with_context(named)?;
    }
    if roots.is_empty() {
        anyhow::bail!("{} holds no certificate in PEM", named());
    }
    Ok(roots)
}

/// The error of a handshake in words, with the way out.
fn explained(error: io::Error) -> anyhow::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let words = match tls {
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(doubt)))) => doubt.to_string(),
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "its certificate is not signed by the authority that was named; http://NAME/ca.crt has the appliance's own"
                .to_owned()
        }
        Some(Error::InvalidCertificate(problem)) => format!("its certificate is not believed: {problem}"),
        Some(Error::InvalidMessage(_)) => "it does not speak TLS at this port".to_owned(),
        _ => error.to_string(),
    };
    anyhow::anyhow!(words)
}

/// Believes the chain that has a certificate with a fingerprint: the server's own, or one that has signed it.
#[derive(Debug)]
struct Pinned {
    fingerprint: Option<Fingerprint>,
    /// Where the fingerprint is from, in words that follow it.
    place: String,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn doubt(&self, shown: Vec<Fingerprint>) -> Error {
        let doubt = match self.fingerprint {
            None => Doubt::Unknown(shown),
            Some(wanted) => Doubt::Other {
                wanted,
                place: self.place.clone(),
                shown,
            },
        };
        CertificateError::Other(OtherError(Arc::new(doubt))).into()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_pinned =
            |certificate: &CertificateDer<'_>| Some(Fingerprint::of(certificate)) == self.fingerprint;
        if is_pinned(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(authority) = intermediates.iter().find(|certificate| is_pinned(certificate)) else {
            let chain = std::iter::once(end_entity).chain(intermediates);
            return Err(self.doubt(chain.map(|certificate| Fingerprint::of(certificate)).collect()));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
