//! Which certificate is served now.

use super::{
    Authority, TlsError,
    facts::{Facts, shown},
    names,
    own::{self, Unusable},
    pair::Pair,
    renewal,
};
use crate::state_file;
use api::tls::{NewCertificate, Source, Tls};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use time::OffsetDateTime;

const LOCAL: &str = "tls-server.pem";
const OWN: &str = "tls-own.pem";
const SETTINGS: &str = "tls.json";

/// What people have chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    plain_http: bool,
}

/// A certificate that can be served.
#[derive(Clone)]
struct Served {
    facts: Facts,
    key: Arc<CertifiedKey>,
}

struct State {
    local: Option<Served>,
    own: Option<Served>,
    /// Why the owner's own could not be read.
    own_problem: Option<String>,
    settings: Settings,
    /// What the next client is shown.
    next: Option<Arc<CertifiedKey>>,
}

/// The local authority, the certificate that it has signed, the owner's own if there is one, and which is served: the
/// owner's as long as it is valid.
pub(crate) struct Identity {
    folder: PathBuf,
    authority: Authority,
    state: Mutex<State>,
}

impl Identity {
    /// Of a state folder. Makes the authority if there is none; its certificate is made by [`Self::prepare`].
    pub(crate) fn open(folder: &Path, hostname: &str) -> Result<Self, TlsError> {
        let authority = Authority::open(folder, hostname)?;
        let local = read_local(&folder.join(LOCAL), &authority);
        let (own, own_problem) = read_own(&folder.join(OWN));
        let state = State {
            local,
            own,
            own_problem,
            settings: read_settings(&folder.join(SETTINGS)),
            next: None,
        };
        Ok(Self {
            folder: folder.to_owned(),
            authority,
            state: Mutex::new(state),
        })
    }

    /// Chooses what the next client is shown, which has come by this address of ours to a host of this name. Makes the
    /// certificate anew where the law of renewal says so. One that cannot be written is served all the same.
    pub(crate) fn prepare(
        &self,
        hostname: &str,
        reached_by: Option<IpAddr>,
        now: OffsetDateTime,
    ) -> Result<(), TlsError> {
        let names = names::of_host(hostname, &self.authority.permitted);
        let mut state = self.lock();
        let current = state.local.as_ref().map(|local| &local.facts);
        if let Some(due) = renewal::due(current, &names, reached_by, now) {
            let wanted = renewal::next(current, due, names, reached_by, now);
            let pair = self.authority.issue(&wanted)?;
            self.keep(&pair, due);
            state.local = Some(served_by(&pair, &self.authority)?);
        }
        state.next = served(&state, now).map(|(served, _)| served.key.clone());
        Ok(())
    }

    /// What REST tells, of a host of this name.
    pub(crate) fn describe(&self, hostname: &str, now: OffsetDateTime) -> Result<Tls, TlsError> {
        self.prepare(hostname, None, now)?;
        let state = self.lock();
        let missing = || rustls::Error::General("there is no certificate".to_owned());
        let (served, source) = served(&state, now).ok_or_else(missing)?;
        Ok(Tls {
            fingerprint: self.fingerprint_of(&state, now),
            source,
            certificate: served.facts.public(),
            authority: self.authority.facts.public(),
            own_problem: own_problem(&state, now),
            plain_http: state.settings.plain_http,
        })
    }

    /// What clients may pin and compare: the owner's certificate while that is served, else the local authority's.
    pub(crate) fn fingerprint(&self, now: OffsetDateTime) -> String {
        self.fingerprint_of(&self.lock(), now)
    }

    fn fingerprint_of(&self, state: &State, now: OffsetDateTime) -> String {
        match served(state, now) {
            Some((own, Source::Own)) => own.facts.fingerprint(),
            _ => self.authority.facts.fingerprint(),
        }
    }

    /// The local authority's, whichever certificate is served.
    pub(crate) fn authority_fingerprint(&self) -> String {
        self.authority.facts.fingerprint()
    }

    /// The local authority's certificate in PEM.
    pub(crate) fn authority_pem(&self) -> String {
        self.authority.pem.clone()
    }

    /// The local authority's list of revoked certificates in DER.
    pub(crate) fn revoked(&self, now: OffsetDateTime) -> Result<Vec<u8>, TlsError> {
        self.authority.revoked(now)
    }

    /// Whether the owner's own certificate is served.
    pub(crate) fn is_own(&self, now: OffsetDateTime) -> bool {
        matches!(served(&self.lock(), now), Some((_, Source::Own)))
    }

