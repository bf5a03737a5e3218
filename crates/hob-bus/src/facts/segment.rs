//! One segment of facts: a database of rows and of what each is found by.

use super::pack::{pack, unpack};
use crate::storage;
use hob_core::code::Code;
use hob_core::fact::{About, Fact, FactQuery, What};
use hob_core::fault::{Fault, Result};
use hob_core::random::mix;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// Version of the tables below, kept as `user_version`.
const SCHEMA: i64 = 1;

const CREATE: &str = "
    CREATE TABLE fact (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
    CREATE TABLE found (
        by INTEGER NOT NULL, fact INTEGER NOT NULL, PRIMARY KEY (by, fact)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// Pages that the segment keeps in memory while facts are written, bytes: names are hashes, so that each goes to
/// another page.
const WRITTEN_BYTES: u64 = 16 << 20;
/// The same of a segment that is only read. A node has some thirty of them.
const READ_BYTES: u64 = 256 << 10;

/// One segment.
pub(super) struct Segment {
    connection: Connection,
    /// Whether it keeps many pages.
    written: bool,
    /// `None`: in memory.
    path: Option<PathBuf>,
    facts: u64,
    first_ms: Option<u64>,
    last_ms: u64,
}

impl Segment {
    /// A new one at `path`, or in memory.
    ///
    /// # Errors
    /// `HOB-0601` and `HOB-0604` when the file cannot be made.
    pub(super) fn create(path: Option<PathBuf>) -> Result<Self> {
        let opened = match &path {
            Some(path) => Connection::open(path),
            None => Connection::open_in_memory(),
        };
        let connection = opened.map_err(|error| fault(path.as_deref(), error))?;
        prepare(&connection).map_err(|error| fault(path.as_deref(), error))?;
        connection.execute_batch(CREATE).map_err(|error| fault(path.as_deref(), error))?;
        Ok(Self { connection, written: false, path, facts: 0, first_ms: None, last_ms: 0 })
    }

    /// The one at `path`; `None` when it is damaged or of another version, and was set aside.
    ///
    /// # Errors
    /// `HOB-0601` when it can neither be read nor be set aside.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        match read(path) {
            Ok((connection, (facts, first_ms, last_ms))) => Ok(Some(Self {
                connection,
                written: false,
                path: Some(path.to_owned()),
                facts,
                first_ms,
                last_ms,
            })),
            Err(_) => {
                std::fs::rename(path, path.with_extension("damaged"))
                    .map_err(|error| storage::fault("set aside", path, &error))?;
                Ok(None)
            }
        }
    }

    /// How many facts it has.
    pub(super) fn facts(&self) -> u64 {
        self.facts
    }

    /// When it began.
    pub(super) fn first_ms(&self) -> Option<u64> {
        self.first_ms
    }

    /// The time of its newest fact.
    pub(super) fn last_ms(&self) -> u64 {
        self.last_ms
    }

    /// Its size on disk, without what is not written back yet.
    ///
    /// # Errors
    /// `HOB-0601` when it cannot be read.
    pub(super) fn bytes(&self) -> Result<u64> {
        let pragma = |name: &str| -> rusqlite::Result<i64> {
            self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
        };
        let bytes = pragma("page_count").and_then(|pages| Ok(pages * pragma("page_size")?));
        bytes.map(unsigned).map_err(|error| fault(self.path.as_deref(), error))
    }

    /// Adds facts, all or none.
    ///
    /// # Errors
    /// `HOB-0601` and `HOB-0604` when they cannot be written.
    pub(super) fn append(&mut self, facts: &[Fact]) -> Result<()> {
        if !self.written {
            self.keep(WRITTEN_BYTES);
            self.written = true;
        }
        let written = write(&mut self.connection, self.facts, facts);
        written.map_err(|error| fault(self.path.as_deref(), error))?;
        self.facts += facts.len() as u64;
        self.first_ms = self.first_ms.or_else(|| facts.first().map(|fact| fact.time_ms));
        self.last_ms = facts.iter().map(|fact| fact.time_ms).fold(self.last_ms, u64::max);
        Ok(())
    }

    /// Nothing more is written: gives the memory back.
    pub(super) fn rest(&mut self) {
        self.written = false;
        self.keep(READ_BYTES);
    }

    /// Keeps pages of so many bytes in memory at most. A database that has no file is all in memory anyway.
    fn keep(&self, bytes: u64) {
        let change = format!("PRAGMA cache_size = -{}; PRAGMA shrink_memory;", bytes >> 10);
        // Without it only the memory would be another.
        let _ = self.connection.execute_batch(&change);
    }

    /// Adds the newest `limit` facts that `query` wants to `found`, newest first.
    ///
    /// # Errors
    /// `HOB-0601` when they cannot be read.
    pub(super) fn find(&self, query: &FactQuery, limit: usize, found: &mut Vec<Fact>) -> Result<()> {
        let mut ids = Vec::new();
        self.search(query, limit, &mut ids).map_err(|error| fault(self.path.as_deref(), error))?;
        found.extend(ids.into_iter().map(|(_, fact)| fact));
        Ok(())
    }

    fn search(&self, query: &FactQuery, limit: usize, found: &mut Vec<(i64, Fact)>) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(
            "SELECT fact.id, body FROM found JOIN fact ON fact.id = found.fact WHERE by = ?1 ORDER BY fact DESC",
        )?;
        for by in lookups(query) {
            let mut rows = statement.query([by])?;
            let mut left = limit;
            while let Some(row) = rows.next()?.filter(|_| left > 0) {
                let body: Vec<u8> = row.get(1)?;
                // What another version wrote and this one does not understand is left out.
                let fact = unpack(&body).and_then(|value| serde_json::from_value::<Fact>(value).ok());
                let Some(fact) = fact else { continue };
                if fact.time_ms.saturating_add(SLACK_MS) < query.since_ms {
                    break;
                }
                if query.wants(&fact) {
                    found.push((row.get(0)?, fact));
                    left -= 1;
                }
            }
        }
        found.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        found.truncate(limit);
        Ok(())
    }

    /// Removes the segment.
    ///
    /// # Errors
    /// `HOB-0601` when its file cannot be removed.
    pub(super) fn remove(self) -> Result<()> {
        let Self { connection, path, .. } = self;
        drop(connection);
        let Some(path) = path else { return Ok(()) };
        std::fs::remove_file(&path).map_err(|error| storage::fault("remove", &path, &error))
    }
}

