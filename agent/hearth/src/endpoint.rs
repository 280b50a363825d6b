//! Where the gateway is.

use hyper::{Uri, http::uri::Authority};
use std::{fmt, net::Ipv6Addr, path::PathBuf};

/// Where the gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Its local socket.
    Socket(PathBuf),
    /// An address on the network.
    Network {
        /// A name, or an address without brackets.
        host: String,
        /// The TCP port.
        port: u16,
    },
}

/// A URL that does not say where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--host {url:?} (or HEARTH_HOST): {problem}")]
pub(crate) struct BadUrl {
    url: String,
    problem: &'static str,
}

impl Endpoint {
    /// From `http://HOST[:PORT]`; without a port it is 80, as in every URL.
    pub(crate) fn from_url(url: &str) -> Result<Self, BadUrl> {
        parse(url).map_err(|problem| BadUrl {
            url: url.to_owned(),
            problem,
        })
    }
}

fn parse(url: &str) -> Result<Endpoint, &'static str> {
    const FORM: &str = "it must have the form http://NAME:8080";
    let uri: Uri = url.parse().map_err(|_| FORM)?;
    match uri.scheme_str() {
        Some("http") => (),
        Some("https") => {
            return Err("TLS comes in a later version; for now use http:// in a network that you trust");
        }
        _ => return Err(FORM),
    }
    let authority = uri.authority().ok_or(FORM)?;
    if authority.as_str().contains('@') {
        return Err("names and passwords do not belong into it; put a token into HEARTH_TOKEN");
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err("it must end after the host and its port");
    }
    let port = port(authority)?;
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if bare.is_some_and(|address| !is_ipv6(address)) {
        return Err("in brackets stands an IPv6 address");
    }
    let host = bare.unwrap_or(host).to_owned();
    if host.is_empty() || host.contains(['[', ']']) {
        Err(FORM)
    } else {
        Ok(Endpoint::Network { host, port })
    }
}

/// Whether it is an IPv6 address, alone or with the zone that a link-local one needs (RFC 4007, section 11).
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _zone)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

/// What follows the last colon outside of brackets; without one it is 80.
fn port(authority: &Authority) -> Result<u16, &'static str> {
    match authority.as_str().rsplit_once(':') {
        Some((_, port)) if !port.contains(']') => authority
            .port_u16()
            .filter(|port| *port > 0)
            .ok_or("the port must be a number from 1 to 65535"),
        _ => Ok(80),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Network { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Network { host, port } => write!(f, "http://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_say_where() {
        let network = |host: &str, port| {
            Ok(Endpoint::Network {
                host: host.to_owned(),
                port,
            })
        };
        assert_eq!(parse("http://hearth.local:8080"), network("hearth.local", 8080));
        assert_eq!(parse("http://hearth.local/"), network("hearth.local", 80));
        assert_eq!(parse("http://[::1]:8080"), network("::1", 8080));
        assert_eq!(parse("http://[::1]"), network("::1", 80));
        assert_eq!(parse("http://[fe80::1%eth0]"), network("fe80::1%eth0", 80));
        assert_eq!(
            parse("http://[::1]:8080").unwrap().to_string(),
            "http://[::1]:8080"
        );
    }

    #[test]
    fn others_are_refused_with_the_way_out() {
        let table = [
            ("https://hearth.local", "TLS"),
            ("hearth.local:8080", "http://NAME:8080"),
            ("", "http://NAME:8080"),
            ("ftp://hearth.local", "http://NAME:8080"),
            ("http://", "http://NAME:8080"),
            ("http://a[]", "http://NAME:8080"),
            ("http://[%]", "IPv6"),
            ("http://[hearth.local]:8080", "IPv6"),
            ("http://hearth.local:0", "port"),
            ("http://hearth.local:99999", "port"),
            ("http://me:secret@hearth.local", "HEARTH_TOKEN"),
            ("http://hearth.local/v1", "must end"),
            ("http://hearth.local?x", "must end"),
        ];
        for (url, told) in table {
            let error = Endpoint::from_url(url).unwrap_err().to_string();
            assert!(error.contains(told), "{url}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_url_makes_it_panic(url in "(http://)?[\\[\\]a-z0-9:@/?.%-]{0,30}") {
            // What is accepted is written back as something that is accepted.
            if let Ok(endpoint) = parse(&url) {
                prop_assert_eq!(parse(&endpoint.to_string()), Ok(endpoint));
            }
        }
    }
}
