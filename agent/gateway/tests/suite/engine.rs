//! A fake inferd: hands each request to the test, which plays the engine by hand.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// Longer than anything here takes; only a failing test waits so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A listening engine.
pub(crate) struct Engine {
    calls: Receiver<Call>,
}

impl Engine {
    /// Listens at a path.
    pub(crate) fn listen(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (sender, calls) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if sender.send(Call::new(stream.unwrap())).is_err() {
                    return;
                }
            }
        });
        Self { calls }
    }

    /// The next connection.
    pub(crate) fn next(&self) -> Call {
        self.calls
            .recv_timeout(DEADLINE)
            .expect("the engine was not asked")
    }

    /// Whether nobody has connected.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.try_recv().is_err()
    }
}

/// One connection to the engine.
pub(crate) struct Call {
    reader: BufReader<UnixStream>,
}

impl Call {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// Reads the head: its lines, lower case.
    pub(crate) fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                self.reader.read_line(&mut head).unwrap(),
                0,
                "no whole head: {head:?}"
            );
        }
        head.to_lowercase()
    }

    /// Reads exactly so many bytes.
    pub(crate) fn read(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Writes as it is.
    pub(crate) fn write(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Writes one chunk of a chunked body.
    pub(crate) fn chunk(&mut self, text: &str) {
        self.write(&format!("{:x}\r\n{text}\r\n", text.len()));
    }

    /// Begins a chunked answer of a content type.
    pub(crate) fn begin(&mut self, kind: &str) {
        self.write(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        ));
    }

    /// Answers with a small JSON body.
    pub(crate) fn answer(&mut self, json: &str) {
        let length = json.len();
        self.write(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
        ));
    }

    /// Writes until nothing is taken any more for a while; tells how much was.
    pub(crate) fn write_until_stuck(&mut self, piece: &str, most: usize) -> usize {
        let stream = self.reader.get_mut();
        stream
            .set_write_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let mut written = 0;
        while written < most {
            match stream.write(&piece.as_bytes()[written % piece.len()..]) {
                Ok(length) => written += length,
                Err(_) => break,
            }
        }
        stream.set_write_timeout(None).unwrap();
        written
    }

    /// Waits until the other end has hung up.
    pub(crate) fn wait_for_hang_up(mut self) {
        // A reset is a hang-up too.
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => (),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}
