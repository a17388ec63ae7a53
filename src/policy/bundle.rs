//! A bundle: a folder of files, named by the digest of its content.
//!
//! The digest is SHA-256 of what `sha256sum` prints for its regular files, paths relative and in bytewise order, without
//! `bundle.sig`: `cd bundle && find . -type f ! -path ./bundle.sig | sed 's,^\./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum`
//! gives it again. Links are refused, and so are names outside `[A-Za-z0-9._/-]`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::fault::PolicyFault;
use crate::types::Digest;

/// Files in one bundle.
pub const BUNDLE_FILES_MAX: usize = 4096;

/// Bytes in one bundle, all files together (dictionaries of 100,000 terms fit many times).
pub const BUNDLE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Folders below the bundle's own.
const DEPTH_MAX: usize = 8;

/// The bundle's signature: the one file that is not part of its digest.
const SIGNATURE: &str = "bundle.sig";

/// The file that makes a folder a bundle.
pub(crate) const MANIFEST: &str = "bundle.toml";

/// The folder of detector packs beside the bundles: no bundle may have its name.
const PACKS: &str = "packs";

/// Settings of `[policy]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// A bundle's folder, or a folder that holds bundles: then the one named `default`, or the only one.
    /// Absent: the embedded default bundle.
    pub dir: Option<PathBuf>,
}

impl PolicyConfig {
    /// Reads the bundle these settings name.
    pub fn open(&self) -> Result<Bundle, PolicyFault> {
        let Some(dir) = &self.dir else { return Ok(Bundle::embedded()) };
        let found = Bundle::list(dir).map_err(|error| unreadable(dir, &error))?;
        let default = dir.join("default");
        match found.as_slice() {
            [only] => Bundle::read(only),
            _ if found.contains(&default) => Bundle::read(&default),
            several => {
                let names = several.iter().filter_map(|path| path.file_name());
                let names: Vec<String> = names.map(|name| format!("`{}`", name.to_string_lossy())).collect();
                let have = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let message = format!(
                    "is no bundle (no `{MANIFEST}`) and holds none named `default`; bundles here: {have}. Point `[policy] dir` at one"
                );
                Err(PolicyFault::whole(&dir.display().to_string(), message))
            }
        }
    }
}

/// A bundle's files, not yet understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Content by relative path, in bytewise order; without the signature.
    files: BTreeMap<String, Vec<u8>>,
    digest: Digest,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle({}, {} files)", self.digest, self.files.len())
    }
}

impl Bundle {
    /// The default bundle, compiled in.
    pub fn embedded() -> Self {
        Bundle::of(EMBEDDED.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect())
    }

    /// A bundle of the given files, for tests and tools.
    pub fn of(mut files: BTreeMap<String, Vec<u8>>) -> Self {
        files.remove(SIGNATURE);
        let digest = Digest::of(listing(&files).as_bytes());
        Bundle { files, digest }
    }

    /// Reads a folder whole.
    pub fn read(dir: &Path) -> Result<Self, PolicyFault> {
        let mut walk = Walk { files: BTreeMap::new(), bytes: 0 };
        walk.folder(dir, "", 0)?;
        if !walk.files.contains_key(MANIFEST) {
            return Err(PolicyFault::whole(&dir.display().to_string(), format!("holds no `{MANIFEST}`: not a bundle")));
        }
        Ok(Bundle::of(walk.files))
    }

    /// The bundles directly below `dir` (or `dir` itself), by path.
    pub fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
        if dir.join(MANIFEST).is_file() {
            return Ok(vec![dir.to_owned()]);
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.join(MANIFEST).is_file() && name != PACKS && !name.starts_with('.') {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// What names this content.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Content by relative path, in bytewise order.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// One file's content.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// The `sha256sum` listing the digest is made of.
    pub fn listing(&self) -> String {
        listing(&self.files)
    }

    /// Writes the files into `dir`, so that it exists whole or not at all: beside it first, synced, then renamed.
    /// A `dir` that holds this content already is left as it is.
    pub fn write_to(&self, dir: &Path) -> io::Result<()> {
        if dir.exists() {
            return match Bundle::read(dir) {
                Ok(there) if there.digest == self.digest => Ok(()),
                _ => Err(io::Error::new(io::ErrorKind::AlreadyExists, "the folder holds something else: move it away")),
            };
        }
        let parent = dir.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let draft = parent.join(format!(".{}.tmp", self.digest));
        if draft.exists() {
            fs::remove_dir_all(&draft)?; // a crash before the rename left it: nothing refers to it
        }
        fs::create_dir(&draft)?;
        for (path, bytes) in &self.files {
            write_synced(&draft.join(path), bytes)?;
        }
        sync_folders(&draft)?;
        fs::rename(&draft, dir)?; // a crash here leaves either nothing or the whole folder
        fs::File::open(parent)?.sync_all()
    }
}

fn listing(files: &BTreeMap<String, Vec<u8>>) -> String {
    files.iter().map(|(path, bytes)| format!("{}  {path}\n", Digest::of(bytes))).collect()
}

struct Walk {
    files: BTreeMap<String, Vec<u8>>,
    bytes: u64,
}

impl Walk {
    fn folder(&mut self, dir: &Path, prefix: &str, depth: usize) -> Result<(), PolicyFault> {
        if depth > DEPTH_MAX {
            return Err(PolicyFault::whole(prefix, format!("more than {DEPTH_MAX} folders deep")));
        }
        for entry in fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
            let entry = entry.map_err(|error| unreadable(dir, &error))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") };
            let kind = entry.file_type().map_err(|error| unreadable(dir, &error))?;
            if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
                let message = "a file name in a bundle is made of `[A-Za-z0-9._-]`: rename or remove it";
                return Err(PolicyFault::whole(&path.escape_debug().to_string(), message));
            }
            if kind.is_dir() {
                self.folder(&entry.path(), &path, depth + 1)?;
            } else if kind.is_file() {
                self.file(&entry.path(), path)?;
            } else {
                return Err(PolicyFault::whole(
                    &path,
                    "not a regular file: links and devices have no place in a bundle",
                ));
            }
        }
        Ok(())
    }

    fn file(&mut self, at: &Path, path: String) -> Result<(), PolicyFault> {
        let length = fs::metadata(at).map_err(|error| unreadable(at, &error))?.len();
        self.bytes = self.bytes.saturating_add(length);
        if self.files.len() >= BUNDLE_FILES_MAX || self.bytes > BUNDLE_BYTES_MAX {
            let message = format!("the bundle is over {BUNDLE_FILES_MAX} files or {BUNDLE_BYTES_MAX} bytes");
            return Err(PolicyFault::whole(&path, message));
        }
        let bytes = fs::read(at).map_err(|error| unreadable(at, &error))?;
        self.files.insert(path, bytes);
        Ok(())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> PolicyFault {
    PolicyFault::whole(&path.display().to_string(), format!("cannot be read: {error}"))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folders(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    fs::File::open(dir)?.sync_all()
}

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../policies/default/", $path)))),+]
    };
}

/// The files of `policies/default`; a test holds this list equal to the folder.
const EMBEDDED: &[(&str, &[u8])] = embedded![
    "admin.cedar",
    "answers.cedar",
    "bundle.toml",
    "cases/admin.toml",
    "cases/answers.toml",
    "cases/requests.toml",
    "detectors.toml",
    "labels.toml",
    "requests.cedar",
    "vendors.toml",
];
