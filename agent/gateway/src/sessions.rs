//! Who is signed in: a browser has exchanged a token for a cookie, which no script can read. The token's text is forgotten,
//! and the session lasts as long as the token is valid, until nobody has used it for twelve hours, thirty days at most, and no
//! longer than the gateway. All that is counted by a clock that nobody sets: a machine's may be years off until it has asked
//! the network.

use crate::tokens::{Digest, Secret};
use axum::http::{HeaderMap, HeaderValue, Method, header, uri::Authority};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The cookie. By its prefix a browser takes it by TLS alone, from this host alone, and for all of it.
pub(crate) const COOKIE: &str = "__Host-hearth-session";
/// What a request by cookie that changes something must carry: a page from elsewhere cannot send it.
pub(crate) const MARK: &str = "x-hearth-request";
/// How long a session lasts that nobody uses.
const REST: Duration = Duration::from_secs(12 * 3600);
/// How long one lasts at most. The browser keeps the cookie as long.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Sessions that are remembered; beyond it the oldest ends.
const REMEMBERED: usize = 256;
/// Sessions of one token; beyond it the oldest of them ends, so that one token cannot sign all others out.
const OF_ONE: usize = 32;

/// A session, by the digest of its cookie.
#[derive(Clone, Debug)]
struct Session {
    cookie: Digest,
    token: Digest,
    begun: Instant,
    used: Instant,
}

impl Session {
    /// When it is over, if nobody uses it again.
    fn ends(&self) -> Instant {
        (self.used + REST).min(self.begun + LIFETIME)
    }
}

/// What a cookie stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// The cookie's digest.
    pub(crate) cookie: Digest,
    /// The token's.
    pub(crate) token: Digest,
    /// When it is over, if nobody uses it again.
    pub(crate) ends: Instant,
}

/// All sessions, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<VecDeque<Session>>,
}

impl Sessions {
    /// Begins one for the bearer of a token. Returns what the browser is to be told.
    pub(crate) fn begin(&self, token: Digest, now: Instant) -> Result<HeaderValue, getrandom::Error> {
        let secret = Secret::generate()?;
        let cookie = secret.digest();
        let mut open = self.lock();
        open.retain(|session| session.ends() > now);
        make_room(&mut open, &token);
        open.push_back(Session {
            cookie,
            token,
            begun: now,
            used: now,
        });
        Ok(set(&secret.reveal(), LIFETIME.as_secs()))
    }

    /// What a request's cookie stands for. The session is used by it.
    pub(crate) fn find(&self, headers: &HeaderMap, now: Instant) -> Option<Signed> {
        let cookie = Digest::of(cookie(headers)?.as_bytes());
        let mut open = self.lock();
        let found = open
            .iter_mut()
            .find(|session| bool::from(session.cookie.matches(&cookie)) && session.ends() > now)?;
        found.used = now;
        Some(Signed {
            cookie,
            token: found.token,
            ends: found.ends(),
        })
    }

    /// Whether one goes on.
    pub(crate) fn is_open(&self, cookie: &Digest, now: Instant) -> bool {
        let open = self.lock();
        open.iter()
            .any(|session| session.cookie == *cookie && session.ends() > now)
    }

