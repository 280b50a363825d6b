//! The local certificate authority: made on the first boot, and kept.

use super::{
    TlsError,
    facts::{Facts, parse},
    identity::Identity,
    names::{self, PRIVATE_NETWORKS},
    pair::Pair,
    renewal::{BACKDATED, VALID, Wanted},
};
use crate::state_file;
use nix::unistd::gethostname;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CidrSubnet, CrlDistributionPoint,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, NameConstraints, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use std::{
    io::{self, Write},
    net::IpAddr,
    path::Path,
};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;

const FILE: &str = "tls-authority.pem";
const CERTIFICATE_BEGINS: &str = "-----BEGIN CERTIFICATE-----";
const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";

/// The local authority.
pub(crate) struct Authority {
    /// Its certificate in PEM.
    pub(super) pem: String,
    /// Its certificate.
    pub(super) certificate: CertificateDer<'static>,
    /// What its certificate says.
    pub(super) facts: Facts,
    /// The domains that it may sign for.
    pub(super) permitted: Vec<String>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The one of a state folder; made for a host of this name if there is none.
    pub(crate) fn open(folder: &Path, hostname: &str) -> Result<Self, TlsError> {
        let path = folder.join(FILE);
        let io = |action| {
            let path = path.clone();
            move |cause| TlsError::Io { action, path, cause }
        };
        if !path.exists() {
            state_file::create(&path, make(hostname)?.as_bytes()).map_err(io("create"))?;
        }
        let text = std::fs::read_to_string(&path).map_err(io("read"))?;
        Self::from_pem(text).map_err(|problem| TlsError::Damaged { path, problem })
    }

    fn from_pem(pem: String) -> Result<Self, String> {
        let pair = Pair::from_pem(pem)?;
        let certificate = pair.chain[0].clone();
        let key = KeyPair::try_from(pair.key()).map_err(|error| format!("the key: {error}"))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| error.to_string())?;
        let (begin, end) = (pair.pem.find(CERTIFICATE_BEGINS), pair.pem.find(KEY_BEGINS));
        let public = begin.zip(end).and_then(|(begin, end)| pair.pem.get(begin..end));
        Ok(Self {
            pem: public
                .ok_or("the certificate does not come before the key")?
                .to_owned(),
            permitted: permitted(&certificate)?,
            certificate,
            facts: pair.facts,
            issuer,
        })
    }

    /// The list of certificates that are not to be believed any more, in DER: none. A key of which the machine has lost hold
    /// is given up with the whole authority. But some clients, as curl on Windows, believe nobody who has no such list. Like
    /// certificates it is valid by clocks that are behind, or ahead.
    pub(super) fn revoked(&self, now: OffsetDateTime) -> Result<Vec<u8>, TlsError> {
        let list = CertificateRevocationListParams {
            this_update: now - BACKDATED,
            next_update: now + VALID,
            crl_number: SerialNumber::from(now.unix_timestamp().unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.der().to_vec())
    }

    /// Signs a certificate with a key of its own.
    pub(super) fn issue(&self, wanted: &Wanted) -> Result<Pair, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::from_iter(wanted.names.iter().cloned()))?;
        let addresses = wanted.addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        let name = wanted.names.iter().find(|name| name.ends_with(".local"));
        params.distinguished_name = named(name.map_or("Hearth", String::as_str));
        params.not_before = wanted.not_before;
        params.not_after = wanted.not_after;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: places(wanted) }];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let text = certificate.pem() + &key.serialize_pem();
        Pair::from_pem(text).map_err(|problem| rustls::Error::General(problem).into())
    }
}

/// Where the list of revoked certificates is: by the host's name, and by its addresses for whoever cannot resolve that. Over
/// plain HTTP, as whoever asks for it does so before trusting us.
fn places(wanted: &Wanted) -> Vec<String> {
    let name = wanted.names.iter().find(|name| name.ends_with(".local"));
    let v4 = wanted.addresses.iter().filter_map(|address| match address {
        IpAddr::V4(address) if !address.is_loopback() => Some(address.to_string()),
        _ => None,
    });
    let hosts = name.cloned().into_iter().chain(v4);
    let places: Vec<String> = hosts.map(|host| format!("http://{host}/ca.crl")).collect();
    if places.is_empty() {
        vec!["http://localhost/ca.crl".to_owned()]
    } else {
        places
    }
}

