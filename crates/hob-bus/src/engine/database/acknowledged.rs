//! The sequence number of the last acknowledged transaction, kept beside the database.
//!
//! **How.** 40 bytes in place: the number and its digest. A kill keeps what was written; after a power
//! cut the file may be behind, which proves less but never accuses a good database.

use crate::storage;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The open file.
pub(super) struct Acknowledged {
    file: File,
    path: PathBuf,
}

impl Acknowledged {
    /// Opens the folder's file, and holds it against the sequence number that the database has.
    ///
    /// # Errors
    /// `HOB-0602` when transactions that were acknowledged are missing.
    pub(super) fn open(folder: &Path, sequence: u64) -> Result<Self> {
        let path = folder.join("acknowledged");
        match fs::read(&path) {
            Ok(bytes) => check(&path, &bytes, sequence)?,
            Err(error) if error.kind() == ErrorKind::NotFound => create(folder, &path, sequence)?,
            Err(error) => return Err(storage::fault("read", &path, &error)),
        }
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|error| storage::fault("open", &path, &error))?;
        let acknowledged = Self { file, path };
        acknowledged.write(sequence)?;
        Ok(acknowledged)
    }

    /// Remembers that the transaction with this number is on disk.
    pub(super) fn write(&self, sequence: u64) -> Result<()> {
        self.file
            .write_all_at(&encode(sequence), 0)
            .map_err(|error| storage::fault("write", &self.path, &error))
    }
}

fn encode(sequence: u64) -> [u8; 40] {
    let mut bytes = [0; 40];
    let number = sequence.to_le_bytes();
    bytes[..8].copy_from_slice(&number);
    bytes[8..].copy_from_slice(Digest::of(&number).bytes());
    bytes
}

fn check(path: &Path, bytes: &[u8], sequence: u64) -> Result<()> {
    let number = bytes.first_chunk().map(|number| u64::from_le_bytes(*number));
    let number = number.filter(|number| bytes == encode(*number));
    let message = match number {
        Some(number) if number <= sequence => return Ok(()),
        Some(number) => format!("the state ends at change {sequence}, but change {number} was acknowledged"),
        None => format!("`{}` is damaged", path.display()),
    };
    Err(Fault::new(Code::StoreCorrupt, message).at(path.display().to_string()).hint(format!(
        "restore the data folder from a backup; to go on without what is missing, remove `{}`",
        path.display()
    )))
}

/// Written under another name first, so that a power cut leaves no half file.
fn create(folder: &Path, path: &Path, sequence: u64) -> Result<()> {
    let new = folder.join("acknowledged.new");
    fs::write(&new, encode(sequence))
        .and_then(|()| File::open(&new)?.sync_all())
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| storage::fault("write", path, &error))?;
    storage::sync_folder(folder)
}