    /// Ends one. Returns what the browser is to be told.
    pub(crate) fn end(&self, cookie: &Digest) -> HeaderValue {
        self.lock().retain(|session| session.cookie != *cookie);
        set("", 0)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the oldest session of a token that has as many as one may have, or the oldest of all.
fn make_room(open: &mut VecDeque<Session>, token: &Digest) {
    let of_token = |session: &Session| session.token == *token;
    let first = open.iter().position(of_token);
    if open.iter().filter(|session| of_token(session)).count() >= OF_ONE {
        first.map(|first| open.remove(first));
    } else if open.len() >= REMEMBERED {
        open.pop_front();
    }
}

/// A `Set-Cookie`.
fn set(value: &str, seconds: u64) -> HeaderValue {
    let text = format!("{COOKIE}={value}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age={seconds}");
    // A secret is base64url.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The session's cookie of a request. Of two it is not certain which one counts, so that neither does.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let mut found = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    match (found.next(), found.next()) {
        (Some(value), None) if !value.is_empty() => Some(value),
        _ => None,
    }
}

/// Whether a request that a browser sends by itself with its cookie is one of our own page's, or changes nothing.
pub(crate) fn is_ours(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return true;
    }
    let marked = headers.get(MARK).is_some_and(|value| value == "1");
    let origin = headers.get(header::ORIGIN).map(|origin| is_own(origin, headers));
    let fetched = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "same-origin");
    marked && origin.unwrap_or(fetched)
}

