//! Artifacts as files of a folder, named by their digest.
//!
//! **Why.** A file is what hosts need: to map a component, to copy a program. So an artifact is a
//! plain file from the start, and never part of a database.
//!
//! **How.** `artifacts/<first 2 hex>/<64 hex>`, mode 0444. An upload goes to `artifacts/incoming/`,
//! is hashed on its way, synced, and renamed only when the digest fits; then the folder is synced.
//! Uploading what is there already replaces the file, which also mends a damaged one.
//!
//! **Invariants.** Whatever has a digest for a name had that digest when it was published. `incoming`
//! is emptied at start.
//!
//! **Not here:** which artifacts are still needed: the node says it with `retain`.

use crate::lock::FolderLock;
use crate::storage;
use hob_core::code::Code;
use hob_core::digest::{Digest, Hasher};
use hob_core::fault::{Fault, Result};
use hob_core::port::{Blobs, BoxFuture, Upload};
use hob_core::unit::show_bytes;
use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of an upload that are gathered before they are hashed and written in one go.
const GATHER_BYTES: usize = 256 << 10;

/// The artifacts of one data folder.
pub(crate) struct ArtifactFolder {
    root: PathBuf,
    bytes_max: u64,
    next_upload: AtomicU64,
    _lock: Arc<FolderLock>,
}

impl ArtifactFolder {
    /// Opens `<data>/artifacts`, which belongs to the holder of `lock`.
    pub(crate) fn open(data: &Path, bytes_max: u64, lock: Arc<FolderLock>) -> Result<Self> {
        let root = data.join("artifacts");
        let incoming = root.join("incoming");
        remove_folder(&incoming)?;
        storage::make_folder(&incoming)?;
        storage::sync_folder(&root)?;
        Ok(Self { root, bytes_max, next_upload: AtomicU64::new(0), _lock: lock })
    }

    /// Removes every artifact.
    pub(crate) fn clear(data: &Path) -> Result<()> {
        remove_folder(&data.join("artifacts"))
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        file_of(&self.root, digest)
    }
}

impl Blobs for ArtifactFolder {
    fn missing<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Digest>>> {
        let files: Vec<(Digest, PathBuf)> =
            digests.iter().map(|digest| (*digest, self.file(digest))).collect();
        Box::pin(blocking(move || {
            Ok(files.into_iter().filter(|(_, file)| !file.is_file()).map(|(digest, _)| digest).collect())
        }))
    }

    fn upload(&self) -> BoxFuture<'_, Result<Box<dyn Upload>>> {
        let number = self.next_upload.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("incoming").join(number.to_string());
        let (root, bytes_max) = (self.root.clone(), self.bytes_max);
        Box::pin(async move {
            let incoming = blocking(move || Incoming::create(root, path)).await?;
            let upload = FileUpload { incoming: Some(incoming), gathered: Vec::new(), size: 0, bytes_max };
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn path<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<PathBuf>> {
        let (file, digest) = (self.file(digest), *digest);
        Box::pin(blocking(move || {
            if file.is_file() {
                return Ok(file);
            }
            Err(Fault::new(Code::ArtifactMissing, format!("artifact `{digest}` is not stored"))
                .hint("deploy again: what is missing is uploaded first"))
        }))
    }

    fn retain<'a>(&'a self, keep: &'a [Digest]) -> BoxFuture<'a, Result<u64>> {
        let keep: HashSet<PathBuf> = keep.iter().map(|digest| self.file(digest)).collect();
        let root = self.root.clone();
        Box::pin(blocking(move || retain(&root, &keep)))
    }
}

/// An upload: gathers bytes, and hands them to a thread that may block.
struct FileUpload {
    /// `None` only while a thread has it, or after a failure.
    incoming: Option<Incoming>,
    gathered: Vec<u8>,
    size: u64,
    bytes_max: u64,
}

impl FileUpload {
    async fn flush(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.gathered);
        let mut incoming = self.take()?;
        let incoming = blocking(move || incoming.append(&bytes).map(|()| incoming)).await?;
        self.incoming = Some(incoming);
        Ok(())
    }

    fn take(&mut self) -> Result<Incoming> {
        self.incoming.take().ok_or_else(|| {
            Fault::new(Code::UploadTruncated, "the upload has failed before")
                .hint("upload the artifact again")
        })
    }
}

impl Upload for FileUpload {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.size += bytes.len() as u64;
            if self.size > self.bytes_max {
                let limit = show_bytes(self.bytes_max);
                let message = format!("an artifact has more than {limit}, which is the limit");
                return Err(Fault::new(Code::ArtifactTooLarge, message)
                    .hint("leave files out of the package with `files = [...]` in `hob.toml`"));
            }
            self.gathered.extend_from_slice(bytes);
            if self.gathered.len() >= GATHER_BYTES { self.flush().await } else { Ok(()) }
        })
    }

    fn finish(mut self: Box<Self>, expected: Digest) -> BoxFuture<'static, Result<u64>> {
        Box::pin(async move {
            self.flush().await?;
            let (incoming, size) = (self.take()?, self.size);
            blocking(move || incoming.publish(expected)).await?;
            Ok(size)
        })
    }
}

/// A file that has no digest yet. Dropping it removes it.
struct Incoming {
    root: PathBuf,
    path: PathBuf,
    file: File,
    hasher: Hasher,
}

impl Incoming {
    fn create(root: PathBuf, path: PathBuf) -> Result<Self> {
        let file = File::create_new(&path).map_err(|error| storage::fault("create", &path, &error))?;
        Ok(Self { root, path, file, hasher: Hasher::default() })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|error| storage::fault("write", &self.path, &error))
    }

    /// Checks, syncs and renames, in this order, so that a kill at any point leaves a whole artifact
    /// or none.
    fn publish(self, expected: Digest) -> Result<()> {
        let actual = self.hasher.clone().finish();
        if actual != expected {
            let message = format!("the bytes sent as `{expected}` have the digest `{actual}`");
            return Err(Fault::new(Code::DigestMismatch, message)
                .hint("the file changed while it was sent, or was damaged on the way: deploy again"));
        }
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .and_then(|()| self.file.sync_all())
            .map_err(|error| storage::fault("sync", &self.path, &error))?;
        let target = file_of(&self.root, &expected);
        let folder = target.parent().expect("an artifact's file is in a folder of the root");
        if !folder.is_dir() {
            storage::make_folder(folder)?;
            storage::sync_folder(&self.root)?;
        }
        fs::rename(&self.path, &target).map_err(|error| storage::fault("publish", &target, &error))?;
        storage::sync_folder(folder)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; after a failure, the next start empties the folder.
        let _ = fs::remove_file(&self.path);
    }
}

fn file_of(root: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    root.join(&hex[..2]).join(&hex)
}

fn retain(root: &Path, keep: &HashSet<PathBuf>) -> Result<u64> {
    let read = |path: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(path).map_err(|error| storage::fault("read", path, &error))?;
        Ok(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
    };
    let mut gone = 0;
    for folder in read(root)?.into_iter().filter(|folder| folder.is_dir() && !folder.ends_with("incoming")) {
        for file in read(&folder)?.into_iter().filter(|file| !keep.contains(file)) {
            fs::remove_file(&file).map_err(|error| storage::fault("remove", &file, &error))?;
            gone += 1;
        }
    }
    Ok(gone)
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(storage::fault("empty", path, &error))
        }
        _ => Ok(()),
    }
}

/// Runs disk work on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}
