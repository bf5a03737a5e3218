//! The folders from which functions run: packages made of artifacts.
//!
//! **Why.** A program wants a folder of files with their names, not artifacts named by digests. One
//! folder serves all functions and revisions with the same package.
//!
//! **How.** A package is made below `incoming/`, every file checked against its digest on its way, and
//! renamed when it is whole; it is taken away by the same rename before it is deleted. Files are
//! copies, not links: a function that finds a way to write to its package must not reach the artifact
//! of which other packages are made: without walls a program is the node's own user, whom no mode of a file stops, and
//! one inode has one mode, while an artifact may be a program here and data there. So packages count
//! as what they are on disk against the quota of their space. Files are 0444 or 0555, folders 0555.
//!
//! **Invariants.** A folder with a package's name is whole. Packages are made again from artifacts at
//! any time, so they are not synced: after a start of the machine (not of the node) all are made anew,
//! since a power cut may have left them half written. One that an earlier node made is read once before it is used,
//! and made anew when a byte of it has changed: a program that runs as the node's user can write to its package.
//!
//! **Not here:** when a package is needed ([`crate::apps`]).

use crate::sync::lock;
use hob_core::code::Code;
use hob_core::digest::{Digest, Hasher};
use hob_core::fault::{Fault, Result};
use hob_core::port::Blobs;
use hob_core::spec::{FunctionSpec, PackageFile};
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::RwLock;

/// Changes with every start of the machine (Linux, `random(4)`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Bytes that are copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// The packages of one node.
pub(crate) struct Packages {
    root: PathBuf,
    next: AtomicU64,
    /// Whoever makes a package holds it to the end, even when the deploy that wanted it is gone.
    making: Arc<RwLock<()>>,
    /// The names of those that this node has made or read.
    known: Mutex<HashSet<OsString>>,
}

impl Packages {
    /// Opens the folder, throws half-made packages away, and all of them after a start of the machine.
    ///
    /// # Errors
    /// `HOB-0601` when the folder cannot be used.
    pub(crate) fn open(root: PathBuf) -> Result<Self> {
        let packages =
            Self { root, next: AtomicU64::new(0), making: Arc::default(), known: Mutex::default() };
        let incoming = packages.root.join("incoming");
        remove(&incoming)
            .and_then(|()| DirBuilder::new().recursive(true).mode(0o700).create(&incoming))
            .map_err(|error| fault("empty", &incoming, &error))?;
        packages.forget_earlier_boot()?;
        Ok(packages)
    }

    /// Where the package of this function is, or will be.
    pub(crate) fn folder(&self, spec: &FunctionSpec) -> PathBuf {
        self.root.join(name_of(&spec.package))
    }

    /// The names of all packages that are there.
    ///
    /// # Errors
    /// `HOB-0601` when the folder cannot be read.
    pub(crate) fn names(&self) -> Result<HashSet<OsString>> {
        let read = || -> io::Result<HashSet<OsString>> {
            fs::read_dir(&self.root)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
        };
        read().map_err(|error| fault("read", &self.root, &error))
    }

    /// Makes the package of this function, unless it is there and as it was made.
    ///
    /// # Errors
    /// `HOB-0204` when an artifact is missing, `HOB-0602` when one is damaged, `HOB-0205` for a path
    /// that leads elsewhere, `HOB-0601` and `HOB-0604` when it cannot be written.
    pub(crate) async fn make(&self, spec: &FunctionSpec, blobs: &dyn Blobs) -> Result<()> {
        let target = self.folder(spec);
        let name = target.file_name().unwrap_or_default().to_owned();
        if target.is_dir() {
            if lock(&self.known).contains(&name) || self.is_whole(spec, &target).await? {
                lock(&self.known).insert(name);
                return Ok(());
            }
            tracing::warn!(folder = %target.display(), "a package has changed since it was made, and is made anew");
            let (away, changed) = (self.unused(), target.clone());
            blocking(move || take_away(&changed, &away)).await?;
        }
        let mut files = Vec::with_capacity(spec.package.len());
        for (path, file) in &spec.package {
            let source = blobs.path(&file.digest).await.map_err(|fault| fault.at(path.clone()))?;
            files.push(Copy { path: path.clone(), file: *file, source });
        }
        let new = self.unused();
        let making = Arc::clone(&self.making).read_owned().await;
        blocking(move || {
            let _making = making;
            let made = make(&new, &files).and_then(|()| publish(&new, &target));
            // Nothing is there after a success; after a failure, the next start tries again.
            let _ = remove(&new);
            made
        })
        .await
        .inspect(|()| {
            lock(&self.known).insert(name);
        })
    }

