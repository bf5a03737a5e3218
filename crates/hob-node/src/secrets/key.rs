//! The keys that encrypt secrets: where they come from, and how one value is encrypted.
//!
//! **Why.** A copy of the data folder must not be enough where that matters: then the key is in a file or variable that
//! is kept elsewhere. Where nothing is said, the node makes a key file of its own, which at least keeps values out of
//! backups of the database, and out of everything else that reads it.
//!
//! **How.** AES-256-GCM (NIST SP 800-38D) from `ring`, with a random nonce of 96 bits for each value. Several keys may be
//! named: the first one encrypts, and each opens what it has encrypted.
//!
//! **Invariants.** No key goes that a stored value may need ([`Used`]): what it encrypted could never be opened again. So
//! there is one change of keys at a time: another key is made once nothing needs those of before.

use crate::identity::random;
use crate::settings::SecretKey;
use crate::sync::lock;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit::SECRET_KEYS_MAX;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// The name of the node's own key file, in the data folder.
const FILE: &str = "secret-keys";
/// Digits of a key: 256 bits.
const KEY_DIGITS: usize = 64;
/// Digits of a key's id.
const ID_DIGITS: usize = 16;

/// The keys of one node.
pub(crate) struct Keys {
    source: Source,
    pub(super) keys: Mutex<Vec<Arc<Key>>>,
    renewing: tokio::sync::Mutex<()>,
}

/// Where keys come from.
enum Source {
    /// A file that somebody else keeps.
    File(PathBuf),
    /// What the environment has said.
    Given,
    /// The node's own file; made with the first secret.
    Own(PathBuf),
}

/// One key.
pub(crate) struct Key {
    /// The beginning of its digest.
    id: String,
    /// For a file of the node's own that has to be written again.
    text: Zeroizing<String>,
    sealing: LessSafeKey,
}

/// Which keys the stored values of all spaces are encrypted with.
#[derive(Debug, Default)]
pub(crate) struct Used {
    /// Ids of keys.
    pub(crate) by_values: BTreeSet<String>,
    /// A space is not served, so nobody knows which keys its values need.
    pub(crate) unknown: bool,
}

impl Used {
    fn needs(&self, key: &Key) -> bool {
        self.unknown || self.by_values.contains(&key.id)
    }
}

impl Keys {
    /// Reads the keys of a node.
    ///
    /// # Errors
    /// `HOB-0733` when they cannot be read, are none, or others may read them.
    pub(crate) fn open(data: &Path, named: Option<&SecretKey>) -> Result<Arc<Self>> {
        let (source, keys) = match named {
            Some(SecretKey::File(file)) => {
                let text = read(file, 0o007)?.ok_or_else(|| unusable(file, "does not exist"))?;
                (Source::File(file.clone()), parse(&text)?)
            }
            Some(SecretKey::Text(text)) => (Source::Given, parse(&text.replace(',', "\n"))?),
            None => {
                let file = data.join(FILE);
                let keys = read(&file, 0o077)?.map(|text| parse(&text)).transpose()?;
                (Source::Own(file), keys.unwrap_or_default())
            }
        };
        if let (Source::File(_) | Source::Given, []) = (&source, keys.as_slice()) {
            return Err(fault("the key for secrets is empty".to_owned()));
        }
        Ok(Arc::new(Self { source, keys: Mutex::new(keys), renewing: tokio::sync::Mutex::default() }))
    }

    /// Encrypts a value; the key's id, and nonce, ciphertext and tag as digits.
    ///
    /// # Errors
    /// `HOB-0733` when the node's own key file cannot be made.
    pub(crate) fn seal(&self, value: &str, bound_to: &[u8]) -> Result<(String, String)> {
        let key = self.first()?;
        let nonce = bytes_of(&random(2 * NONCE_LEN)?).unwrap_or_default();
        let mut sealed = Zeroizing::new(value.as_bytes().to_vec());
        let unique = Nonce::try_assume_unique_for_key(&nonce).map_err(Fault::internal)?;
        let done = key.sealing.seal_in_place_append_tag(unique, Aad::from(bound_to), &mut *sealed);
        done.map_err(|_| Fault::internal("a secret cannot be encrypted"))?;
        Ok((key.id.clone(), digits_of(&[nonce.as_slice(), sealed.as_slice()].concat())))
    }

    /// Opens a value.
    ///
    /// # Errors
    /// `HOB-0733` when its key is not among the keys, `HOB-0734` when it was changed or belongs elsewhere.
    pub(crate) fn open_sealed(&self, id: &str, sealed: &str, bound_to: &[u8]) -> Result<Zeroizing<String>> {
        let known = lock(&self.keys).iter().find(|key| key.id == id).cloned();
        let key = known
            .ok_or_else(|| fault(format!("secrets are encrypted with the key `{id}`, which is not given")))?;
        let damaged = || {
            Fault::new(Code::SecretDamaged, "a stored secret was changed, or belongs somewhere else")
                .hint("set it again: `hob secret set APP NAME`")
        };
        let bytes = bytes_of(sealed).filter(|bytes| bytes.len() > NONCE_LEN).ok_or_else(damaged)?;
        let (nonce, sealed) = bytes.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let value =
            key.sealing.open_in_place(nonce, Aad::from(bound_to), &mut opened).map_err(|_| damaged())?;
        let value = std::str::from_utf8(value).map_err(|_| damaged())?;
        Ok(Zeroizing::new(value.to_owned()))
    }

    /// Whether it is the key that encrypts now.
    pub(crate) fn is_first(&self, id: &str) -> bool {
        lock(&self.keys).first().is_some_and(|key| key.id == id)
    }

