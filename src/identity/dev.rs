//! The token of the first start, in a file of its own, for use on this machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::store::TokenStore;
use super::token::{NewToken, TokenError, TokenInfo};
use crate::types::Sensitive;

/// What became of the dev token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DevToken {
    /// The file is there and its token in the store (in force, or revoked on purpose).
    Kept,
    /// It was made now.
    Made(TokenInfo),
}

/// Sees to it that `path` holds a token of the store; makes both where the file is missing or its token unknown.
///
/// # Errors
/// When the file or the store fails.
pub fn dev_token(store: &TokenStore, path: &Path, new: NewToken) -> Result<DevToken, TokenError> {
    let fault = |error: io::Error| TokenError::Store { path: path.display().to_string(), why: error.to_string() };
    match fs::read_to_string(path) {
        Ok(text) if store.id_of(&Sensitive::new(text.trim().to_owned())).is_some() => return Ok(DevToken::Kept),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fault(error)),
    }
    // A crash between the two leaves a token nobody knows; the next start makes another.
    let (token, info) = store.create(new)?;
    write(path, token.expose()).map_err(fault)?;
    Ok(DevToken::Made(info))
}

/// Replaces the file by a synced rename, readable for its owner alone.
fn write(path: &Path, token: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}
