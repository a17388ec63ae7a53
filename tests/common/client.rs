//! An HTTP/1.1 client that writes what it is told and keeps what it gets, byte for byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) chunked: bool,
}

impl Call {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Call { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new(), chunked: false }
    }

    pub(crate) fn get(target: &str) -> Self {
        Call::new("GET", target)
    }

    /// A POST of JSON.
    pub(crate) fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut call = Call::new("POST", target).header("content-type", "application/json");
        call.body = body.into();
        call
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Names the vendor's script.
    pub(crate) fn case(self, name: &str) -> Self {
        self.header("x-case", name)
    }

    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\nhost: gateway.test\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if self.chunked {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            for piece in self.body.chunks(17) {
                out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                out.extend_from_slice(piece);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n\r\n");
        } else {
            if !self.body.is_empty() || self.method == "POST" {
                out.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
            }
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&self.body);
        }
        out
    }
}

/// How a body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// A head and, once read, the body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    /// The body came to its end in order.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The request's id.
    pub(crate) fn request(&self) -> String {
        self.header("sealgate-request").expect("every answer names its request").to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// Headers without the gateway's own, sorted, names in lower case.
    pub(crate) fn foreign_headers(&self) -> Vec<(String, String)> {
        let lower = self.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let mut kept: Vec<_> = lower.filter(|(name, _)| !name.starts_with("sealgate-")).collect();
        kept.sort();
        kept
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Connection::try_open(address).expect("connects")
    }

    pub(crate) fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends and reads the whole answer.
    pub(crate) fn call(&mut self, call: &Call) -> io::Result<Answer> {
        // The gateway may answer and close before it has read everything.
        let _ = self.send(&call.bytes());
        let mut answer = self.head()?;
        self.rest(&mut answer);
        Ok(answer)
    }

    /// Reads a head (1xx are skipped).
    pub(crate) fn head(&mut self) -> io::Result<Answer> {
        loop {
            let mut lines = Vec::new();
            loop {
                let line = self.line()?;
                if line.is_empty() {
                    break;
                }
                lines.push(line);
            }
            let answer = parse_head(&lines);
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Reads one piece of a body: `None` at its end in order.
    pub(crate) fn piece(&mut self, answer: &Answer) -> io::Result<Option<Vec<u8>>> {
        match answer.framing {
            Framing::Chunked => {
                let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
                let mut piece = vec![0; size];
                self.stream.read_exact(&mut piece)?;
                self.line()?;
                Ok((size > 0).then_some(piece))
            }
            Framing::Length(length) => {
                let mut piece = vec![0; length.saturating_sub(answer.body.len()).min(4096)];
                self.stream.read_exact(&mut piece)?;
                Ok((!piece.is_empty()).then_some(piece))
            }
            Framing::Close => {
                let mut piece = vec![0; 4096];
                let read = self.stream.read(&mut piece)?;
                piece.truncate(read);
                Ok((read > 0).then_some(piece))
            }
        }
    }

    /// Reads the body to its end.
    pub(crate) fn rest(&mut self, answer: &mut Answer) {
        loop {
            match self.piece(answer) {
                Ok(Some(piece)) => answer.body.extend_from_slice(&piece),
                Ok(None) => {
                    answer.whole = true;
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Reads until the body holds `needle`.
    pub(crate) fn until(&mut self, answer: &mut Answer, needle: &str) {
        while super::find(&answer.body, needle.as_bytes()).is_none() {
            match self.piece(answer) {
                Ok(Some(piece)) => answer.body.extend_from_slice(&piece),
                other => panic!("no `{needle}` in {} ({other:?})", answer.text()),
            }
        }
    }
}

fn parse_head(lines: &[String]) -> Answer {
    let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let pairs = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let headers: Vec<(String, String)> = pairs.map(|(name, value)| (name.into(), value.trim().into())).collect();
    let value = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, v)| v);
    let framing = match (value("transfer-encoding"), value("content-length")) {
        (Some(_), _) => Framing::Chunked,
        (None, Some(length)) => Framing::Length(length.parse().expect("a length")),
        (None, None) => Framing::Close,
    };
    Answer { status, headers, framing, body: Vec::new(), whole: false }
}