/// Facts are kept in the order in which they ended, and what lasts has the time at which it began: this
/// far a fact may be older than one before it. The longest call may take a day; who asks for such a one by
/// time asks for a little more.
const SLACK_MS: u64 = 10 * 60 * 1000;

/// The hashes that are looked up for a query.
fn lookups(query: &FactQuery) -> Vec<i64> {
    if query.about.is_narrow() {
        return vec![hash(&query.about, "")];
    }
    if query.failed {
        return vec![hash(&query.about, FAILED)];
    }
    let kinds: &[&str] = if query.kinds.is_empty() { &What::WORDS } else { &query.kinds };
    kinds.iter().map(|kind| hash(&query.about, kind)).collect()
}

/// Under which failures of all kinds are found.
const FAILED: &str = "failed";

/// The hashes under which a fact is found.
fn names(fact: &Fact) -> Vec<i64> {
    let mut names = Vec::with_capacity(12);
    for about in About::of(fact) {
        if about.is_narrow() {
            names.push(hash(&about, ""));
            continue;
        }
        names.push(hash(&about, fact.what.word()));
        if fact.what.failed() {
            names.push(hash(&about, FAILED));
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn hash(about: &About, kind: &str) -> i64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    about.hash(&mut hasher);
    kind.hash(&mut hasher);
    mix(hasher.finish()).cast_signed()
}

/// FNV-1a (Fowler, Noll, Vo): the same in every start, unlike the hasher of the standard library.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    let kept = READ_BYTES >> 10;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{kept}; PRAGMA temp_store = MEMORY;",
    ))
}