/// A new authority's certificate and key in PEM.
fn make(hostname: &str) -> Result<String, TlsError> {
    let key = KeyPair::generate()?;
    // Whoever has trusted two of them can tell them apart.
    let number = getrandom::u32().map_err(|_| rcgen::Error::RingUnspecified)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("Hearth authority {number:08x}"));
    // Not by the clock, which on a machine with an empty battery tells anything: before any release of Hearth, and up
    // to the last year that both forms of time in certificates agree on.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Whoever takes it in as an authority for everything still does not take programs or mail that it signed.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.name_constraints = Some(constraints(hostname));
    let certificate = params.self_signed(&key)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn constraints(hostname: &str) -> NameConstraints {
    let domains = names::permitted(hostname)
        .into_iter()
        .map(GeneralSubtree::DnsName);
    let networks = PRIVATE_NETWORKS
        .map(|(address, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix)));
    NameConstraints {
        permitted_subtrees: domains.chain(networks).collect(),
        excluded_subtrees: Vec::new(),
    }
}

/// The domains that an authority's certificate constrains it to.
fn permitted(certificate: &[u8]) -> Result<Vec<String>, String> {
    let certificate = parse(certificate)?;
    let constraints = certificate
        .name_constraints()
        .map_err(|error| error.to_string())?;
    let subtrees = constraints.and_then(|found| found.value.permitted_subtrees.as_ref());
    let subtrees = subtrees.ok_or("the authority's certificate is not constrained to names")?;
    let domains = subtrees.iter().filter_map(|subtree| match subtree.base {
        GeneralName::DNSName(domain) => Some(domain.to_owned()),
        _ => None,
    });
    Ok(domains.collect())
}