    /// Whether a package holds what it shall, and nothing else.
    async fn is_whole(&self, spec: &FunctionSpec, folder: &Path) -> Result<bool> {
        let (package, folder) = (spec.package.clone(), folder.to_owned());
        blocking(move || {
            let same = |(path, file): (&String, &PackageFile)| is_same(&folder.join(path), *file);
            Ok(package.iter().all(same) && count_files(&folder).is_ok_and(|count| count == package.len()))
        })
        .await
    }

    /// Removes every package that has none of these names; returns how many went. Waits for those that are
    /// being made, also for deploys that failed meanwhile.
    ///
    /// # Errors
    /// `HOB-0601` when one cannot be removed.
    pub(crate) async fn retain(&self, needed: &HashSet<OsString>) -> Result<u64> {
        let kept = |folder: &PathBuf| folder.file_name().is_some_and(|name| needed.contains(name));
        let _alone = self.making.write().await;
        let mut gone = 0;
        for folder in self.all()?.into_iter().filter(|folder| !kept(folder)) {
            let away = self.unused();
            folder.file_name().map(|name| lock(&self.known).remove(name));
            blocking(move || take_away(&folder, &away)).await?;
            gone += 1;
        }
        Ok(gone)
    }

    fn unused(&self) -> PathBuf {
        self.root.join("incoming").join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn all(&self) -> Result<Vec<PathBuf>> {
        let read = || -> io::Result<Vec<PathBuf>> {
            fs::read_dir(&self.root)?.map(|entry| entry.map(|entry| entry.path())).collect()
        };
        let entries = read().map_err(|error| fault("read", &self.root, &error))?;
        Ok(entries.into_iter().filter(|path| path.is_dir() && !path.ends_with("incoming")).collect())
    }

    fn forget_earlier_boot(&self) -> Result<()> {
        let mark = self.root.join("boot");
        // A machine that cannot tell its starts apart makes its packages anew each time.
        let boot = fs::read(BOOT_ID).unwrap_or_default();
        if !boot.is_empty() && fs::read(&mark).is_ok_and(|marked| marked == boot) {
            return Ok(());
        }
        for folder in self.all()? {
            take_away(&folder, &self.unused())?;
        }
        fs::write(&mark, boot).map_err(|error| fault("write", &mark, &error))
    }
}

/// The digest of what a package consists of, as a folder's name.
pub(crate) fn name_of(package: &BTreeMap<String, PackageFile>) -> String {
    let json = serde_json::to_vec(package).expect("a package has text keys only");
    Digest::of(&json).hex()
}

/// Bytes that a package takes, since its files are copies.
pub(crate) fn bytes_of(package: &BTreeMap<String, PackageFile>) -> u64 {
    package.values().fold(0, |bytes, file| bytes.saturating_add(file.size))
}

/// One file to be copied.
struct Copy {
    path: String,
    file: PackageFile,
    source: PathBuf,
}

fn make(folder: &Path, files: &[Copy]) -> Result<()> {
    let make_folder = |path: &Path| {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| fault("make the folder", path, &error))
    };
    make_folder(folder)?;
    let mut folders = HashSet::new();
    for copy in files {
        check_path(&copy.path)?;
        let target = folder.join(&copy.path);
        let parents = target.ancestors().skip(1).take_while(|parent| *parent != folder);
        let known = folders.len();
        folders.extend(parents.map(Path::to_owned));
        if folders.len() > known {
            target.parent().map_or(Ok(()), make_folder)?;
        }
        copy_checked(copy, &target)?;
    }
    for folder in folders {
        set_mode(&folder, 0o555)?;
    }
    Ok(())
}

