//! Talking to a running gateway over its control socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Failure, IO};

/// What the gateway answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Posts one command; `None` when no gateway runs on this data directory.
pub(super) fn post(data: &Path, command: &str, body: &[u8]) -> Result<Option<Answer>, Failure> {
    match exchange(&data.join("admin.sock"), command, body) {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => {
            Err(Failure::new(IO, format!("the running gateway did not answer on its control socket: {error}")))
        }
    }
}

fn exchange(socket: &Path, command: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST {command} HTTP/1.1\r\nhost: sealgate\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut text = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut text)?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "it did not answer with HTTP");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    Ok(Answer { status, body: body.to_owned() })
}

/// A commit on a slow disk, with room.
const PATIENCE: Duration = Duration::from_secs(30);

/// Largest answer read, bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
