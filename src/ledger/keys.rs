//! The log key and the origin: made at the first start, never made again over an existing log.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::env::Disk;
use crate::record::Signer;
use crate::store::{Paths, files, read};

use super::error::OpenError;

/// Who signs, and under which name.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) log_key: Arc<Signer>,
    pub(super) origin: Arc<str>,
    pub(super) generation: u32,
}

/// Reads `keys/log.pem` and `keys/origin`; makes them where there is no log yet.
pub(super) fn load(disk: &dyn Disk, paths: &Paths, name: Option<&str>) -> Result<Identity, OpenError> {
    if let Some(name) = name {
        check_name(name)?;
    }
    let log_key = Arc::new(log_key(disk, paths)?);
    let recorded = fs_text(&paths.origin())?;
    let (name, generation) = match recorded {
        Some(text) => {
            let (recorded, generation) = parse_origin(paths, text.trim_end_matches('\n'))?;
            let configured = name.filter(|name| *name != recorded);
            if let Some(configured) = configured {
                return Err(OpenError::NameChanged { recorded, configured: configured.to_owned() });
            }
            (recorded, generation)
        }
        None if has_log(paths)? => return Err(missing(&paths.origin())),
        None => {
            let id = log_key.public().id().to_string();
            let default = || format!("sealgate-{}", id.chars().take(8).collect::<String>());
            let name = name.map_or_else(default, str::to_owned);
            // A crash before this leaves a key without a name and no log: the next start goes on here.
            files::replace(disk, &paths.origin(), format!("{name}/1\n").as_bytes())?;
            (name, 1)
        }
    };
    Ok(Identity { log_key, origin: format!("{name}/{generation}").into(), generation })
}

/// `[a-z0-9.-]+`, at most 64 bytes.
pub(super) fn check_name(name: &str) -> Result<(), OpenError> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(letter) {
        return Ok(());
    }
    Err(OpenError::NameForm(name.escape_debug().take(64).collect()))
}

fn log_key(disk: &dyn Disk, paths: &Paths) -> Result<Signer, OpenError> {
    let path = paths.log_key();
    if let Some(pem) = fs_text(&path)? {
        let mode = fs::metadata(&path).map_or(0, |meta| meta.permissions().mode());
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "others can read the log key: `chmod 600` it, and rotate it if they did");
        }
        return Signer::from_pem(&pem).map_err(|error| OpenError::Key { path, why: error.to_string() });
    }
    if has_log(paths)? {
        return Err(missing(&path));
    }
    let signer = Signer::generate()?;
    files::replace(disk, &path, signer.to_pem()?.as_bytes())?;
    Ok(signer)
}

fn parse_origin(paths: &Paths, text: &str) -> Result<(String, u32), OpenError> {
    let wrong = || OpenError::Key { path: paths.origin(), why: "is not `<gateway name>/<generation>`".to_owned() };
    let (name, generation) = text.rsplit_once('/').ok_or_else(wrong)?;
    check_name(name).map_err(|_| wrong())?;
    let number = generation.parse::<u32>().ok().filter(|number| *number > 0 && number.to_string() == generation);
    Ok((name.to_owned(), number.ok_or_else(wrong)?))
}

fn has_log(paths: &Paths) -> Result<bool, OpenError> {
    for generation in paths.generations()? {
        if !read::segments(paths, generation)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The keys of the sections belong to the log: lost, they are put back, not made again under their old versions.
pub(super) fn hold_sections(paths: &Paths) -> Result<(), OpenError> {
    if !has_log(paths)? {
        return Ok(());
    }
    match [paths.kek(), paths.key_database()].iter().find(|path| !path.exists()) {
        Some(lost) => Err(missing(lost)),
        None => Ok(()),
    }
}

fn missing(path: &std::path::Path) -> OpenError {
    OpenError::Key {
        path: path.to_owned(),
        why: "is missing, and there is a log made under it: put it back from a backup".to_owned(),
    }
}

fn fs_text(path: &std::path::Path) -> Result<Option<String>, OpenError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OpenError::Key { path: path.to_owned(), why: format!("cannot be read: {error}") }),
    }
}
