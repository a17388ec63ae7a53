//! Where everything lies in the data directory.

use std::fs;
use std::path::{Path, PathBuf};

use super::StoreError;

/// The data directory's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    data: PathBuf,
}

impl Paths {
    /// Of the data directory `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Paths { data: data.into() }
    }

    /// The data directory itself.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The file the one writer locks.
    pub fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }

    /// The folder of all generations.
    pub fn logs(&self) -> PathBuf {
        self.data.join("log")
    }

    /// The folder of one generation's segments.
    pub fn log(&self, generation: u32) -> PathBuf {
        self.logs().join(generation.to_string())
    }

    /// The published checkpoint of a generation.
    pub fn checkpoint(&self, generation: u32) -> PathBuf {
        self.log(generation).join("checkpoint")
    }

    /// What recovery set aside.
    pub fn quarantine(&self) -> PathBuf {
        self.data.join("quarantine")
    }

    /// The folder of keys.
    pub fn keys(&self) -> PathBuf {
        self.data.join("keys")
    }

    /// The log key, PKCS#8 PEM.
    pub fn log_key(&self) -> PathBuf {
        self.keys().join("log.pem")
    }

    /// The origin of the current generation.
    pub fn origin(&self) -> PathBuf {
        self.keys().join("origin")
    }

    /// The key-encryption key, 32 bytes.
    pub fn kek(&self) -> PathBuf {
        self.keys().join("kek")
    }

    /// The database of wrapped keys.
    pub fn key_database(&self) -> PathBuf {
        self.keys().join("data.sqlite")
    }

    /// The generations that have a folder, in order.
    ///
    /// # Errors
    /// When the folder cannot be listed; a data directory without one has none.
    pub fn generations(&self) -> Result<Vec<u32>, StoreError> {
        let logs = self.logs();
        if !logs.exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&logs).map_err(StoreError::io("list", &logs))? {
            let entry = entry.map_err(StoreError::io("list", &logs))?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|n| n.parse::<u32>().ok().filter(|g| *g > 0 && g.to_string() == n));
            found.extend(number);
        }
        found.sort_unstable();
        Ok(found)
    }
}