    /// Installs the owner's own certificate. On an error nothing has changed.
    pub(crate) fn install(
        &self,
        new: &NewCertificate,
        now: OffsetDateTime,
    ) -> Result<Result<(), Unusable>, TlsError> {
        let pair = match own::check(&new.certificate, &new.key, now) {
            Ok(pair) => pair,
            Err(problem) => return Ok(Err(problem)),
        };
        let key = pair.certified(&[])?;
        let path = self.folder.join(OWN);
        state_file::replace(&path, pair.pem.as_bytes()).map_err(|cause| TlsError::Io {
            action: "write",
            path,
            cause,
        })?;
        let mut state = self.lock();
        state.own_problem = None;
        state.own = Some(Served {
            facts: pair.facts,
            key,
        });
        Ok(Ok(()))
    }

    /// Removes the owner's own certificate with its key; tells whether there was one.
    pub(crate) fn remove_own(&self) -> Result<bool, TlsError> {
        let path = self.folder.join(OWN);
        let removed = match fs::remove_file(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(cause) => {
                return Err(TlsError::Io {
                    action: "remove",
                    path,
                    cause,
                });
            }
        };
        let mut state = self.lock();
        (state.own, state.own_problem) = (None, None);
        Ok(removed)
    }

    /// Whether requests with a token are answered unencrypted.
    pub(crate) fn plain_http(&self) -> bool {
        self.lock().settings.plain_http
    }

    /// Sets whether they are. On an error nothing has changed.
    pub(crate) fn set_plain_http(&self, plain_http: bool) -> Result<(), TlsError> {
        let settings = Settings { plain_http };
        let path = self.folder.join(SETTINGS);
        let written = serde_json::to_vec(&settings)
            .map_err(io::Error::from)
            .and_then(|json| state_file::replace(&path, &json));
        written.map_err(|cause| TlsError::Io {
            action: "write",
            path,
            cause,
        })?;
        self.lock().settings = settings;
        Ok(())
    }

