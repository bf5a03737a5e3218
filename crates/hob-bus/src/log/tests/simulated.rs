//! A disk in memory that forgets or tears what was not synced, fails when it is told to, and can be full.
//!
//! **How.** Of each file there is what programs see, and what is safe with the writes since. A power
//! failure takes, of each write that was not synced, all, nothing, or some sectors; of the names that
//! were not synced, those up to some moment. Nothing works any more from the moment of a failure on.

use super::Random;
use crate::log::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Errors of the system.
pub(super) const EIO: i32 = 5;
pub(super) const EMFILE: i32 = 24;
pub(super) const ENOSPC: i32 = 28;
const SECTOR: usize = 512;

/// The disk; clones of the handle of a file share it.
#[derive(Default)]
pub(super) struct SimulatedDisk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    names: BTreeMap<PathBuf, usize>,
    safe_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<(PathBuf, Option<usize>, u64)>,
    folders: BTreeSet<PathBuf>,
    safe_folders: BTreeSet<PathBuf>,
    files: Vec<Content>,
    operations: u64,
    fails_at: u64,
    /// What is to go wrong.
    pub(super) faults: Vec<Fault>,
    space: Option<u64>,
}

#[derive(Clone, Default)]
struct Content {
    seen: Vec<u8>,
    safe: Vec<u8>,
    writes: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// An operation that goes wrong: the first one of its kind on a file whose name ends so.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) operation: Operation,
    pub(super) ending: &'static str,
    pub(super) error: i32,
    /// How often.
    pub(super) times: u32,
}

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Half of it is written.
    Write,
    Sync,
    /// The sync succeeds, after a while.
    SlowSync,
    Open,
    Length,
}

struct SimulatedFile {
    inner: Arc<Mutex<Inner>>,
    path: PathBuf,
    place: usize,
}

fn gone() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

impl Content {
    /// Applies the sectors of a change whose bit is set.
    fn apply(bytes: &mut Vec<u8>, change: &Change, mask: u64) {
        let keep = |number: usize| mask >> (number % 64) & 1 == 1;
        match change {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write(offset, new) if mask == u64::MAX => {
                bytes.resize(bytes.len().max(offset + new.len()), 0);
                bytes[*offset..offset + new.len()].copy_from_slice(new);
            }
            Change::Write(offset, new) => {
                for (number, sector) in new.chunks(SECTOR).enumerate().filter(|(number, _)| keep(*number)) {
                    let start = offset + number * SECTOR;
                    if bytes.len() < start + sector.len() {
                        bytes.resize(start + sector.len(), 0);
                    }
                    bytes[start..start + sector.len()].copy_from_slice(sector);
                }
            }
        }
    }

    /// What is left after a power failure.
    fn torn(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        let mood = random.below(4);
        for change in &self.writes {
            let mask = [0, u64::MAX, random.below(u64::MAX), random.below(u64::MAX)];
            let mask = mask[usize::try_from(if mood == 3 { random.below(4) } else { mood }).unwrap()];
            if matches!(change, Change::Length(_)) && mask & 1 == 0 {
                continue;
            }
            Self::apply(&mut bytes, change, mask);
        }
        bytes
    }
}

impl Inner {
    /// Counts an operation that changes something; an error once the power has failed.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.failed() { Err(gone()) } else { Ok(()) }
    }

    fn failed(&self) -> bool {
        self.fails_at > 0 && self.operations >= self.fails_at
    }

    fn fault(&mut self, operation: Operation, path: &Path) -> Option<io::Error> {
        let path = path.to_string_lossy();
        let hit = |fault: &&mut Fault| fault.operation == operation && path.ends_with(fault.ending);
        let fault = self.faults.iter_mut().filter(|fault| fault.times > 0).find(hit)?;
        fault.times -= 1;
        Some(io::Error::from_raw_os_error(fault.error))
    }

    fn change_name(&mut self, path: &Path, place: Option<usize>) {
        match place {
            Some(place) => self.names.insert(path.to_owned(), place),
            None => self.names.remove(path),
        };
        let moment = self.operations;
        self.name_changes.push((path.to_owned(), place, moment));
    }

    fn used(&self) -> u64 {
        self.names.values().map(|place| self.files[*place].seen.len() as u64).sum()
    }

    fn write(&mut self, place: usize, offset: u64, bytes: &[u8]) {
        let change = Change::Write(usize::try_from(offset).unwrap(), bytes.to_vec());
        Content::apply(&mut self.files[place].seen, &change, u64::MAX);
        self.files[place].writes.push(change);
    }
}

