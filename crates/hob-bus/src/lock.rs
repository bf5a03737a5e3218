//! One process per data folder.
//!
//! **How.** An advisory lock (`flock`) on the file `lock`, which the kernel lets go of when the
//! process ends in whatever way. The file holds the process id for the error message only. A process that
//! was just being started by a killed node holds the lock for another moment, which is waited for.

use crate::storage;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::DATA_LOCK_WAIT;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often is looked whether the lock is free.
const LOOK: Duration = Duration::from_millis(5);

/// A data folder that belongs to this process until the value is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Makes the folder when it is missing and takes it.
    ///
    /// # Errors
    /// `HOB-0605` when another process (or another engine of this one) has it.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        storage::make_folder(folder)?;
        let path = folder.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| storage::fault("open", &path, &error))?;
        let until = Instant::now() + DATA_LOCK_WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => return Err(in_use(folder, &mut file)),
                Err(TryLockError::Error(error)) => return Err(storage::fault("lock", &path, &error)),
            }
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(|error| storage::fault("write", &path, &error))?;
        Ok(Self { _file: file })
    }
}

fn in_use(folder: &Path, file: &mut File) -> Fault {
    let mut pid = String::new();
    let by = match file.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
        _ => "another process".to_owned(),
    };
    Fault::new(Code::DataLocked, format!("the data folder `{}` is in use by {by}", folder.display()))
        .hint("stop that node, or choose another folder with `--data`")
}