    fn keep(&self, pair: &Pair, due: renewal::Due) {
        let path = self.folder.join(LOCAL);
        let sha256 = pair.facts.fingerprint();
        match state_file::replace(&path, pair.pem.as_bytes()) {
            Ok(()) => tracing::info!(sha256, "made a certificate, as {due}: SHA-256 {sha256}"),
            Err(error) => tracing::warn!(
                sha256,
                "made a certificate, as {due}, that cannot be kept over a restart: cannot write {}: {error}",
                path.display()
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.lock().next.clone()
    }
}

/// rustls wants it; keys are not to be shown.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

fn served(state: &State, now: OffsetDateTime) -> Option<(&Served, Source)> {
    let own = state.own.as_ref().filter(|own| own.facts.is_valid(now));
    let own = own.map(|own| (own, Source::Own));
    own.or_else(|| Some((state.local.as_ref()?, Source::Local)))
}

fn own_problem(state: &State, now: OffsetDateTime) -> Option<String> {
    let own = state.own.as_ref().filter(|own| !own.facts.is_valid(now));
    let invalid = own.map(|own| {
        let [begin, end] = [own.facts.not_before, own.facts.not_after].map(shown);
        format!("it is valid from {begin} to {end}, and not now; install a new one, or remove it")
    });
    invalid.or_else(|| state.own_problem.clone())
}

fn served_by(pair: &Pair, authority: &Authority) -> Result<Served, TlsError> {
    // With the authority's own certificate, so that a client can pin that by its fingerprint alone.
    let key = pair.certified(std::slice::from_ref(&authority.certificate))?;
    Ok(Served {
        facts: pair.facts.clone(),
        key,
    })
}

/// What was made before. Whatever is wrong with it, a new one takes its place.
fn read_local(path: &Path, authority: &Authority) -> Option<Served> {
    let read = Pair::read(path).map_err(|error| error.to_string());
    let pair = read.and_then(Option::transpose).and_then(|pair| match pair {
        Some(pair) if pair.facts.issuer != authority.facts.subject => {
            Err("another authority has signed it".to_owned())
        }
        Some(pair) => served_by(&pair, authority)
            .map(Some)
            .map_err(|error| error.to_string()),
        None => Ok(None),
    });
    pair.unwrap_or_else(|problem| {
        tracing::warn!("{}: {problem}; a new certificate is made", path.display());
        None
    })
}

/// The owner's own, or why it cannot be served.
fn read_own(path: &Path) -> (Option<Served>, Option<String>) {
    let read = Pair::read(path).map_err(|error| error.to_string());
    let own = read.and_then(Option::transpose).and_then(|pair| {
        let served = |pair: Pair| {
            let key = pair.certified(&[]).map_err(|error| error.to_string())?;
            let facts = pair.facts;
            Ok(Served { facts, key })
        };
        pair.map(served).transpose()
    });
    match own {
        Ok(own) => (own, None),
        Err(problem) => {
            let problem = format!("{}: {problem}; install it again", path.display());
            tracing::error!("the own certificate is not served: {problem}");
            (None, Some(problem))
        }
    }
}

/// A file that is not there, or cannot be believed, has nothing switched on.
fn read_settings(path: &Path) -> Settings {
    let read = fs::read(path).and_then(|json| Ok(serde_json::from_slice(&json)?));
    read.unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::error!("cannot read {}: {error}; plain HTTP stays off", path.display());
        }
        Settings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;
    use time::Duration;

    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_605)
    }

    fn identity() -> (TempDir, Identity) {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::open(folder.path(), "hearth").unwrap();
        (folder, identity)
    }

    /// One for `box.example`, valid from the day before to the day after.
    fn own() -> NewCertificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["box.example".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (now() - Duration::days(1), now() + Duration::days(1));
        NewCertificate {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn at(identity: &Identity, now: OffsetDateTime) -> Tls {
        identity.describe("hearth", now).unwrap()
    }

    #[test]
    fn the_same_certificate_is_served_after_a_restart() {
        let (folder, identity) = identity();
        let before = at(&identity, now());
        assert_eq!(
            (before.source, before.own_problem.as_deref()),
            (Source::Local, None)
        );
        assert_eq!(before.fingerprint, before.authority.sha256);
        drop(identity);
        let again = Identity::open(folder.path(), "hearth").unwrap();
        assert_eq!(at(&again, now()), before);
    }

    #[test]
    fn what_is_wrong_with_the_local_one_is_mended() {
        let (folder, identity) = identity();
        let before = at(&identity, now());
        for text in ["nothing".to_owned(), {
            let (other, identity) = self::identity();
            at(&identity, now());
            fs::read_to_string(other.path().join(LOCAL)).unwrap()
        }] {
            fs::write(folder.path().join(LOCAL), text).unwrap();
            let again = Identity::open(folder.path(), "hearth").unwrap();
            let after = at(&again, now());
            assert_eq!(after.certificate.issuer, before.certificate.issuer);
            assert_ne!(after.certificate.sha256, before.certificate.sha256);
        }
    }

    #[test]
    fn one_that_cannot_be_written_is_served() {
        let (folder, identity) = identity();
        // A folder in the temporary file's place makes writing fail, for root as well.
        fs::create_dir(folder.path().join(format!("{LOCAL}.new"))).unwrap();
        identity.prepare("hearth", None, now()).unwrap();
        let first = at(&identity, now());
        assert_eq!(at(&identity, now()), first, "and not made anew each time");
        assert!(!folder.path().join(LOCAL).exists());
    }

    #[test]
    fn the_owners_own_is_served_as_long_as_it_is_valid() {
        let (folder, identity) = identity();
        identity.install(&own(), now()).unwrap().unwrap();
        let tls = at(&identity, now());
        assert_eq!(
            (tls.source, tls.certificate.names.clone()),
            (Source::Own, vec!["box.example".to_owned()])
        );
        assert_eq!(tls.fingerprint, tls.certificate.sha256);
        assert!(identity.is_own(now()));
        let again = Identity::open(folder.path(), "hearth").unwrap();
        assert_eq!(at(&again, now()), tls);
        let later = now() + Duration::days(2);
        let after = at(&again, later);
        assert_eq!(after.source, Source::Local);
        assert!(after.own_problem.unwrap().contains("install a new one") && !again.is_own(later));
        assert!(again.remove_own().unwrap() && !again.remove_own().unwrap());
        assert_eq!(at(&again, now()).source, Source::Local);
    }

    #[test]
    fn a_refused_one_leaves_the_other_in_place() {
        let (_folder, identity) = identity();
        identity.install(&own(), now()).unwrap().unwrap();
        let before = at(&identity, now());
        let mixed = NewCertificate {
            key: own().key,
            ..own()
        };
        assert!(identity.install(&mixed, now()).unwrap().is_err());
        assert_eq!(at(&identity, now()), before);
    }

    #[test]
    fn a_damaged_own_one_is_told_and_the_local_one_served() {
        let (folder, identity) = identity();
        identity.install(&own(), now()).unwrap().unwrap();
        fs::write(folder.path().join(OWN), "nothing").unwrap();
        let again = Identity::open(folder.path(), "hearth").unwrap();
        let tls = at(&again, now());
        assert_eq!(tls.source, Source::Local);
        assert!(tls.own_problem.unwrap().contains(OWN));
    }

    #[test]
    fn plain_http_is_off_unless_it_is_surely_on() {
        let (folder, identity) = identity();
        assert!(!identity.plain_http());
        identity.set_plain_http(true).unwrap();
        let again = || Identity::open(folder.path(), "hearth").unwrap().plain_http();
        assert!(identity.plain_http() && again());
        fs::write(folder.path().join(SETTINGS), "{\"plain_http\":true,").unwrap();
        assert!(!again());
    }
}
