//! Readings are recorded: one `access.query` record through the running gateway's control socket.
//!
//! What the reader may rely on: the record names which options were used and a keyed digest of their values, never
//! the values. With no gateway running nothing can be recorded; a gateway that cannot write says so, counts the
//! reading, and the answer is given all the same (DESIGN section 6).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Serialize;

use crate::types::Digest;

use super::{Console, DataPaths, identity};

/// What became of an access record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is sealed.
    Recorded,
    /// No gateway runs on this data directory.
    NotRunning,
    /// The gateway could not write it, or did not answer as it should.
    Unrecorded,
}

/// What is recorded of a reading.
#[derive(Clone, Debug, Serialize)]
pub struct Access {
    /// The command: `list`, `show`, `count`, `tail`, `stats` or `verify`.
    pub command: &'static str,
    /// Names of the options used, sorted.
    pub fields: Vec<&'static str>,
    /// HMAC-SHA256 of the options with their values under the index key; of nothing where keys are not readable.
    pub filter: Digest,
    /// `access.query` or `access.export`.
    pub kind: &'static str,
    /// Requests given out.
    pub rows: u64,
    /// Size of the log the answer covers.
    pub size: u64,
}

/// Asks the running gateway to record a reading.
pub fn record_access(paths: &DataPaths, access: &Access) -> Recorded {
    match post(paths, access) {
        Ok(200..=299) => Recorded::Recorded,
        Ok(_) => Recorded::Unrecorded,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Recorded::NotRunning
        }
        Err(_) => Recorded::Unrecorded,
    }
}

/// Records a query and says on standard error when that could not be. `filter` is the question as text.
pub(super) fn record_query(
    paths: &DataPaths,
    command: &'static str,
    asked: (Vec<&'static str>, &str),
    given: (usize, u64),
    console: &mut Console<'_>,
) {
    Reading::new(command, asked).record(paths, given, console);
}

/// A reading that may go on: each part is recorded, and standard error hears of it once when that cannot be.
pub(super) struct Reading<'a> {
    command: &'static str,
    fields: Vec<&'static str>,
    filter: &'a str,
    digest: Option<Digest>,
    told: Recorded,
}

impl<'a> Reading<'a> {
    pub(super) fn new(command: &'static str, (mut fields, filter): (Vec<&'static str>, &'a str)) -> Self {
        fields.sort_unstable();
        Reading { command, fields, filter, digest: None, told: Recorded::Recorded }
    }

    /// Records that so many rows of a log of this size are given out.
    pub(super) fn record(&mut self, paths: &DataPaths, (rows, size): (usize, u64), console: &mut Console<'_>) {
        let recorded = self.ask(paths, u64::try_from(rows).unwrap_or(u64::MAX), size);
        if recorded == self.told {
            return;
        }
        self.told = recorded;
        match recorded {
            Recorded::Recorded => console.say("note: reads are recorded again"),
            Recorded::NotRunning => console.say("note: no gateway is running here; this read is not recorded"),
            Recorded::Unrecorded => console.say("warning: the gateway cannot write; this read is not recorded"),
        }
    }

    fn ask(&mut self, paths: &DataPaths, rows: u64, size: u64) -> Recorded {
        // Where nobody listens the keys need not be opened for a digest.
        if matches!(paths.data().join(SOCKET_NAME).try_exists(), Ok(false)) {
            return Recorded::NotRunning;
        }
        let filter = *self.digest.get_or_insert_with(|| match identity::names(paths) {
            Ok(names) => names.filter_digest(self.filter.as_bytes()),
            Err(_) => Digest::of(b""),
        });
        let (command, fields) = (self.command, self.fields.clone());
        record_access(paths, &Access { command, fields, filter, kind: "access.query", rows, size })
    }
}

/// `POST /access` over the socket; gives the status.
fn post(paths: &DataPaths, access: &Access) -> io::Result<u16> {
    let body = serde_json::to_vec(access)?;
    let mut stream = UnixStream::connect(paths.data().join(SOCKET_NAME))?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    stream.set_write_timeout(Some(ANSWER_TIME))?;
    let head = format!(
        "POST /access HTTP/1.1\r\nhost: sealgate\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    status(&answer).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The status of an HTTP/1.1 answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.1 ")?;
    line.get(..3)?.parse().ok()
}

/// The control socket in the data directory.
const SOCKET_NAME: &str = "admin.sock";
/// The record is durable when the answer comes: one commit, with a slow disk in mind.
const ANSWER_TIME: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
