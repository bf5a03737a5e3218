//! The records of engine `file`: an SQLite database that cannot give a wrong answer unnoticed.
//!
//! **Why.** Disks flip bits, lose the ends of files and are restored in part. A control state that is
//! a little wrong moves an app to a mixture; so what is not exactly what was acknowledged is refused
//! with `HOB-0602`.
//!
//! **How.** Three checks, each for what the one before cannot see:
//! 1. Every record carries a digest of key, version and value, which is held against an index in
//!    memory at each read: a changed or vanished record is found.
//! 2. The `seal`, rewritten in each transaction, carries a sequence number and the exclusive or of
//!    all digests: a record that was lost or has come back is found when the database is opened.
//! 3. The file `acknowledged` carries the sequence number of the last acknowledged transaction: a
//!    database that has fallen back to an earlier one (a cut-off log, an old copy) is found too. It is
//!    written after the transaction and not synced: it can be behind, never ahead.
//!
//! Write-ahead log, `synchronous=FULL`: a transaction is on disk when `COMMIT` returns. After an
//! error that is not a full disk nothing more is written until the node is started again, since
//! what the system did with the failed write is unknown.
//!
//! **Not here:** threads and queues (`file`).

mod acknowledged;

use super::check_expectation;
use crate::storage;
use acknowledged::Acknowledged;
use hob_core::code::Code;
use hob_core::digest::{Digest, Hasher};
use hob_core::fault::{Fault, Result};
use hob_core::port::{Entry, Write};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the tables below, kept as `user_version`.
const SCHEMA: i64 = 1;

const CREATE: &str = "
    CREATE TABLE entry (
        key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL, digest BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE seal (
        one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, digest BLOB NOT NULL
    ) STRICT;
    PRAGMA user_version = 1;
";

/// An open database and what is known of its content.
pub(super) struct Database {
    connection: Connection,
    folder: PathBuf,
    index: BTreeMap<String, Known>,
    seal: Seal,
    acknowledged: Acknowledged,
    /// Set by an error after which the files cannot be trusted.
    broken: bool,
}

/// What the index knows of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Known {
    version: u64,
    digest: Digest,
}

/// What the whole content has to add up to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Seal {
    sequence: u64,
    count: u64,
    sum: [u8; 32],
}

impl Seal {
    fn add(&mut self, digest: &Digest) {
        self.count += 1;
        self.mix(digest);
    }

    fn remove(&mut self, digest: &Digest) {
        self.count -= 1;
        self.mix(digest);
    }

    /// Exclusive or, so that adding and removing are the same and the order does not matter.
    fn mix(&mut self, digest: &Digest) {
        self.sum.iter_mut().zip(digest.bytes()).for_each(|(sum, byte)| *sum ^= byte);
    }

    fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(&self.sequence.to_le_bytes());
        hasher.update(&self.count.to_le_bytes());
        hasher.update(&self.sum);
        hasher.finish()
    }
}