/// `gateway fingerprint`: makes the authority if there is none, and tells the fingerprint that clients are to compare,
/// in two lines, as a console has eighty columns.
pub(crate) fn make_known(folder: &Path, now: OffsetDateTime) -> anyhow::Result<()> {
    let hostname = gethostname()?;
    let identity = Identity::open(folder, &hostname.to_string_lossy())?;
    let fingerprint = identity.fingerprint(now);
    let (first, second) = fingerprint.split_at(fingerprint.len() / 2);
    writeln!(
        io::stdout(),
        "{}\n{}",
        first.trim_matches(':'),
        second.trim_matches(':')
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        crypto::ring,
        pki_types::{ServerName, UnixTime},
    };
    use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};
    use tempfile::TempDir;
    use x509_parser::{
        extensions::ParsedExtension, prelude::FromDer, revocation_list::CertificateRevocationList,
    };

    fn authority(hostname: &str) -> (TempDir, Authority) {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), hostname).unwrap();
        (folder, authority)
    }

    fn wanted(names: &[&str], addresses: &[&str]) -> Wanted {
        let now = OffsetDateTime::now_utc();
        Wanted {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            not_before: now - time::Duration::days(400),
            not_after: now + time::Duration::days(400),
        }
    }

    /// What rustls' own verifier says of a certificate that is shown for a name.
    fn verify(
        authority: &Authority,
        pair: &Pair,
        name: &str,
        at: OffsetDateTime,
    ) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
        let name = ServerName::try_from(name).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at.unix_timestamp() as u64));
        let verifier = verifier.build().unwrap();
        verifier
            .verify_server_cert(
                &pair.chain[0],
                std::slice::from_ref(&authority.certificate),
                &name,
                &[],
                at,
            )
            .map(drop)
    }

    #[test]
    fn what_it_signs_is_valid_for_each_name_and_address_and_no_other() {
        let (_folder, authority) = authority("kitchen");
        let names = names::of_host("kitchen", &authority.permitted);
        let addresses = [
            "127.0.0.1",
            "::1",
            "192.168.1.5",
            "fe80::1",
            "fd00::1",
            "100.64.0.1",
        ];
        let wanted = Wanted {
            names: names.clone(),
            ..wanted(&[], &addresses)
        };
        let pair = authority.issue(&wanted).unwrap();
        let now = OffsetDateTime::now_utc();
        for name in names.iter().map(String::as_str).chain(addresses) {
            verify(&authority, &pair, name, now).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        for name in ["cellar.local", "192.168.1.6", "evil.kitchen"] {
            verify(&authority, &pair, name, now).unwrap_err();
        }
        let second = time::Duration::SECOND;
        verify(&authority, &pair, "kitchen.local", wanted.not_before + second).unwrap();
        verify(&authority, &pair, "kitchen.local", wanted.not_after - second).unwrap();
        verify(&authority, &pair, "kitchen.local", wanted.not_before - second).unwrap_err();
        verify(&authority, &pair, "kitchen.local", wanted.not_after + second).unwrap_err();
    }

    #[test]
    fn its_certificates_name_the_list_of_revoked_ones_which_is_signed_and_empty() {
        let (_folder, authority) = authority("kitchen");
        let pair = authority
            .issue(&wanted(
                &["kitchen", "kitchen.local"],
                &["127.0.0.1", "192.168.1.5", "fd00::1"],
            ))
            .unwrap();
        let certificate = parse(&pair.chain[0]).unwrap();
        let places =
            certificate
                .extensions()
                .iter()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::CRLDistributionPoints(places) => Some(format!("{places:?}")),
                    _ => None,
                });
        let places = places.unwrap();
        for place in ["http://kitchen.local/ca.crl", "http://192.168.1.5/ca.crl"] {
            assert!(places.contains(place), "{places}");
        }
        assert!(!places.contains("127.0.0.1"), "{places}");
        let now = OffsetDateTime::now_utc();
        let list = authority.revoked(now).unwrap();
        let (rest, list) = CertificateRevocationList::from_der(&list).unwrap();
        assert!(rest.is_empty() && list.iter_revoked_certificates().next().is_none());
        let signer = parse(&authority.certificate).unwrap();
        assert_eq!(list.issuer(), signer.subject());
        list.verify_signature(signer.public_key()).unwrap();
        assert!(list.last_update().to_datetime() < now && list.next_update().unwrap().to_datetime() > now);
    }

    #[test]
    fn nobody_believes_what_it_signs_for_the_rest_of_the_world() {
        let (_folder, authority) = authority("kitchen");
        let now = OffsetDateTime::now_utc();
        for (names, addresses, shown_for) in [
            (&["bank.example"][..], &[][..], "bank.example"),
            (&[], &["203.0.113.1"], "203.0.113.1"),
            (&[], &["2001:db8::1"], "2001:db8::1"),
            (&["kitchen.local", "bank.example"], &[], "kitchen.local"),
        ] {
            let pair = authority.issue(&wanted(names, addresses)).unwrap();
            let error = verify(&authority, &pair, shown_for, now).unwrap_err();
            assert!(format!("{error:?}").contains("NameConstraint"), "{error:?}");
        }
    }

    #[test]
    fn it_is_made_once_and_kept() {
        let (folder, first) = authority("kitchen");
        let second = Authority::open(folder.path(), "cellar").unwrap();
        assert_eq!(first.facts, second.facts);
        assert!(second.permitted.contains(&"kitchen".to_owned()));
        let issued = second.issue(&wanted(&["a.local"], &[])).unwrap();
        verify(&first, &issued, "a.local", OffsetDateTime::now_utc()).unwrap();
        let (_folder, other) = authority("kitchen");
        assert_ne!(first.facts.subject, other.facts.subject);
        assert_eq!(first.facts.names, BTreeSet::new());
        assert!(first.pem.starts_with(CERTIFICATE_BEGINS) && !first.pem.contains("PRIVATE"));
    }

    #[test]
    fn a_damaged_one_is_named_and_left_alone() {
        let (folder, authority) = authority("kitchen");
        let path = folder.path().join(FILE);
        for text in ["", "nothing", &authority.pem] {
            fs::write(&path, text).unwrap();
            let error = Authority::open(folder.path(), "kitchen")
                .err()
                .unwrap()
                .to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
            assert!(error.contains("move it away"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