    /// Held while everything is encrypted anew.
    pub(crate) async fn renewing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.renewing.lock().await
    }

    /// Begins to encrypt with another key: the first one of the file, which is read again; or a new one in the node's own
    /// file, beside the old ones. Its id. Where something needs an old key of the node's own file still, the newest one of
    /// before is gone on with, and no further one is made.
    ///
    /// # Errors
    /// `HOB-0733`, also when the file has a key no more that something needs; the keys are those of before, then.
    pub(crate) fn renew(&self, used: &Used) -> Result<String> {
        let next = match &self.source {
            Source::File(file) => {
                let text = read(file, 0o007)?.ok_or_else(|| unusable(file, "does not exist"))?;
                let keys = parse(&text)?;
                if keys.is_empty() {
                    return Err(unusable(file, "is empty"));
                }
                let gone = |old: &&Arc<Key>| used.needs(old) && keys.iter().all(|key| key.id != old.id);
                if let Some(old) = lock(&self.keys).iter().find(gone) {
                    let why = format!("has the key `{}` no more, which stored secrets may need", old.id);
                    let hint = "put it back below the new one, and take it out when this has succeeded";
                    return Err(unusable(file, &why).hint(hint));
                }
                keys
            }
            Source::Given => {
                let hint = "start the node with `HOB_SECRET_KEY=NEW,OLD`, then run this again";
                lock(&self.keys)
                    .get(1)
                    .ok_or_else(|| fault("the node has one key only".to_owned()).hint(hint))?;
                lock(&self.keys).clone()
            }
            Source::Own(file) => {
                let old = lock(&self.keys).clone();
                if old.iter().skip(1).any(|key| used.needs(key)) {
                    old
                } else {
                    // Nothing needs more of the old ones than the first: it makes two, far below the limit.
                    let keys: Vec<Arc<Key>> =
                        [Arc::new(Key::new()?)].into_iter().chain(old.into_iter().take(1)).collect();
                    write(file, &keys)?;
                    keys
                }
            }
        };
        let id = next.first().map(|key| key.id.clone()).unwrap_or_default();
        *lock(&self.keys) = next;
        Ok(id)
    }

    /// Forgets all keys but the first that nothing needs: those of the node's own file.
    ///
    /// # Errors
    /// `HOB-0733` when it cannot be written.
    pub(crate) fn forget_old(&self, used: &Used) -> Result<()> {
        let Source::Own(file) = &self.source else { return Ok(()) };
        let all = lock(&self.keys).clone();
        let keep = |(at, key): &(usize, Arc<Key>)| *at == 0 || used.needs(key);
        let kept: Vec<Arc<Key>> = all.into_iter().enumerate().filter(keep).map(|(_, key)| key).collect();
        write(file, &kept)?;
        *lock(&self.keys) = kept;
        Ok(())
    }

    /// The key that encrypts; the node's own is made if there is none.
    fn first(&self) -> Result<Arc<Key>> {
        let mut keys = lock(&self.keys);
        if keys.is_empty()
            && let Source::Own(file) = &self.source
        {
            let made = vec![Arc::new(Key::new()?)];
            write(file, &made)?;
            let file = file.display();
            tracing::warn!(%file, "the node has made a key for secrets; keep a copy of it, and better give one with --secret-key-file");
            *keys = made;
        }
        keys.first().cloned().ok_or_else(|| fault("there is no key for secrets".to_owned()))
    }
}

impl Key {
    fn new() -> Result<Self> {
        Self::of(&random(KEY_DIGITS)?)
    }

    fn of(text: &str) -> Result<Self> {
        let wrong = || fault("a key for secrets is 64 hexadecimal digits, and this is none".to_owned());
        let bytes = Zeroizing::new(bytes_of(text).filter(|_| text.len() == KEY_DIGITS).ok_or_else(wrong)?);
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong())?;
        let id = Digest::of(&bytes).hex()[..ID_DIGITS].to_owned();
        Ok(Self { id, text: Zeroizing::new(text.to_owned()), sealing: LessSafeKey::new(key) })
    }
}

/// One key in a line; what begins with `#` is for people.
fn parse(text: &str) -> Result<Vec<Arc<Key>>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<Arc<Key>> = lines.map(|line| Key::of(line).map(Arc::new)).collect::<Result<_>>()?;
    if keys.len() > SECRET_KEYS_MAX {
        return Err(fault(format!(
            "there are {} keys for secrets, the limit is {SECRET_KEYS_MAX}",
            keys.len()
        )));
    }
    Ok(keys)
}

/// The file's text; `None` when there is none. Refuses one that others than `mode` says may read.
fn read(file: &Path, mode: u32) -> Result<Option<Zeroizing<String>>> {
    let broken = |error: std::io::Error| unusable(file, &format!("cannot be read: {error}"));
    let mut opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    let found = opened.metadata().map_err(broken)?.permissions().mode() & 0o777;
    if found & mode != 0 {
        let hint = format!("chmod 600 {}", file.display());
        return Err(unusable(file, &format!("may be read by others (mode {found:o})")).hint(hint));
    }
    let mut text = Zeroizing::new(String::new());
    opened.read_to_string(&mut text).map_err(broken)?;
    Ok(Some(text))
}

fn write(file: &Path, keys: &[Arc<Key>]) -> Result<()> {
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        text.push_str(&key.text);
        text.push('\n');
    }
    let fresh = file.with_extension("new");
    let write = || {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()?;
        fs::rename(&fresh, file)?;
        file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|error| unusable(file, &format!("cannot be written: {error}")))
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let hex = digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| pairs.map(byte).collect()).flatten()
}

fn digits_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unusable(file: &Path, why: &str) -> Fault {
    fault(format!("the key file `{}` {why}", file.display()))
}

fn fault(what: String) -> Fault {
    Fault::new(Code::SecretKeyUnusable, what)
        .hint("give a file with a key: `head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \\n' > key`")
}
