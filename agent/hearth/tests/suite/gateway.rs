//! A fake gateway: hands each request to the test, which answers by hand.

use crate::certificates::Shown;
use rustls::{ServerConnection, StreamOwned};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

/// Longer than anything here takes; only a failing test waits so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A listening gateway.
pub(crate) struct Gateway {
    calls: Receiver<Call>,
}

impl Gateway {
    /// At the path of a Unix socket.
    pub(crate) fn unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (sender, calls) = channel();
        thread::spawn(move || {
            listener
                .incoming()
                .for_each(|stream| hand_over(&sender, stream.unwrap()))
        });
        Self { calls }
    }

    /// On loopback.
    pub(crate) fn tcp() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = channel();
        thread::spawn(move || {
            listener
                .incoming()
                .for_each(|stream| hand_over(&sender, stream.unwrap()))
        });
        (Self { calls }, address)
    }

    /// On loopback, by TLS, with what it shows. Who does not like that is let go.
    pub(crate) fn tls(shown: &Shown) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = shown.config();
        let (sender, calls) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut connection = ServerConnection::new(config.clone()).unwrap();
                while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
                if !connection.is_handshaking() {
                    hand_over(&sender, StreamOwned::new(connection, stream));
                }
            }
        });
        (Self { calls }, address)
    }

    /// The next request.
    pub(crate) fn next(&self) -> Call {
        self.calls
            .recv_timeout(DEADLINE)
            .expect("the gateway was not asked")
    }
}

fn hand_over(calls: &Sender<Call>, stream: impl Stream + 'static) {
    // Nobody listens any more once the test has ended.
    drop(calls.send(Call::read(Box::new(stream))));
}

/// One request.
pub(crate) struct Call {
    reader: BufReader<Box<dyn Stream>>,
    /// Its head, lower case.
    pub(crate) head: String,
    /// Its body.
    pub(crate) body: String,
}

impl Call {
    fn read(stream: Box<dyn Stream>) -> Self {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "no whole head: {head:?}");
        }
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        Self {
            reader,
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Writes as it is.
    pub(crate) fn write(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
        self.reader.get_mut().flush().unwrap();
    }

    /// Answers with a status and JSON.
    pub(crate) fn answer(mut self, status: &str, json: &str) {
        let length = json.len();
        self.write(&format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{json}"
        ));
    }

    /// Begins a stream of events.
    pub(crate) fn begin(&mut self) {
        self.write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        );
    }

    /// Sends an event.
    pub(crate) fn event(&mut self, data: &str) {
        let event = format!("data: {data}\n\n");
        self.write(&format!("{:x}\r\n{event}\r\n", event.len()));
    }

    /// Sends a piece of an answer.
    pub(crate) fn piece(&mut self, text: &str) {
        let content = serde_json::json!(text);
        self.event(&format!(
            r#"{{"id":"x","object":"chat.completion.chunk","created":0,"model":"m","choices":[{{"index":0,"delta":{{"content":{content}}},"finish_reason":null}}]}}"#
        ));
    }

    /// Ends the stream in good order.
    pub(crate) fn end(&mut self) {
        self.write("0\r\n\r\n");
    }

    /// Waits until the client has hung up.
    pub(crate) fn wait_for_hang_up(mut self) {
        // A reset is a hang-up too.
        drop(self.reader.read_to_end(&mut Vec::new()));
    }
}
