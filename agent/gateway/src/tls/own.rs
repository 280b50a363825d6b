//! The owner's own certificate, as it is given to be installed.

use super::{
    facts::{parse, shown},
    pair::Pair,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

/// Certificates in a chain. Public authorities' have two to four.
const MOST_CERTIFICATES: usize = 8;

/// Why a certificate cannot be installed. Each tells the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// What came is no certificate with a key.
    #[error("{0}")]
    Form(String),
    /// The key has a password.
    #[error("key: it is encrypted; take the password off: openssl pkey -in key.pem -out plain.pem")]
    Encrypted,
    /// A key stands where the certificate should.
    #[error("certificate: it holds a private key; give the certificate and its key apart")]
    KeyInCertificate,
    /// There are too many.
    #[error("certificate: there are more than {MOST_CERTIFICATES} of them")]
    Many,
    /// The key is another's, or of a kind that is not used.
    #[error(
        "key: {0}; wanted is the certificate's own, RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519"
    )]
    Key(String),
    /// It is over.
    #[error("certificate: it ended to be valid at {0}")]
    Ended(String),
    /// It is not yet valid.
    #[error("certificate: it begins to be valid at {0}, and the appliance's clock is not there yet")]
    Early(String),
    /// Browsers look at nothing else.
    #[error("certificate: it names no host (it has no subject alternative name)")]
    Nameless,
    /// It is not for servers.
    #[error("certificate: it is not for servers (its extended key usage lacks serverAuth)")]
    Purpose,
    /// The chain is broken.
    #[error(
        "certificate: number {0} of the chain is not signed by the one that follows; the server's comes first"
    )]
    Chain(usize),
}

/// What was given, if it can be served now.
pub(super) fn check(certificate: &str, key: &str, now: OffsetDateTime) -> Result<Pair, Unusable> {
    if certificate.contains("PRIVATE KEY-----") {
        return Err(Unusable::KeyInCertificate);
    }
    if key.contains("BEGIN ENCRYPTED PRIVATE KEY") || key.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Unusable::Encrypted);
    }
    let pair = Pair::from_pem(format!("{}\n{}\n", certificate.trim(), key.trim())).map_err(Unusable::Form)?;
    if pair.chain.len() > MOST_CERTIFICATES {
        return Err(Unusable::Many);
    }
    pair.certified(&[])
        .map_err(|error| Unusable::Key(error.to_string()))?;
    check_first(&pair, now)?;
    check_chain(&pair.chain)?;
    Ok(pair)
}

fn check_first(pair: &Pair, now: OffsetDateTime) -> Result<(), Unusable> {
    let facts = &pair.facts;
    if now > facts.not_after {
        return Err(Unusable::Ended(shown(facts.not_after)));
    }
    if now < facts.not_before {
        return Err(Unusable::Early(shown(facts.not_before)));
    }
    if facts.names.is_empty() && facts.addresses.is_empty() {
        return Err(Unusable::Nameless);
    }
    let certificate = parse(&pair.chain[0]).map_err(Unusable::Form)?;
    let usage = certificate
        .extended_key_usage()
        .map_err(|error| Unusable::Form(format!("certificate: {error}")))?;
    if usage.is_some_and(|usage| !usage.value.any && !usage.value.server_auth) {
        return Err(Unusable::Purpose);
    }
    Ok(())
}