/// What a group of commits makes of the keys it touches; `None`: removed.
type Staged<'a> = BTreeMap<&'a str, Option<(Known, &'a [u8])>>;

impl Database {
    /// Opens or creates the database of this folder, and checks all of it.
    ///
    /// # Errors
    /// `HOB-0602` when it is damaged or incomplete, `HOB-0601` and `HOB-0604` when it cannot be used.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        storage::make_folder(folder)?;
        let (connection, seal, index) = open_checked(folder).map_err(|error| error.into_fault(folder))?;
        // The names of the files, and of the folder itself.
        storage::sync_folder(folder)?;
        folder.parent().map_or(Ok(()), storage::sync_folder)?;
        let acknowledged = Acknowledged::open(folder, seal.sequence)?;
        Ok(Self { connection, folder: folder.to_owned(), index, seal, acknowledged, broken: false })
    }

    /// The record under `key`.
    pub(super) fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.index.get(key).map(|known| self.read(key, known)).transpose()
    }

    /// Every record whose key begins with `prefix`, in order.
    pub(super) fn scan(&self, prefix: &str) -> Result<Vec<(String, Entry)>> {
        let found = self.index.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        found.map(|(key, known)| Ok((key.clone(), self.read(key, known)?))).collect()
    }

    /// Applies each commit of the group whose expectations hold, all in one transaction; returns
    /// their results in order, once they are on disk.
    pub(super) fn commit(&mut self, group: &[Vec<Write>]) -> Vec<Result<()>> {
        let mut staged = Staged::new();
        let checked: Vec<Result<()>> = group.iter().map(|writes| self.stage(writes, &mut staged)).collect();
        let written = if staged.is_empty() { Ok(()) } else { self.write(&staged) };
        checked.into_iter().map(|check| check.and_then(|()| written.clone())).collect()
    }

    fn stage<'a>(&self, writes: &'a [Write], staged: &mut Staged<'a>) -> Result<()> {
        let version = |staged: &Staged<'_>, key: &str| match staged.get(key) {
            Some(change) => change.map(|(known, _)| known.version),
            None => self.index.get(key).map(|known| known.version),
        };
        for write in writes {
            check_expectation(write, version(staged, &write.key))?;
        }
        for write in writes {
            let version = version(staged, &write.key).unwrap_or(0) + 1;
            let change = write.value.as_deref().map(|value| {
                let digest = record_digest(&write.key, version, value);
                (Known { version, digest }, value)
            });
            staged.insert(&write.key, change);
        }
        Ok(())
    }

    fn write(&mut self, staged: &Staged<'_>) -> Result<()> {
        if self.broken {
            return Err(Fault::new(
                Code::StoreIo,
                "the state cannot be written since an earlier write failed",
            )
            .hint("see the node's log for that failure, mend it, and start the node again"));
        }
        let seal = self.seal_after(staged);
        let written = write_transaction(&mut self.connection, staged, &seal).map_err(|error| {
            self.broken = error.sqlite_error_code() != Some(ErrorCode::DiskFull);
            Problem::from(error).into_fault(&self.folder)
        });
        written?;
        self.seal = seal;
        for (key, change) in staged {
            match change {
                Some((known, _)) => self.index.insert((*key).to_owned(), *known),
                None => self.index.remove(*key),
            };
        }
        self.acknowledged.write(seal.sequence).inspect_err(|_| self.broken = true)
    }

    fn seal_after(&self, staged: &Staged<'_>) -> Seal {
        let mut seal = Seal { sequence: self.seal.sequence + 1, ..self.seal };
        for (key, change) in staged {
            if let Some(known) = self.index.get(*key) {
                seal.remove(&known.digest);
            }
            if let Some((known, _)) = change {
                seal.add(&known.digest);
            }
        }
        seal
    }

    fn read(&self, key: &str, known: &Known) -> Result<Entry> {
        let row = self
            .connection
            .query_row("SELECT version, value FROM entry WHERE key = ?1", [key], |row| {
                Ok(Entry { version: unsigned(row.get(0)?), value: row.get(1)? })
            })
            .optional()
            .map_err(|error| Problem::from(error).into_fault(&self.folder))?;
        row.filter(|entry| record_digest(key, entry.version, &entry.value) == known.digest)
            .ok_or_else(|| Problem::Damaged(format!("the record `{key}`")).into_fault(&self.folder))
    }
}

/// Why the database cannot be used.
enum Problem {
    /// This part of it is not what was written.
    Damaged(String),
    /// SQLite refused something.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Problem {
    fn into_fault(self, folder: &Path) -> Fault {
        let place = folder.display();
        let error = match self {
            Self::Damaged(what) => return damaged(&what, folder),
            Self::Sql(error) => error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => storage::full(format!("cannot write the state in `{place}`")),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory,
            ) => Fault::new(Code::StoreIo, format!("cannot read or write the state in `{place}`"))
                .hint("see whether the folder belongs to the node's user and the disk is healthy"),
            // Statements are constant, so that whatever else SQLite dislikes is in the file.
            _ => damaged("the database", folder),
        }
        .detail(error)
    }
}

/// The fault for stored data that is not what was written.
fn damaged(what: &str, folder: &Path) -> Fault {
    let place = folder.display();
    Fault::new(Code::StoreCorrupt, format!("{what} in `{place}` is damaged")).hint(format!(
        "restore the data folder from a backup; to begin with no apps, move `{place}` away and deploy again"
    ))
}

fn open_checked(folder: &Path) -> Result<(Connection, Seal, BTreeMap<String, Known>), Problem> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(folder.join("state.db"), flags)?;
    // Exclusive: the data folder is locked anyway, and no index of the log has to be shared.
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;")?;
    let journal: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if journal != "wal" {
        return Err(Problem::Damaged(format!("the database's journal mode `{journal}`")));
    }
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON;")?;
    create_if_empty(&mut connection)?;
    let report: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if report != "ok" {
        return Err(Problem::Damaged(format!("the database ({report})")));
    }
    let (seal, index) = read_all(&connection)?;
    Ok((connection, seal, index))
}

