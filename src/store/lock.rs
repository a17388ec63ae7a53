//! The store lock: `flock` on `<data>/lock`, held by the one process that appends.
//!
//! The kernel drops it with the process, kill -9 included; the process id inside is only for the error message.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::Duration;

use super::{Paths, StoreError};

/// Proof that this process is the one writer of a data directory, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who holds it. The data directory must exist.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it.
    pub fn take(paths: &Paths) -> Result<Lock, StoreError> {
        let path = paths.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        // A reader asking `is_free` holds it for microseconds: ask a few times before giving up.
        for attempt in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => {
                    let written = file.set_len(0).and_then(|()| file.rewind());
                    let written = written.and_then(|()| writeln!(file, "{}", std::process::id()));
                    written.map_err(StoreError::io("write", &path))?;
                    return Ok(Lock { _file: file });
                }
                Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
                Err(TryLockError::WouldBlock) if attempt + 1 < ATTEMPTS => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let mut text = String::new();
        let _ignored = file.read_to_string(&mut text);
        let pid = text.trim().parse::<u32>().map_or_else(|_| "unknown".to_owned(), |pid| pid.to_string());
        Err(StoreError::Locked { data: paths.data().to_owned(), pid })
    }

    /// Whether it is certain that no process writes this data directory now: a lock file that is there and cannot be
    /// opened or asked may be held.
    pub fn is_free(paths: &Paths) -> bool {
        match File::open(paths.lock()) {
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }
}

/// How often the lock is asked for, and how long between: 10 x 20 ms.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);
