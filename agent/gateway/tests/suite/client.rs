//! A client that writes HTTP by hand, so that it can also do it badly.

use crate::engine::DEADLINE;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
};

/// What a client is that trusts the first certificate of this PEM, and nobody else.
pub(crate) fn trusting(pem: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth().into()
}

/// Both kinds of stream.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection to the gateway.
pub(crate) struct Client {
    reader: BufReader<Box<dyn Stream>>,
}

/// An answer, or its head.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    /// By plain TCP.
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self::new(stream)
    }

    /// By TLS, to a server that is known by the address.
    pub(crate) fn tls(address: SocketAddr, trust: &Arc<ClientConfig>) -> Self {
        Self::tls_as(address, trust, &address.ip().to_string())
    }

    /// By TLS, to a server that is known by a name.
    pub(crate) fn tls_as(address: SocketAddr, trust: &Arc<ClientConfig>, name: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = name.to_owned().try_into().unwrap();
        let connection = ClientConnection::new(trust.clone(), name).unwrap();
        Self::new(StreamOwned::new(connection, stream))
    }

    fn new(stream: impl Stream + 'static) -> Self {
        Self {
            reader: BufReader::new(Box::new(stream)),
        }
    }

    /// By the local socket.
    pub(crate) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self::new(stream)
    }

    /// Writes as it is.
    pub(crate) fn write(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
        self.reader.get_mut().flush().unwrap();
    }

    /// Sends a request with extra header lines and a body.
    pub(crate) fn send(&mut self, line: &str, headers: &[&str], body: &str) {
        let mut text = format!("{line} HTTP/1.1\r\nHost: hearth\r\n");
        headers
            .iter()
            .for_each(|header| text.push_str(&format!("{header}\r\n")));
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        self.write(&format!("{text}\r\n{body}"));
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask(&mut self, line: &str, headers: &[&str], body: &str) -> Answer {
        self.send(line, headers, body);
        self.answer()
    }

    /// Reads a whole answer.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        match answer
            .header("content-length")
            .map(|length| length.parse().unwrap())
        {
            Some(length) => answer.body = self.read(length),
            None if answer.status == 204 => (),
            None => {
                while self.chunk().is_some_and(|chunk| {
                    answer.body.push_str(&chunk);
                    true
                }) {}
            }
        }
        answer
    }

    /// Reads an answer's head.
    pub(crate) fn head(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                self.reader.read_line(&mut head).unwrap(),
                0,
                "no whole head: {head:?}"
            );
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head,
            body: String::new(),
        }
    }

    /// Reads one chunk of a chunked body; `None` is its orderly end.
    pub(crate) fn chunk(&mut self) -> Option<String> {
        let mut length = String::new();
        assert_ne!(
            self.reader.read_line(&mut length).unwrap(),
            0,
            "the body was cut off"
        );
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        let text = self.read(length);
        assert_eq!(self.read(2), "\r\n");
        (length > 0).then_some(text)
    }

    fn read(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).unwrap();
        // Not every body is a text.
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a request; the status of the answer, if any comes.
    pub(crate) fn try_ask(mut self, line: &str) -> Option<u16> {
        let sent = self
            .reader
            .get_mut()
            .write_all(format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        let mut head = String::new();
        sent.and_then(|()| self.reader.read_line(&mut head)).ok()?;
        head.split(' ').nth(1)?.parse().ok()
    }

    /// Everything up to the end of the connection, however that comes.
    pub(crate) fn rest(mut self) -> String {
        let mut bytes = Vec::new();
        // A reset counts as an end.
        drop(self.reader.read_to_end(&mut bytes));
        String::from_utf8(bytes).unwrap()
    }
}