/// Each is signed by the next. Whether a client trusts the last one is the client's affair.
fn check_chain(chain: &[CertificateDer<'_>]) -> Result<(), Unusable> {
    for (index, pair) in chain.windows(2).enumerate() {
        let [lower, upper] = [&pair[0], &pair[1]].map(|der| parse(der));
        let (lower, upper) = (lower.map_err(Unusable::Form)?, upper.map_err(Unusable::Form)?);
        let follows = lower.issuer() == upper.subject();
        if !follows || lower.verify_signature(Some(upper.public_key())).is_err() {
            return Err(Unusable::Chain(index + 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    };
    use rustls::pki_types::pem::PemObject;
    use time::Duration;

    fn params(names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = now() - Duration::days(1);
        params.not_after = now() + Duration::days(1);
        params
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_605)
    }

    fn made(params: &CertificateParams, key: &KeyPair) -> (String, String) {
        (params.self_signed(key).unwrap().pem(), key.serialize_pem())
    }

    fn refusal(certificate: &str, key: &str) -> Unusable {
        check(certificate, key, now()).err().unwrap()
    }

    #[test]
    fn keys_of_the_usual_kinds_are_taken() {
        for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let (certificate, key) = made(&params(&["box.example"]), &key);
            let pair = check(&certificate, &key, now()).unwrap();
            assert_eq!(pair.facts.names.iter().collect::<Vec<_>>(), ["box.example"]);
            // What is kept is found again.
            assert_eq!(Pair::from_pem(pair.pem).unwrap().facts, pair.facts);
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_the_reason() {
        let (mine, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (certificate, key) = made(&params(&["box.example"]), &mine);
        let of = |change: fn(&mut CertificateParams)| {
            let mut params = params(&["box.example"]);
            change(&mut params);
            made(&params, &mine).0
        };
        assert!(matches!(
            refusal(&certificate, &other.serialize_pem()),
            Unusable::Key(_)
        ));
        assert!(matches!(refusal("nothing", &key), Unusable::Form(_)));
        assert!(matches!(refusal(&certificate, "nothing"), Unusable::Form(_)));
        assert!(matches!(refusal(&key, &certificate), Unusable::KeyInCertificate));
        let encrypted = key.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE");
        assert_eq!(refusal(&certificate, &encrypted), Unusable::Encrypted);
        let ended = of(|params| params.not_after = now() - Duration::SECOND);
        assert!(matches!(refusal(&ended, &key), Unusable::Ended(_)));
        let early = of(|params| params.not_before = now() + Duration::SECOND);
        assert!(matches!(refusal(&early, &key), Unusable::Early(_)));
        let nameless = of(|params| params.subject_alt_names.clear());
        assert_eq!(refusal(&nameless, &key), Unusable::Nameless);
        let client = of(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
        assert_eq!(refusal(&client, &key), Unusable::Purpose);
        assert_eq!(refusal(&certificate.repeat(9), &key), Unusable::Many);
        let cut = certificate.replacen("MII", "MIX", 1);
        assert!(matches!(refusal(&cut, &key), Unusable::Form(_)));
    }

    #[test]
    fn a_chain_leads_from_one_to_the_next() {
        let (upper, lower) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authority = params(&[]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&upper).unwrap().pem();
        let issuer = Issuer::from_params(&authority, &upper);
        let leaf = params(&["box.example"]).signed_by(&lower, &issuer).unwrap().pem();
        let key = lower.serialize_pem();
        let pair = check(&(leaf.clone() + &root), &key, now()).unwrap();
        assert_eq!(pair.chain.len(), 2);
        // Of the same name, but another's key.
        let stranger = authority
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .pem();
        assert_eq!(refusal(&(leaf.clone() + &stranger), &key), Unusable::Chain(1));
        assert_eq!(refusal(&(leaf.clone() + &leaf), &key), Unusable::Chain(1));
        assert!(matches!(refusal(&(root + &leaf), &key), Unusable::Key(_)));
    }

    #[test]
    fn certificates_that_are_nearly_right() {
        let (upper, lower) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authority = params(&["home.example"]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&upper).unwrap().pem();
        let issuer = Issuer::from_params(&authority, &upper);
        let mut server = params(&["box.example", "192.0.2.1"]);
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = server.signed_by(&lower, &issuer).unwrap().pem();
        let words: [&[u8]; 6] = [
            b"-----BEGIN CERTIFICATE-----\n",
            b"-----END CERTIFICATE-----\n",
            b"-----BEGIN EC PRIVATE KEY-----\n",
            b"Proc-Type: 4,ENCRYPTED\n",
            b"MII",
            b"\r\n",
        ];
        let campaign = fuzz::Campaign {
            name: "certificate",
            seeds: vec![(leaf.clone() + &root).into_bytes(), leaf.into_bytes()],
            executions: 20_000,
            change: &|input, others, noise| {
                let inside = (!noise.once_in(4)).then(|| der_changed(input, noise)).flatten();
                inside.unwrap_or_else(|| fuzz::mutate::bytes(input, others, &words, noise))
            },
        };
        let key = lower.serialize_pem();
        let report = campaign.run(&std::env::temp_dir(), |input| {
            let pair =
                check(&String::from_utf8_lossy(input), &key, now()).map_err(|error| error.to_string())?;
            assert!((1..=MOST_CERTIFICATES).contains(&pair.chain.len()));
            assert!(pair.facts.is_valid(now()));
            assert!(!(pair.facts.names.is_empty() && pair.facts.addresses.is_empty()));
            assert_eq!(Pair::from_pem(pair.pem.clone()).unwrap().facts, pair.facts);
            Ok(format!("{} more", pair.chain.len() > 1))
        });
        report.show();
        assert!(report.taken > 100 && report.outcomes > 20, "{report}");
    }

    /// The same in PEM with the bytes of one certificate changed, which base64 would hide from most changes.
    fn der_changed(pem: &[u8], noise: &mut fuzz::Noise) -> Option<Vec<u8>> {
        let pem = std::str::from_utf8(pem).ok()?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .ok()?;
        let chosen = noise.below(certificates.len().max(1));
        let mut changed = String::new();
        for (index, certificate) in certificates.iter().enumerate() {
            let der = if index == chosen {
                fuzz::mutate::bytes(certificate, &[], &[], noise)
            } else {
                certificate.to_vec()
            };
            let text = STANDARD.encode(der);
            changed += &format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        }
        (!changed.is_empty()).then(|| changed.into_bytes())
    }
}