fn create_if_empty(connection: &mut Connection) -> Result<(), Problem> {
    let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (schema, tables) {
        (SCHEMA, _) => Ok(()),
        (0, 0) => {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(CREATE)?;
            let digest = Seal::default().digest();
            transaction.execute("INSERT INTO seal VALUES (1, 0, ?1)", [&digest.bytes()[..]])?;
            Ok(transaction.commit()?)
        }
        _ => Err(Problem::Damaged(format!("the database's format {schema}"))),
    }
}

/// Reads and checks every record, and holds their sum against the seal.
fn read_all(connection: &Connection) -> Result<(Seal, BTreeMap<String, Known>), Problem> {
    let (sequence, sealed): (i64, Vec<u8>) =
        connection
            .query_row("SELECT sequence, digest FROM seal", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut seal = Seal { sequence: unsigned(sequence), ..Seal::default() };
    let mut index = BTreeMap::new();
    let mut statement = connection.prepare("SELECT key, version, value, digest FROM entry")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (key, version): (String, u64) = (row.get(0)?, unsigned(row.get(1)?));
        let (value, stored): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let digest = record_digest(&key, version, &value);
        if stored != digest.bytes() {
            return Err(Problem::Damaged(format!("the record `{key}`")));
        }
        seal.add(&digest);
        index.insert(key, Known { version, digest });
    }
    if sealed != seal.digest().bytes() {
        return Err(Problem::Damaged("the set of records".to_owned()));
    }
    Ok((seal, index))
}

fn write_transaction(
    connection: &mut Connection,
    staged: &Staged<'_>,
    seal: &Seal,
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut put = transaction.prepare("INSERT OR REPLACE INTO entry VALUES (?1, ?2, ?3, ?4)")?;
        let mut remove = transaction.prepare("DELETE FROM entry WHERE key = ?1")?;
        for (key, change) in staged {
            match change {
                Some((known, value)) => {
                    put.execute(params![key, signed(known.version), value, &known.digest.bytes()[..]])?
                }
                None => remove.execute([key])?,
            };
        }
        let digest = seal.digest();
        let sealed = params![signed(seal.sequence), &digest.bytes()[..]];
        transaction.execute("UPDATE seal SET sequence = ?1, digest = ?2", sealed)?;
    }
    transaction.commit()
}

/// The digest of a record. The key's length keeps key and value apart.
fn record_digest(key: &str, version: u64, value: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key.as_bytes());
    hasher.update(&version.to_le_bytes());
    hasher.update(value);
    hasher.finish()
}

// SQLite has signed numbers only; ours begin at 0 and never come near the sign.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::Database;
    use hob_core::port::{Expect, Write};

    fn put(database: &mut Database, key: &str, size: usize) -> String {
        let write = Write { key: key.into(), expect: Expect::Absent, value: Some(vec![1; size]) };
        let result = database.commit(&[vec![write]]).remove(0);
        result.map_or_else(|fault| fault.code().to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn a_full_disk_refuses_a_commit_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(folder.path()).unwrap();
        assert_eq!(put(&mut database, "a", 10), "ok");
        // What SQLite says then is what it says of a full disk.
        database.connection.execute_batch("PRAGMA max_page_count = 10").unwrap();
        assert_eq!(put(&mut database, "b", 100_000), "HOB-0604");
        assert_eq!(database.scan("").unwrap().len(), 1);
        assert_eq!(put(&mut database, "c", 10), "ok");
        drop(database);
        let keys: Vec<_> = Database::open(folder.path()).unwrap().index.into_keys().collect();
        assert_eq!(keys, ["a", "c"]);
    }

    #[test]
    fn after_any_other_failure_nothing_is_written_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(folder.path()).unwrap();
        assert_eq!(put(&mut database, "a", 10), "ok");
        database.connection.execute_batch("ALTER TABLE seal RENAME TO broken").unwrap();
        assert_eq!(put(&mut database, "b", 10), "HOB-0602");
        database.connection.execute_batch("ALTER TABLE broken RENAME TO seal").unwrap();
        assert_eq!(put(&mut database, "c", 10), "HOB-0601");
        assert_eq!(database.get("a").unwrap().map(|entry| entry.version), Some(1));
    }
}
