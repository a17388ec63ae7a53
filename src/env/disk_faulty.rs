//! A disk that fails when told to, on real files below a test's own folder.
//!
//! It knows which bytes and names would survive a power cut, and [`FaultyDisk::power_cut`] leaves only those. A
//! failed sync loses its bytes for good: they still read back, a later sync reports success, and the power cut
//! turns them into zeroes, as kernels do.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile, RealDisk};

/// What a call does to the disk; each is one step that a [`Fault`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A folder is made.
    CreateFolder,
    /// A file is made.
    Create,
    /// Bytes are appended.
    Append,
    /// A file is synced.
    Sync,
    /// Room is set aside.
    Reserve,
    /// A file is renamed.
    Rename,
    /// A file is removed.
    Remove,
    /// A folder is synced.
    SyncFolder,
}

/// One failure to come.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The number of the step that fails, counted from 0 over the disk's life.
    pub at: u64,
    /// The error the caller sees.
    pub error: ErrorKind,
    /// How much of the step happens all the same, in per mille: 0 nothing, 1000 all (for appends also between).
    pub stored_permille: u16,
}

/// What a power cut does to bytes that were appended and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// They are gone.
    All,
    /// Their first half stays: the file's length was written, the rest not.
    Half,
    /// Their first half reads as zeroes, the rest is there: pages are written in any order.
    Hole,
}

/// A disk with a schedule of failures. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    steps: Vec<Step>,
    fault: Option<Fault>,
    room: Option<u64>,
    refuse_room: bool,
    files: HashMap<PathBuf, Durability>,
    names: Vec<Name>,
}

/// What of a file would survive a power cut.
#[derive(Clone, Debug, Default)]
struct Durability {
    synced: u64,
    length: u64,
    lost: Vec<Range<u64>>,
}

/// A change of names that is not durable yet.
#[derive(Debug)]
enum Name {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, replaced: Option<Vec<u8>> },
    Removed { path: PathBuf, content: Vec<u8> },
}

impl FaultyDisk {
    /// A disk that never fails until [`FaultyDisk::arm`] is called.
    pub fn new() -> Self {
        FaultyDisk::default()
    }

    /// Sets the next failure.
    pub fn arm(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// From now on appends and reservations beyond `bytes` more fail with `StorageFull`; `None` lifts it.
    pub fn limit_room(&self, bytes: Option<u64>) {
        self.lock().room = bytes;
    }

    /// From now on no room can be set aside; what is set aside can be written.
    pub fn refuse_room(&self, refuse: bool) {
        self.lock().refuse_room = refuse;
    }

    /// Every step so far.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().steps.clone()
    }