/// Whether an origin is the host that was asked, by TLS.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let host = |value: &HeaderValue| value.to_str().ok()?.parse::<Authority>().ok();
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("https://"))
        .and_then(|origin| origin.parse::<Authority>().ok());
    origin.is_some() && origin == headers.get(header::HOST).and_then(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        lines.iter().map(line).collect()
    }

    fn sent_back(set: &HeaderValue) -> HeaderMap {
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        headers(&[("cookie", &format!("a=b; {pair}; c=d"))])
    }

    #[test]
    fn a_cookie_stands_for_its_token_until_it_ends() {
        let (sessions, token, now) = (Sessions::default(), Digest::of(b"t"), Instant::now());
        let set = sessions.begin(token, now).unwrap();
        let text = set.to_str().unwrap();
        assert!(
            text.ends_with("; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=2592000"),
            "{text}"
        );
        let signed = sessions.find(&sent_back(&set), now).unwrap();
        assert_eq!((signed.token, signed.ends), (token, now + REST));
        assert_eq!(sessions.find(&sent_back(&set), now + REST), None);
        assert!(sessions.is_open(&signed.cookie, now) && !sessions.is_open(&signed.cookie, now + REST));
        let gone = sessions.end(&signed.cookie);
        assert!(!sessions.is_open(&signed.cookie, now));
        assert!(gone.to_str().unwrap().contains("=; ") && gone.to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(sessions.find(&sent_back(&set), now), None);
    }

    #[test]
    fn a_session_in_use_goes_on_and_not_for_ever() {
        let (sessions, begin) = (Sessions::default(), Instant::now());
        let cookie = sent_back(&sessions.begin(Digest::of(b"t"), begin).unwrap());
        let eleven_hours = Duration::from_secs(11 * 3600);
        let uses = (1..1000).map(|n| begin + n * eleven_hours);
        let last = uses
            .take_while(|now| sessions.find(&cookie, *now).is_some())
            .last();
        let last = last.unwrap() - begin;
        assert!(
            (LIFETIME - eleven_hours..LIFETIME).contains(&last),
            "after {last:?} it was over"
        );
    }

    #[test]
    fn other_cookies_and_two_of_ours_are_none() {
        let (sessions, token, now) = (Sessions::default(), Digest::of(b"t"), Instant::now());
        let set = sessions.begin(token, now).unwrap();
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        for line in [
            "",
            "a=b",
            COOKIE,
            &format!("x{pair}"),
            &format!("{pair}x"),
            &format!("{pair}; {pair}"),
        ] {
            assert_eq!(sessions.find(&headers(&[("cookie", line)]), now), None, "{line}");
        }
    }

    #[test]
    fn there_are_only_so_many() {
        let sessions = Sessions::default();
        for n in 0..2 * REMEMBERED {
            sessions
                .begin(Digest::of(&n.to_le_bytes()), Instant::now())
                .unwrap();
        }
        assert_eq!(sessions.lock().len(), REMEMBERED);
    }

    #[test]
    fn one_token_that_signs_in_on_and_on_signs_nobody_else_out() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let other = sessions.begin(Digest::of(b"other"), now).unwrap();
        for _ in 0..2 * REMEMBERED {
            sessions.begin(Digest::of(b"t"), now).unwrap();
        }
        assert_eq!(sessions.lock().len(), OF_ONE + 1);
        assert!(sessions.find(&sent_back(&other), now).is_some());
    }

    #[test]
    fn only_our_own_page_changes_something_by_cookie() {
        let asked = |method: Method, lines: &[(&'static str, &str)]| {
            let mut headers = headers(lines);
            headers.insert("host", HeaderValue::from_static("hearth.local:8443"));
            is_ours(&method, &headers)
        };
        let (mark, own) = ((MARK, "1"), ("origin", "https://hearth.local:8443"));
        assert!(asked(Method::GET, &[]));
        assert!(asked(Method::POST, &[mark, own]));
        assert!(asked(Method::DELETE, &[mark, ("sec-fetch-site", "same-origin")]));
        for lines in [
            &[] as &[(&'static str, &str)],
            &[own],
            &[mark],
            &[mark, ("origin", "https://hearth.local")],
            &[mark, ("origin", "http://hearth.local:8443")],
            &[mark, ("origin", "null")],
            &[
                mark,
                ("origin", "https://evil.example"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[mark, ("sec-fetch-site", "cross-site")],
            &[(MARK, "0"), own],
        ] {
            assert!(!asked(Method::POST, lines), "{lines:?}");
        }
    }

    #[test]
    fn headers_that_are_nearly_right() {
        let (sessions, token, now) = (Sessions::default(), Digest::of(b"t"), Instant::now());
        let set = sessions.begin(token, now).unwrap();
        let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        let seeds = [
            format!(
                "cookie: a=b; {pair}\nx-hearth-request: 1\norigin: https://hearth.local\nhost: hearth.local"
            ),
            format!("cookie: {pair}\nx-hearth-request: 1\nsec-fetch-site: same-origin\nhost: [fd00::1]:8443"),
        ];
        let words: [&[u8]; 10] = [
            b"; ",
            b"\ncookie: ",
            b"\norigin: ",
            b"\nhost: ",
            b"https://",
            b"null",
            b"\"",
            b"@",
            COOKIE.as_bytes(),
            pair.as_bytes(),
        ];
        let campaign = fuzz::Campaign {
            name: "session",
            seeds: seeds.map(String::into_bytes).to_vec(),
            executions: 50_000,
            change: &|input, others, noise| fuzz::mutate::bytes(input, others, &words, noise),
        };
        let report = campaign.run(&std::env::temp_dir(), |input| {
            let headers = lines(input).ok_or("no header lines")?;
            let whole = |name| headers.get(name).and_then(|value| value.to_str().ok());
            if is_ours(&Method::POST, &headers) {
                assert_eq!(whole(MARK), Some("1"));
                match whole("origin") {
                    Some(origin) => {
                        let host = origin.strip_prefix("https://").unwrap();
                        assert!(host.eq_ignore_ascii_case(whole("host").unwrap()), "{headers:?}");
                    }
                    None => assert_eq!(whole("sec-fetch-site"), Some("same-origin")),
                }
            }
            let signed = sessions.find(&headers, now).ok_or("nobody is signed in")?;
            assert_eq!(signed.token, token);
            let text = String::from_utf8_lossy(input);
            assert!(text.contains(&pair), "{text}");
            Ok(format!("signed in, {}", is_ours(&Method::POST, &headers)))
        });
        report.show();
        assert!(report.taken > 1000 && report.outcomes >= 4, "{report}");
    }

    /// Header lines, as hyper would have read them.
    fn lines(input: &[u8]) -> Option<HeaderMap> {
        let line = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            Some((
                name,
                HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?,
            ))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in input
            .split(|byte| *byte == b'\n')
            .map(line)
            .collect::<Option<Vec<_>>>()?
        {
            headers.append(name, value);
        }
        Some(headers)
    }
}
