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
        /// Whether it is reached by TLS.
        tls: bool,
        /// A name, or an address without brackets.
        host: String,
        /// The TCP port.
        port: u16,
    },
}

/// A URL that does not say where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} (it is said by --host or HEARTH_HOST)")]
pub(crate) struct BadUrl(&'static str);

impl Endpoint {
    /// From `https://HOST[:PORT]`, or `http:` for one that answers unencrypted; without a port it is the usual one.
    pub(crate) fn from_url(url: &str) -> Result<Self, BadUrl> {
        parse(url).map_err(BadUrl)
    }
}

fn parse(url: &str) -> Result<Endpoint, &'static str> {
    const FORM: &str = "it must have the form https://NAME";
    let uri: Uri = url.parse().map_err(|_| FORM)?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(FORM),
    };
    let authority = uri.authority().ok_or(FORM)?;
    if authority.as_str().contains('@') {
        return Err("names and passwords do not belong into it; put a token into HEARTH_TOKEN");
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err("it must end after the host and its port");
    }
    let port = port(authority, if tls { 443 } else { 80 })?;
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if bare.is_some_and(|address| !is_ipv6(address)) {
        return Err("in brackets stands an IPv6 address");
    }
    let host = bare.unwrap_or(host).to_owned();
    if host.is_empty() || host.contains(['[', ']']) {
        Err(FORM)
    } else {
        Ok(Endpoint::Network { tls, host, port })
    }
}

/// Whether it is an IPv6 address, alone or with the zone that a link-local one needs (RFC 4007, section 11).
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _zone)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

/// What follows the last colon outside of brackets, or the usual port.
fn port(authority: &Authority, usual: u16) -> Result<u16, &'static str> {
    match authority.as_str().rsplit_once(':') {
        Some((_, port)) if !port.contains(']') => authority
            .port_u16()
            .filter(|port| *port > 0)
            .ok_or("the port must be a number from 1 to 65535"),
        _ => Ok(usual),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Network { tls, .. } => {
                let scheme = if *tls { "https" } else { "http" };
                write!(f, "{scheme}://{}", self.authority())
            }
        }
    }
}

impl Endpoint {
    /// `HOST:PORT` as the `Host` header has it.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Socket(_) => "localhost".to_owned(),
            Self::Network { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Network { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_say_where() {
        let network = |tls, host: &str, port| {
            let host = host.to_owned();
            Ok(Endpoint::Network { tls, host, port })
        };
        assert_eq!(
            parse("https://hearth.local:8443"),
            network(true, "hearth.local", 8443)
        );
        assert_eq!(parse("https://hearth.local/"), network(true, "hearth.local", 443));
        assert_eq!(parse("http://hearth.local"), network(false, "hearth.local", 80));
        assert_eq!(parse("https://[::1]:8443"), network(true, "::1", 8443));
        assert_eq!(parse("http://[::1]"), network(false, "::1", 80));
        assert_eq!(
            parse("https://[fe80::1%eth0]"),
            network(true, "fe80::1%eth0", 443)
        );
        let shown = parse("https://[::1]:8443").unwrap();
        assert_eq!(
            (shown.to_string(), shown.authority()),
            ("https://[::1]:8443".to_owned(), "[::1]:8443".to_owned())
        );
    }

    #[test]
    fn others_are_refused_with_the_way_out() {
        let table = [
            ("hearth.local:8080", "https://NAME"),
            ("", "https://NAME"),
            ("ftp://hearth.local", "https://NAME"),
            ("http://", "https://NAME"),
            ("http://a[]", "https://NAME"),
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
        fn no_url_makes_it_panic(url in "(https?://)?[\\[\\]a-z0-9:@/?.%-]{0,30}") {
            // What is accepted is written back as something that is accepted.
            if let Ok(endpoint) = parse(&url) {
                prop_assert_eq!(parse(&endpoint.to_string()), Ok(endpoint));
            }
        }
    }
}