/// Every client's paths are checked when they arrive; here is where a missed one would do harm.
fn check_path(path: &str) -> Result<()> {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !path.is_empty() && Path::new(path).components().all(plain) {
        return Ok(());
    }
    Err(Fault::new(Code::PackagePath, format!("a package holds the path `{}`", path.escape_debug()))
        .hint("package paths are relative, and have no empty, `.` or `..` part"))
}

fn copy_checked(copy: &Copy, target: &Path) -> Result<()> {
    let mut from = File::open(&copy.source).map_err(|error| fault("read", &copy.source, &error))?;
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)
        .map_err(|error| fault("create", target, &error))?;
    let (mut hasher, mut size) = (Hasher::default(), 0);
    let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(copy.file.size).unwrap_or(COPY_BYTES) + 1)];
    loop {
        let read = from.read(&mut buffer).map_err(|error| fault("read", &copy.source, &error))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
        to.write_all(&buffer[..read]).map_err(|error| fault("write", target, &error))?;
    }
    check_content(copy, hasher.finish(), size)?;
    set_mode(target, if copy.file.executable { 0o555 } else { 0o444 })
}

/// Whether a file of a package is as it was made: its bytes, and that it is a file.
fn is_same(path: &Path, file: PackageFile) -> bool {
    let read = || -> io::Result<Digest> {
        let plain = fs::symlink_metadata(path)?;
        if !plain.is_file() || plain.len() != file.size {
            return Err(ErrorKind::InvalidData.into());
        }
        let (mut from, mut hasher) = (File::open(path)?, Hasher::default());
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(file.size).unwrap_or(COPY_BYTES) + 1)];
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                read => hasher.update(&buffer[..read]),
            }
        }
    };
    read().is_ok_and(|digest| digest == file.digest)
}

/// Whatever lies in a folder and the folders in it, but for these.
fn count_files(folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() { count_files(&entry.path())? } else { 1 };
    }
    Ok(count)
}

fn check_content(copy: &Copy, digest: Digest, size: u64) -> Result<()> {
    let (path, file) = (&copy.path, &copy.file);
    if digest != file.digest {
        return Err(Fault::new(Code::StoreCorrupt, format!("the artifact of `{path}` is damaged"))
            .detail(format!("`{}` has the digest `{digest}`", copy.source.display()))
            .hint(format!("remove `{}` and deploy again: it is uploaded anew", copy.source.display())));
    }
    if size != file.size {
        let message = format!("`{path}` has {size} bytes, not the {} that the deploy names", file.size);
        return Err(Fault::new(Code::DigestMismatch, message).hint("deploy again with this version of Hob"));
    }
    Ok(())
}

/// Gives a whole package its name. Another deploy may have been quicker: its package is the same.
fn publish(new: &Path, target: &Path) -> Result<()> {
    match fs::rename(new, target) {
        Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
            Ok(())
        }
        Err(error) => Err(fault("publish", target, &error)),
        // Not before: a folder that may not be written cannot be moved either.
        Ok(()) => set_mode(target, 0o555),
    }
}

/// Takes the name away first, so that a kill leaves no half package under it.
fn take_away(folder: &Path, away: &Path) -> Result<()> {
    set_mode(folder, 0o700)?;
    fs::rename(folder, away).and_then(|()| remove(away)).map_err(|error| fault("remove", folder, &error))
}

/// Removes a folder with all that is in it, read-only folders too; none is no error.
fn remove(folder: &Path) -> io::Result<()> {
    match open_up(folder).and_then(|()| fs::remove_dir_all(folder)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Links are not followed: `file_type` is that of the link.
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| fault("change", path, &error))
}

fn fault(action: &str, path: &Path, error: &io::Error) -> Fault {
    let message = format!("cannot {action} `{}`", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::new(Code::StoreFull, message)
            .hint("free space on the disk of the data folder, then try again"),
        _ => Fault::new(Code::StoreIo, message)
            .hint("see whether the data folder exists, belongs to the node's user and is not read-only"),
    }
    .detail(error)
}

/// Runs disk work on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}

#[cfg(test)]
mod tests;