impl SimulatedDisk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The power fails with that operation from now on; 0: not at all.
    pub(super) fn fail_in(&self, operations: u64) {
        let mut inner = self.inner();
        inner.fails_at = if operations == 0 { 0 } else { inner.operations + operations };
    }

    pub(super) fn add_fault(&self, fault: Fault) {
        self.inner().faults.push(fault);
    }

    pub(super) fn clear_faults(&self) {
        self.inner().faults.clear();
    }

    /// Bytes that fit beside what is there.
    pub(super) fn set_space(&self, space: Option<u64>) {
        let mut inner = self.inner();
        inner.space = space.map(|space| inner.used() + space);
    }

    /// A disk with what a power failure leaves.
    pub(super) fn after_power_failure(&self, random: &mut Random) -> Arc<Self> {
        let inner = self.inner();
        let mut names = inner.safe_names.clone();
        let folders: BTreeSet<&Path> = inner.name_changes.iter().filter_map(|c| c.0.parent()).collect();
        for folder in folders {
            let moment = random.below(inner.operations + 2);
            let of_folder = |change: &&(PathBuf, Option<usize>, u64)| change.0.parent() == Some(folder);
            for (path, place, then) in inner.name_changes.iter().filter(of_folder) {
                if *then <= moment {
                    match place {
                        Some(place) => names.insert(path.clone(), *place),
                        None => names.remove(path),
                    };
                }
            }
        }
        for folder in inner.folders.difference(&inner.safe_folders) {
            if random.once_in(2) {
                names.retain(|path, _| !path.starts_with(folder));
            }
        }
        let content = |(path, place): (PathBuf, usize)| (path, inner.files[place].torn(random));
        Self::with(names.into_iter().map(content).collect())
    }

    /// A disk with what a kill of the process leaves: all that was written.
    pub(super) fn after_kill(&self) -> Arc<Self> {
        let inner = self.inner();
        let content = |(path, place): (&PathBuf, &usize)| (path.clone(), inner.files[*place].seen.clone());
        let copy = Self::with(inner.names.iter().map(content).collect());
        let mut new = copy.inner();
        for content in &mut new.files {
            // In the cache of the system, as before.
            content.writes = vec![Change::Length(0), Change::Write(0, content.seen.clone())];
        }
        for (path, place) in new.names.clone() {
            let safe = inner.names.get(&path).map(|old| inner.files[*old].clone());
            if let Some(safe) = safe {
                new.files[place] = safe;
            }
        }
        drop(new);
        copy
    }

    fn with(files: Vec<(PathBuf, Vec<u8>)>) -> Arc<Self> {
        let disk = Self::default();
        let mut inner = disk.inner();
        for (path, bytes) in files {
            let place = inner.files.len();
            inner.files.push(Content { seen: bytes.clone(), safe: bytes, writes: Vec::new() });
            inner.folders.extend(path.ancestors().skip(1).map(Path::to_owned));
            inner.names.insert(path, place);
        }
        inner.safe_names = inner.names.clone();
        inner.safe_folders = inner.folders.clone();
        drop(inner);
        Arc::new(disk)
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner();
        if inner.failed() {
            return Err(gone());
        }
        if let Some(error) = inner.fault(Operation::Open, path) {
            return Err(error);
        }
        let place = match inner.names.get(path) {
            Some(place) => *place,
            None if create => {
                inner.operate()?;
                inner.files.push(Content::default());
                let place = inner.files.len() - 1;
                inner.change_name(path, Some(place));
                place
            }
            None => return Err(ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimulatedFile { inner: Arc::clone(&self.inner), path: path.to_owned(), place }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        let inner = self.inner();
        if inner.failed() {
            return Err(gone());
        }
        let inside = |path: &Path| path.parent() == Some(folder);
        let text = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let files = inner.names.iter().filter(|(path, _)| inside(path));
        let files = files.map(|(path, place)| (text(path), inner.files[*place].seen.len() as u64));
        let folders = inner.folders.iter().filter(|path| inside(path)).map(|path| (text(path), 0));
        Ok(files.chain(folders).collect())
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        inner.folders.extend(folder.ancestors().map(Path::to_owned));
        // The data folder itself is made before.
        inner.safe_folders.extend(["".into(), "data".into()]);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        let place = *inner.names.get(from).ok_or(ErrorKind::NotFound)?;
        inner.change_name(from, None);
        inner.change_name(to, Some(place));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        if !inner.names.contains_key(path) {
            return Err(ErrorKind::NotFound.into());
        }
        inner.change_name(path, None);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        let (own, others) = std::mem::take(&mut inner.name_changes)
            .into_iter()
            .partition::<Vec<_>, _>(|change| change.0.parent() == Some(folder));
        inner.name_changes = others;
        for (path, place, _) in own {
            match place {
                Some(place) => inner.safe_names.insert(path, place),
                None => inner.safe_names.remove(&path),
            };
        }
        let safe: Vec<_> =
            inner.folders.iter().filter(|path| path.parent() == Some(folder)).cloned().collect();
        inner.safe_folders.extend(safe);
        Ok(())
    }
}

impl SimulatedFile {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.inner();
        if inner.failed() {
            return Err(gone());
        }
        let rest = inner.files[self.place].seen.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        let half = &bytes[..bytes.len() / 2];
        if let Some(error) = inner.fault(Operation::Write, &self.path) {
            inner.write(self.place, offset, half);
            return Err(error);
        }
        let grown = (offset + bytes.len() as u64).saturating_sub(inner.files[self.place].seen.len() as u64);
        if inner.space.is_some_and(|space| grown > 0 && inner.used() + grown > space) {
            if inner.space.is_some_and(|space| inner.used() + grown / 2 <= space) {
                inner.write(self.place, offset, half);
            }
            return Err(ErrorKind::StorageFull.into());
        }
        inner.write(self.place, offset, bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let slow = self.inner().fault(Operation::SlowSync, &self.path).is_some();
        if slow {
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut inner = self.inner();
        inner.operate()?;
        let error = inner.fault(Operation::Sync, &self.path);
        let file = &mut inner.files[self.place];
        if let Some(error) = error {
            // The pages count as clean now, but are not on disk.
            file.writes.clear();
            return Err(error);
        }
        if !file.writes.is_empty() {
            for change in std::mem::take(&mut file.writes) {
                Content::apply(&mut file.safe, &change, u64::MAX);
            }
        }
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        if let Some(error) = inner.fault(Operation::Length, &self.path) {
            return Err(error);
        }
        let change = Change::Length(usize::try_from(length).unwrap());
        let file = &mut inner.files[self.place];
        Content::apply(&mut file.seen, &change, u64::MAX);
        file.writes.push(change);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.inner().files[self.place].seen.len() as u64)
    }
}
