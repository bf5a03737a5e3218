//! Access keys of the Lambda API: pairs of an id and a secret, in a file that only the node's user reads.
//!
//! **Why.** A signature is checked with the secret itself, so it cannot be kept as a hash. The file is as private as the
//! data folder's other content, and a node does not start on one that others may read.
//!
//! **How.** The first start with the API makes one pair. The file is written anew and renamed, so that it is whole at
//! every moment.
//!
//! **Not here:** what a signature is ([`hob_core::aws::signature`]).

use crate::clock::now_ms;
use crate::identity;
use crate::sync::lock;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::ACCESS_KEYS_MAX;
use hob_core::wire::AccessKey;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The file's name in the data folder.
const FILE: &str = "aws-keys";
/// What ids of keys begin with; with what follows they are as long as AWS's.
const PREFIX: &str = "HOB";
const ID_BYTES: usize = 20;

/// The access keys of one node.
pub(crate) struct Keys {
    file: PathBuf,
    pairs: Mutex<Vec<AccessKey>>,
}

impl Keys {
    /// Reads the keys of a data folder, or makes the first one.
    ///
    /// # Errors
    /// `HOB-0627` when the file cannot be used, or others may read it.
    pub(crate) fn open(data: &Path) -> Result<Arc<Self>> {
        let file = data.join(FILE);
        let keys = match read(&file)? {
            Some(pairs) => Self { file, pairs: Mutex::new(pairs) },
            None => {
                let keys = Self { file, pairs: Mutex::default() };
                keys.create()?;
                keys
            }
        };
        Ok(Arc::new(keys))
    }

    /// Every key, the oldest first.
    pub(crate) fn list(&self) -> Vec<AccessKey> {
        lock(&self.pairs).clone()
    }

    /// One key.
    ///
    /// # Errors
    /// `HOB-0626` when there is none with that id.
    pub(crate) fn get(&self, id: &str) -> Result<AccessKey> {
        lock(&self.pairs).iter().find(|pair| pair.id == id).cloned().ok_or_else(|| not_found(id))
    }

    /// Makes another key; it is on disk when this returns.
    ///
    /// # Errors
    /// `HOB-0627`, and `HOB-0109` above the limit.
    pub(crate) fn create(&self) -> Result<AccessKey> {
        let mut pairs = lock(&self.pairs);
        if pairs.len() >= ACCESS_KEYS_MAX {
            let what = format!("there are {} access keys, the limit is {ACCESS_KEYS_MAX}", pairs.len());
            return Err(Fault::new(Code::SettingOverLimit, what).hint("remove one: `hob key rm ID`"));
        }
        let id = format!("{PREFIX}{}", identity::secret().to_ascii_uppercase());
        let pair =
            AccessKey { id: id[..ID_BYTES].to_owned(), secret: identity::secret(), created_ms: now_ms() };
        let next: Vec<AccessKey> = pairs.iter().cloned().chain([pair.clone()]).collect();
        self.write(&next)?;
        *pairs = next;
        Ok(pair)
    }

    /// Removes a key: from now on nothing that is signed with it is taken.
    ///
    /// # Errors
    /// `HOB-0626` when there is none with that id, and `HOB-0627`.
    pub(crate) fn remove(&self, id: &str) -> Result<()> {
        let mut pairs = lock(&self.pairs);
        let next: Vec<AccessKey> = pairs.iter().filter(|pair| pair.id != id).cloned().collect();
        if next.len() == pairs.len() {
            return Err(not_found(id));
        }
        self.write(&next)?;
        *pairs = next;
        Ok(())
    }

    fn write(&self, pairs: &[AccessKey]) -> Result<()> {
        let text = serde_json::to_vec_pretty(pairs).map_err(Fault::internal)?;
        let fresh = self.file.with_extension("new");
        let write = || {
            self.file.parent().map_or(Ok(()), fs::create_dir_all)?;
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &self.file)?;
            self.file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|error| unusable(&self.file, &format!("cannot be written: {error}")))
    }
}

fn read(file: &Path) -> Result<Option<Vec<AccessKey>>> {
    let mut opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(file, &format!("cannot be read: {error}"))),
    };
    let mut text = Vec::new();
    let mode = opened.metadata().map(|metadata| metadata.permissions().mode() & 0o777);
    let mode = mode.map_err(|error| unusable(file, &format!("cannot be read: {error}")))?;
    if mode & 0o077 != 0 {
        return Err(unusable(file, &format!("may be read by others (mode {mode:o})"))
            .hint(format!("chmod 600 {}", file.display())));
    }
    opened.read_to_end(&mut text).map_err(|error| unusable(file, &format!("cannot be read: {error}")))?;
    let pairs = serde_json::from_slice(&text);
    pairs.map(Some).map_err(|error| unusable(file, &format!("is not a list of keys: {error}")))
}

fn unusable(file: &Path, why: &str) -> Fault {
    Fault::new(Code::KeysUnusable, format!("`{}` {why}", file.display()))
        .hint("move it away; the node then makes a new key")
}

fn not_found(id: &str) -> Fault {
    let shown: String = id.chars().take(40).collect();
    Fault::new(Code::KeyNotFound, format!("there is no access key `{shown}`")).hint("hob key ls")
}

#[cfg(test)]
mod tests {
    use super::{FILE, Keys};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_kept_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path()).unwrap();
        let (first, second) = (keys.list()[0].clone(), keys.create().unwrap());
        assert_eq!((first.id.len(), first.secret.len()), (20, 64));
        assert_ne!((&first.id, &first.secret), (&second.id, &second.secret));
        keys.remove(&first.id).unwrap();
        assert_eq!(keys.remove(&first.id).unwrap_err().code().text(), "HOB-0626");

        let again = Keys::open(folder.path()).unwrap();
        assert_eq!(again.list(), [second.clone()]);
        assert_eq!(again.get(&second.id).unwrap().secret, second.secret);

        let file = folder.path().join(FILE);
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        mode(0o640);
        assert_eq!(Keys::open(folder.path()).err().unwrap().code().text(), "HOB-0627");
        mode(0o600);
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Keys::open(folder.path()).err().unwrap().code().text(), "HOB-0627");
    }
}
