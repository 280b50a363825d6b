//! What a certificate says.

use api::tls::Certificate;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// What a certificate says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    /// SHA-256 of the whole certificate.
    pub(super) sha256: [u8; 32],
    /// Whose it is.
    pub(super) subject: String,
    /// Who signed it.
    pub(super) issuer: String,
    /// The DNS names that it is for.
    pub(super) names: BTreeSet<String>,
    /// The addresses that it is for.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// When it begins to be valid.
    pub(super) not_before: OffsetDateTime,
    /// When it ends to be.
    pub(super) not_after: OffsetDateTime,
}

impl Facts {
    /// Of a certificate in DER; else the problem in words.
    pub(super) fn of(der: &[u8]) -> Result<Self, String> {
        let certificate = parse(der)?;
        let alternative = certificate
            .subject_alternative_name()
            .map_err(|error| error.to_string())?;
        let names = alternative.map_or(&[][..], |found| &found.value.general_names);
        Ok(Self {
            sha256: Sha256::digest(der).into(),
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names: names.iter().filter_map(dns_name).collect(),
            addresses: names.iter().filter_map(address).collect(),
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
        })
    }

    /// Its SHA-256 as people compare it.
    pub(super) fn fingerprint(&self) -> String {
        let bytes: Vec<String> = self.sha256.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// Whether it is valid at a time.
    pub(super) fn is_valid(&self, now: OffsetDateTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// As REST tells it.
    pub(super) fn public(&self) -> Certificate {
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        Certificate {
            sha256: self.fingerprint(),
            subject: self.subject.clone(),
            issuer: self.issuer.clone(),
            names: self.names.iter().cloned().chain(addresses).collect(),
            not_before: shown(self.not_before),
            not_after: shown(self.not_after),
        }
    }
}

/// A certificate with nothing behind it.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok((&[], certificate)) => Ok(certificate),
        Ok(_) => Err("something follows the certificate".to_owned()),
        Err(error) => Err(format!("it is not a certificate: {error}")),
    }
}

/// A time as people read it. Only a year beyond 9999, which no certificate can have, would have no such form.
pub(super) fn shown(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    }
}

fn address(name: &GeneralName<'_>) -> Option<IpAddr> {
    let GeneralName::IPAddress(bytes) = name else {
        return None;
    };
    let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| Ipv4Addr::from(octets).into());
    let v6 = || <[u8; 16]>::try_from(*bytes).map(|octets| Ipv6Addr::from(octets).into());
    v4.or_else(|_| v6()).ok()
}