    /// Leaves on disk only what a power cut would: to be called when nothing holds a file open any more.
    ///
    /// # Errors
    /// When the test's own folder cannot be changed.
    pub fn power_cut(&self, loss: Loss) -> io::Result<()> {
        let mut state = self.lock();
        for name in std::mem::take(&mut state.names).into_iter().rev() {
            undo(&mut state.files, name)?;
        }
        for (path, durability) in state.files.iter_mut().filter(|(path, _)| path.exists()) {
            let file = OpenOptions::new().write(true).open(path)?;
            let unsynced = durability.length.saturating_sub(durability.synced);
            let middle = durability.synced.saturating_add(unsynced / 2);
            match loss {
                Loss::All => {}
                Loss::Half => durability.synced = middle,
                Loss::Hole => {
                    durability.lost.push(durability.synced..middle);
                    durability.synced = durability.length;
                }
            }
            file.set_len(durability.synced)?;
            for lost in &durability.lost {
                let until = lost.end.min(durability.synced);
                let zeroes = vec![0u8; usize::try_from(until.saturating_sub(lost.start)).unwrap_or(0)];
                std::os::unix::fs::FileExt::write_all_at(&file, &zeroes, lost.start)?;
            }
            durability.length = durability.synced;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a step; gives the fault if it is this one.
    fn step(&self, step: Step) -> Option<Fault> {
        let mut state = self.lock();
        let at = state.steps.len() as u64;
        state.steps.push(step);
        state.fault.filter(|fault| fault.at == at)
    }

    /// Runs `effect` unless a fault forbids it, and gives the fault's error where there is one.
    fn run(&self, step: Step, effect: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.step(step) {
            None => effect(),
            Some(fault) => {
                if fault.stored_permille > 0 {
                    effect()?;
                }
                Err(fault.error.into())
            }
        }
    }
}

fn undo(files: &mut HashMap<PathBuf, Durability>, name: Name) -> io::Result<()> {
    match name {
        Name::Created(path) => {
            files.remove(&path);
            if path.exists() { fs::remove_file(path) } else { Ok(()) }
        }
        Name::Removed { path, content } => fs::write(path, content),
        Name::Renamed { from, to, replaced } => {
            fs::rename(&to, &from)?;
            if let Some(durability) = files.remove(&to) {
                files.insert(from, durability);
            }
            replaced.map_or(Ok(()), |content| fs::write(to, content))
        }
    }
}

impl Disk for FaultyDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.run(Step::CreateFolder, || RealDisk.create_folder(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut made = None;
        self.run(Step::Create, || {
            made = Some(RealDisk.create(path)?);
            let mut state = self.lock();
            state.files.insert(path.to_owned(), Durability::default());
            state.names.push(Name::Created(path.to_owned()));
            Ok(())
        })?;
        let file = made.ok_or(ErrorKind::Other)?;
        Ok(Box::new(FaultyFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = RealDisk.open(path)?;
        let length = file.length();
        let known = Durability { synced: length, length, lost: Vec::new() };
        self.lock().files.entry(path.to_owned()).or_insert(known);
        Ok(Box::new(FaultyFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(Step::Rename, || {
            let replaced = to.exists().then(|| fs::read(to)).transpose()?;
            RealDisk.rename(from, to)?;
            let mut state = self.lock();
            if let Some(durability) = state.files.remove(from) {
                state.files.insert(to.to_owned(), durability);
            }
            // A file that was made and renamed before its folder was synced has neither name after a power cut.
            state.names.push(Name::Renamed { from: from.to_owned(), to: to.to_owned(), replaced });
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.run(Step::Remove, || {
            let content = fs::read(path)?;
            RealDisk.remove(path)?;
            let mut state = self.lock();
            state.files.remove(path);
            state.names.push(Name::Removed { path: path.to_owned(), content });
            Ok(())
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.run(Step::SyncFolder, || {
            self.lock().names.retain(|name| {
                let (Name::Created(at) | Name::Renamed { to: at, .. } | Name::Removed { path: at, .. }) = name;
                at.parent() != Some(path)
            });
            Ok(())
        })
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let room = self.lock().room;
        room.map_or_else(|| RealDisk.free_bytes(path), Ok)
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        let length = self.file.length();
        self.disk.lock().files.entry(self.path.clone()).or_default().length = length;
        Ok(())
    }
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(fault) = self.disk.step(Step::Append) {
            let part = bytes.len() * usize::from(fault.stored_permille.min(1000)) / 1000;
            self.write(bytes.get(..part).unwrap_or(bytes))?;
            return Err(fault.error.into());
        }
        let room = self.disk.lock().room;
        if let Some(room) = room {
            let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            self.disk.lock().room = Some(room.saturating_sub(fits as u64));
            self.write(bytes.get(..fits).unwrap_or(bytes))?;
            return if fits < bytes.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) };
        }
        self.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let fault = self.disk.step(Step::Sync);
        let mut state = self.disk.lock();
        let durability = state.files.entry(self.path.clone()).or_default();
        let pending = durability.synced..durability.length;
        match fault {
            Some(fault) if fault.stored_permille == 0 => {
                durability.lost.push(pending);
                durability.synced = durability.length;
                Err(fault.error.into())
            }
            other => {
                durability.synced = durability.length;
                other.map_or(Ok(()), |fault| Err(fault.error.into()))
            }
        }
    }

    fn reserve(&mut self, end: u64) -> io::Result<()> {
        let wanted = end.saturating_sub(self.file.length());
        let full = {
            let state = self.disk.lock();
            state.refuse_room || state.room.is_some_and(|room| room < wanted)
        };
        if full {
            self.disk.step(Step::Reserve);
            return Err(ErrorKind::StorageFull.into());
        }
        let file = &mut self.file;
        self.disk.run(Step::Reserve, || file.reserve(end))
    }

    fn release(&mut self) {
        self.file.release();
    }

    fn length(&self) -> u64 {
        self.file.length()
    }
}
