//! One client of many, which may come from any address of the loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::client::Trust;

/// Where the gateway is reached.
#[derive(Clone, Debug)]
pub(super) enum Door {
    /// By TLS.
    Tls(SocketAddr, Trust),
    /// By the local socket.
    Local(PathBuf),
}

/// What is asked again and again.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) body: &'static str,
    /// Nobody's where there is none.
    pub(super) token: Option<String>,
}

/// An answer, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) took: Duration,
    pub(super) bytes: usize,
}

/// A connection that requests can be sent by.
#[derive(Debug)]
pub(super) struct Visitor {
    sender: SendRequest<Full<Bytes>>,
}

impl Visitor {
    /// Comes from an address of the loopback.
    pub(super) async fn come(door: &Door, from: Ipv4Addr) -> Result<Self> {
        let sender = match door {
            Door::Tls(address, trust) => {
                let stream = shake_hands(knock(*address, from).await?, *address, trust).await?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                // What goes wrong with the connection is told by the exchange on it.
                tokio::spawn(async move { connection.await.ok() });
                sender
            }
            Door::Local(path) => {
                let (sender, connection) = handshake(TokioIo::new(UnixStream::connect(path).await?)).await?;
                tokio::spawn(async move { connection.await.ok() });
                sender
            }
        };
        Ok(Self { sender })
    }

    /// Asks, and reads the answer to its end.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<Answered> {
        let began = Instant::now();
        let mut request = Request::builder()
            .method(question.method)
            .uri(question.path)
            .header("host", "hearth.test");
        if let Some(token) = &question.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from_static(question.body.as_bytes())))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes().len();
        Ok(Answered {
            status,
            took: began.elapsed(),
            bytes,
        })
    }
}

/// A connection that says nothing yet.
pub(super) async fn knock(address: SocketAddr, from: Ipv4Addr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    Ok(socket.connect(address).await?)
}

/// The same with its handshake.
pub(super) async fn shake_hands(
    stream: TcpStream,
    address: SocketAddr,
    trust: &Trust,
) -> Result<TlsStream<TcpStream>> {
    let name = IpAddr::from(Ipv4Addr::LOCALHOST);
    ensure!(address.ip() == name, "the gateway listens on {address}");
    let connector = TlsConnector::from(trust.config());
    Ok(connector.connect(name.into(), stream).await?)
}

/// An address of the loopback, of as many as are wanted.
pub(super) fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x7f00_0100 + number as u32)
}