type Extent = (u64, Option<u64>, u64);

fn read(path: &Path) -> rusqlite::Result<(Connection, Extent)> {
    let connection = Connection::open(path)?;
    prepare(&connection)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != SCHEMA {
        return Err(rusqlite::Error::InvalidQuery);
    }
    let time = |order: &str| -> rusqlite::Result<Option<i64>> {
        let text = format!("SELECT time_ms FROM fact ORDER BY id {order} LIMIT 1");
        connection.query_row(&text, [], |row| row.get(0)).optional()
    };
    let (first, last) = (time("ASC")?, time("DESC")?);
    let facts: Option<i64> = connection.query_row("SELECT max(id) FROM fact", [], |row| row.get(0))?;
    let extent = (unsigned(facts.unwrap_or(0)), first.map(unsigned), unsigned(last.unwrap_or(0)));
    Ok((connection, extent))
}

fn write(connection: &mut Connection, before: u64, facts: &[Fact]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut fact_row = transaction.prepare("INSERT INTO fact (id, time_ms, body) VALUES (?1, ?2, ?3)")?;
        let mut name_row = transaction.prepare("INSERT INTO found (by, fact) VALUES (?1, ?2)")?;
        for (fact, id) in facts.iter().zip(before + 1..) {
            let id = id.cast_signed();
            let body = serde_json::to_value(fact).map(|value| pack(&value));
            let body = body.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            fact_row.execute(params![id, fact.time_ms.cast_signed(), body])?;
            for name in names(fact) {
                name_row.execute(params![name, id])?;
            }
        }
    }
    transaction.commit()
}

fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

fn fault(path: Option<&Path>, error: rusqlite::Error) -> Fault {
    let place = path.map_or_else(|| "memory".to_owned(), |path| path.display().to_string());
    let what = format!("facts cannot be kept in `{place}`");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => storage::full(what),
        _ => Fault::new(Code::StoreIo, what).hint("see whether the data folder exists and is not read-only"),
    }
    .detail(error)
}

#[cfg(test)]
mod tests {
    use super::{READ_BYTES, Segment};
    use hob_core::fact::{Fact, Failure, Refused, What};
    use hob_core::id::InvocationId;

    fn fact(number: u64) -> Fact {
        let failure = Failure {
            code: "HOB-0401".to_owned(),
            message: String::new(),
            hint: None,
            detail: None,
            owner: hob_core::code::Owner::Caller,
        };
        let refused = Refused {
            id: InvocationId(u128::from(number)),
            control: false,
            app: None,
            method: "GET".to_owned(),
            path: "/x".to_owned(),
            host: "h".to_owned(),
            failure,
        };
        Fact { time_ms: number, trace: None, what: What::Refused(Box::new(refused)) }
    }

    /// Bytes of pages that the segment's database may keep in memory; negative numbers are KiB.
    fn kept_bytes(segment: &Segment) -> usize {
        let kib: i64 = segment.connection.query_row("PRAGMA cache_size", [], |row| row.get(0)).unwrap();
        usize::try_from(-kib).unwrap() << 10
    }

    #[test]
    fn a_segment_that_rests_keeps_hardly_any_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(Some(folder.path().join("1.db"))).unwrap();
        for batch in 0..20 {
            let facts: Vec<Fact> = (0..500).map(|at| fact(batch * 500 + at)).collect();
            segment.append(&facts).unwrap();
        }
        assert!(kept_bytes(&segment) > 2 * usize::try_from(READ_BYTES).unwrap());
        segment.rest();
        assert!(kept_bytes(&segment) <= usize::try_from(READ_BYTES).unwrap());
    }
}
