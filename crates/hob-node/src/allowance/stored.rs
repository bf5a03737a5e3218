//! What a space keeps on disk, in bytes.
//!
//! **Why.** What is not counted is free: packages are copies of artifacts, so that one artifact at many paths of many
//! functions takes a multiple of itself.
//!
//! **How.** Topics and facts say how large they are; everything else is files. A package never changes, so it is looked
//! through once. Of the control state its database counts and not the journal beside it, which is the node's and is
//! emptied into the database; what is in a working folder ends with the work.
//!
//! **Not here:** how much it may be ([`super::Allowance`]).

use super::LAYERS;
use crate::sync::lock;
use hob_core::fault::{Fault, Result};
use hob_core::port::{Facts, Log};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Folders of a space's data folder that are measured whole: what was uploaded, and archives of layers.
const WHOLE: &[&str] = &["artifacts", LAYERS];
/// Packages, in its data folder.
const PACKAGES: &str = "packages";
/// Packages that are being made, in the folder of packages.
const INCOMING: &str = "incoming";
/// The database of the control state.
const DATABASE: &str = "state/state.db";

/// What a space stores.
pub(crate) struct Stored {
    log: Arc<dyn Log>,
    facts: Arc<dyn Facts>,
    files: Arc<Files>,
}

impl Stored {
    /// What is kept below this folder, in that of its compiled functions, and behind these ports.
    pub(crate) fn new(log: &Arc<dyn Log>, facts: &Arc<dyn Facts>, data: &Path, packs: PathBuf) -> Self {
        let files = Files { data: data.to_owned(), packs, packages: Mutex::default() };
        Self { log: Arc::clone(log), facts: Arc::clone(facts), files: Arc::new(files) }
    }

    /// Measures all of it.
    ///
    /// # Errors
    /// `HOB-06xx` when a store cannot say how large it is.
    pub(super) async fn measure(&self) -> Result<u64> {
        let topics = self.log.topics().await?;
        let topics: u64 = topics.iter().map(|(_, topic)| topic.bytes).sum();
        let (_, facts) = self.facts.size().await?;
        let files = Arc::clone(&self.files);
        let files = tokio::task::spawn_blocking(move || files.bytes()).await.map_err(Fault::internal)?;
        Ok(topics + facts + files)
    }
}

/// What is no topic and no fact.
struct Files {
    data: PathBuf,
    packs: PathBuf,
    /// Packages that were looked through.
    packages: Mutex<HashMap<OsString, u64>>,
}

impl Files {
    fn bytes(&self) -> u64 {
        let whole = WHOLE.iter().map(|name| bytes_in(&self.data.join(name))).sum::<u64>();
        let database = fs::metadata(self.data.join(DATABASE)).map_or(0, |metadata| metadata.len());
        whole + database + self.of_packages() + bytes_in(&self.packs)
    }

    fn of_packages(&self) -> u64 {
        let mut known = lock(&self.packages);
        let before = std::mem::take(&mut *known);
        let mut being_made = 0;
        for entry in fs::read_dir(self.data.join(PACKAGES)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name == INCOMING {
                being_made = bytes_in(&entry.path());
            } else {
                let bytes = before.get(&name).copied().unwrap_or_else(|| bytes_in(&entry.path()));
                known.insert(name, bytes);
            }
        }
        being_made + known.values().sum::<u64>()
    }
}

/// Bytes of the files in a folder and those below it; what is not there has none.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::Files;
    use std::fs;
    use std::sync::Mutex;

    #[test]
    fn everything_that_a_space_keeps_counts() {
        let data = tempfile::tempdir().unwrap();
        let at = |path: &str| data.path().join(path);
        let files = Files { data: data.path().to_owned(), packs: at("packs"), packages: Mutex::default() };
        let mut expected = 0;
        for (path, bytes, counts) in [
            ("artifacts/ab/cd", 1, true),
            ("packages/one/lib/deep", 2, true),
            ("packages/two/file", 4, true),
            ("packages/incoming/7/file", 8, true),
            ("aws-layers/x.zip", 16, true),
            ("state/state.db", 32, true),
            ("packs/function", 64, true),
            ("state/state.db-wal", 128, false),
            ("work/archive/file", 256, false),
            ("spaces/team/artifacts/ab", 512, false),
        ] {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), vec![0; bytes]).unwrap();
            expected += if counts { bytes as u64 } else { 0 };
            assert_eq!(files.bytes(), expected, "{path}");
        }
        fs::remove_dir_all(at("packages/one")).unwrap();
        assert_eq!(files.bytes(), expected - 2, "a package that is gone");
    }
}
