//! The thread that keeps the index file behind the log.
//!
//! What may be relied on: it never stands in a request's way, never writes anything but the index file, and a
//! file that is missing, corrupt, of another layout, of another log, or ahead of this one is thrown away and
//! built again. Readers may have the old file open: they see the old one to the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, io};

use rusqlite::ErrorCode;
use tokio::sync::watch;

use super::FILE_NAME;
use super::log::{Log, Reader};
use super::names::Names;
use super::schema;
use super::tail::batch;
use super::view::{ViewError, is_of};
use super::write::Writer;
use crate::store::{KeyStore, Paths};
use crate::telemetry::Metrics;

/// The running thread.
#[derive(Debug)]
pub struct Follower {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Follower {
    /// Takes in what is committed by now, closes the file, and waits for that.
    pub fn shutdown(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        // A panic of the index thread is nothing to die of: the file is rebuilt at the next start.
        drop(self.thread.join());
    }
}

/// Starts to follow the log of `data`; `committed` tells the log's committed size. Without `keys` nobody is found by
/// name.
pub fn follow(
    data: &Path,
    keys: Option<Arc<KeyStore>>,
    committed: watch::Receiver<u64>,
    metrics: Arc<Metrics>,
) -> io::Result<Follower> {
    let stop = Arc::new(AtomicBool::new(false));
    let work = Work {
        log: Log::new(data),
        paths: Paths::new(data),
        path: data.join(FILE_NAME),
        keys,
        committed,
        metrics,
        stop: Arc::clone(&stop),
    };
    let thread = thread::Builder::new().name("index".to_owned()).spawn(move || work.run())?;
    Ok(Follower { stop, thread })
}

struct Work {
    log: Log,
    paths: Paths,
    path: PathBuf,
    keys: Option<Arc<KeyStore>>,
    committed: watch::Receiver<u64>,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(mut self) {
        loop {
            match self.open().and_then(|mut writer| self.keep_up(&mut writer)) {
                Ok(()) => return,
                Err(ViewError::Log(error)) => {
                    tracing::error!(%error, "the index cannot follow the log");
                    self.pause(RETRY);
                }
                Err(ViewError::Sql(error)) if is_damage(&error) => {
                    tracing::warn!(%error, "the index is damaged: it is rebuilt");
                    remove(&self.path);
                }
                Err(ViewError::Sql(error)) => {
                    // A full disk, say: what is there stays, and is gone on with when there is room.
                    tracing::warn!(%error, "the index cannot be written now");
                    self.pause(RETRY);
                }
            }
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// The file as it is, when it is whole and of this log; a new one otherwise.
    fn open(&self) -> Result<Writer, ViewError> {
        if self.path.exists() {
            match schema::open(&self.path) {
                Ok(Some(conn)) => {
                    let writer = Writer::new(conn, self.names())?;
                    if writer.progress().is_none_or(|progress| is_of(&self.log, progress)) {
                        return Ok(writer);
                    }
                    tracing::warn!("the index is of another log, or ahead of this one: it is rebuilt");
                }
                Ok(None) => tracing::warn!("the index is damaged or of another version: it is rebuilt"),
                Err(error) if is_damage(&error) => tracing::warn!(%error, "the index is damaged: it is rebuilt"),
                Err(error) => return Err(error.into()),
            }
            remove(&self.path);
        }
        Ok(Writer::new(schema::create(Some(&self.path))?, self.names())?)
    }

    fn names(&self) -> Option<Names> {
        let keys = Arc::clone(self.keys.as_ref()?);
        let names = Names::new(&self.paths, keys);
        names.inspect_err(|error| tracing::warn!(%error, "the index cannot learn names")).ok()
    }

    fn keep_up(&mut self, writer: &mut Writer) -> Result<(), ViewError> {
        let mut reader: Option<Reader> = None;
        loop {
            // Asked before the log is read to its end: nothing committed before the stop is left out.
            let last = self.stop.load(Ordering::SeqCst) || self.committed.has_changed().is_err();
            if reader.is_none() {
                let start = match writer.progress() {
                    Some(progress) => Some(progress.cursor),
                    None => self.log.start()?,
                };
                reader = start.map(|cursor| Reader::at(self.log.clone(), cursor));
            }
            if let Some(reader) = &mut reader {
                self.catch_up(reader, writer)?;
            }
            let indexed = reader.as_ref().map_or(0, |reader| reader.cursor().next);
            self.report_lag(indexed);
            if last {
                return Ok(());
            }
            self.pause(IDLE);
        }
    }

    fn catch_up(&mut self, reader: &mut Reader, writer: &mut Writer) -> Result<(), ViewError> {
        loop {
            let groups = batch(reader)?;
            if groups.is_empty() {
                return Ok(());
            }
            self.report_lag(groups.first().map_or(0, |group| group.end.next));
            writer.apply(&groups)?;
        }
    }

    fn report_lag(&mut self, indexed: u64) {
        let lag = self.committed.borrow_and_update().saturating_sub(indexed);
        self.metrics.index_lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
    }

    /// Waits, less when somebody stops the thread.
    fn pause(&self, time: Duration) {
        if !self.stop.load(Ordering::SeqCst) {
            thread::park_timeout(time);
        }
    }
}

/// Whether the file's content is wrong, rather than the moment.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch | ErrorCode::Unknown
        ),
        _ => true,
    }
}

/// Removes the file with its companions; what cannot be removed shows when the new one is made.
fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        if let Err(error) = fs::remove_file(&name)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "an old index file cannot be removed");
        }
    }
}

/// Between two looks at the log: one transaction at most in this time while little happens.
const IDLE: Duration = Duration::from_millis(100);
/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
