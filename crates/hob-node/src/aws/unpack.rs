//! An archive in a request becomes artifacts, as if its folder had been deployed.
//!
//! **How.** It is unpacked into a folder of the node's work, whose files are then stored one by one; the folder goes away
//! whatever happens.

use super::Lambda;
use super::answer::Answered;
use crate::archive;
use crate::identity;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::spec::PackageFile;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is in the node's own working folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file of the archive: where it is, and whether it may be executed.
type Files = BTreeMap<String, (PathBuf, bool)>;

impl Lambda {
    /// Stores the files of an archive as artifacts, if the space may have so much more.
    pub(super) async fn unpack(&self, archive: Vec<u8>) -> Answered<BTreeMap<String, PackageFile>> {
        let folder = self.control.data.join("work").join(format!("archive-{}", identity::invocation()));
        let folder = Arc::new(Folder(folder));
        let work = Arc::clone(&folder);
        let unpacked = tokio::task::spawn_blocking(move || open(&work.0, &archive));
        let files = unpacked.await.map_err(Fault::internal)??;
        let mut package = BTreeMap::new();
        for (path, (file, executable)) in files {
            let content = tokio::fs::read(&file).await.map_err(Fault::internal)?;
            let digest = Digest::of(&content);
            if !self.control.apps.missing(&[digest]).await?.is_empty() {
                self.control.bus.allowance().keep(content.len() as u64).await?;
                let mut upload = self.control.apps.upload().await?;
                upload.write(&content).await?;
                self.control.apps.publish(upload, digest).await?;
            }
            package.insert(path, PackageFile { digest, size: content.len() as u64, executable });
        }
        drop(folder);
        Ok(package)
    }
}

/// Unpacks the archive below `folder`.
fn open(folder: &Path, bytes: &[u8]) -> Result<Files> {
    let (packed, base) = (folder.join("function.zip"), folder.join("files"));
    let make = || {
        DirBuilder::new().recursive(true).mode(0o700).create(&base)?;
        fs::write(&packed, bytes)
    };
    make().map_err(Fault::internal)?;
    archive::unpack(&packed, &base).map_err(|fault| fault.at("ZipFile"))?;
    let mut files = Files::new();
    walk(&base, &base, &mut files).map_err(Fault::internal)?;
    Ok(files)
}

/// Every file below `dir`; a link counts as the file behind it, which the archive's check has seen to be inside.
fn walk(base: &Path, dir: &Path, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if fs::symlink_metadata(&path)?.is_dir() {
            walk(base, &path, files)?;
            continue;
        }
        let metadata = fs::metadata(&path)?;
        let relative = path.strip_prefix(base).ok().and_then(Path::to_str);
        if let Some(relative) = relative.filter(|_| metadata.is_file()) {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            files.insert(relative.to_owned(), (path.clone(), executable));
        }
    }
    Ok(())
}
