//! The audit log of one node: every control action, in files that are only ever appended to.
//!
//! **Why.** Facts are about functions, are dropped when there are too many, and can be asked for by whoever may
//! observe. What people and programs did to the node has to be whole, and for operators alone.
//!
//! **How.** A change is on disk, with its outcome, before it is answered ([`Action`]); while that cannot be, no change
//! is begun. What changes nothing, and what is refused, is told a few times a minute at most and counted after that, so
//! that it can neither slow the node down nor push other lines out. Besides there are three chains ([`Book`]), each with
//! room of its own: for who may do everything, for lesser tokens, and for who is bound to a space. A rate of lines alone
//! would not do: what one may need in a busy hour fills the log in weeks. Nor would a share of one chain: its oldest lines
//! go together, whoever's they are, since each holds the digest of the one before. [`file`] is where lines lie.
//!
//! **Invariants.**
//! 1. No body, header or secret is ever in a line: only who, from where, which operation, on what, and the outcome.
//! 2. Lines of a chain are numbered without gaps and each holds the digest of the one before.
//! 3. Whatever was changed has a line of its own, by name.
//!
//! **Not here:** the chain itself and what is wrong with one ([`hob_core::access::audit`]).

mod action;
mod file;

pub(crate) use action::{Action, Weight};

use crate::caller::{self, NODE};
use crate::clock::now_ms;
use crate::sync::lock;
use crate::task::Tasks;
use file::{Line, Segments, Snapshot};
use hob_core::access::audit::{Act, AuditReport, BROKEN, Book, Check, DONE, Entry, Head, Noted};
use hob_core::access::tally::{Lines, Tally};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{AUDIT_LISTED_MAX, AUDIT_TALLY_EVERY, AUDIT_TALLY_WAIT};
use hob_core::name::SpaceName;
use hob_core::port::{Expect, State, Write};
use hob_core::wire::AuditQuery;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where the end of a chain is kept besides, so that lines removed at the end are missed; and its folder in the data folder.
const fn place(book: Book) -> (&'static str, &'static str) {
    match book {
        Book::Operators => ("audit/head", "audit"),
        Book::Tokens => ("audit/head-of-tokens", "audit-tokens"),
        Book::Guests => ("audit/head-of-guests", "audit-guests"),
    }
}

/// Lines that are listed unless somebody says otherwise.
const LISTED: u64 = 100;

/// The audit log of one node.
pub(crate) struct Audit {
    books: Mutex<BTreeMap<Book, Segments>>,
    often: Mutex<Often>,
    lines: Mutex<Lines>,
    news: Notify,
    state: Arc<dyn State>,
    /// The heads that the state knows.
    kept: tokio::sync::Mutex<BTreeMap<Book, Head>>,
    /// Where changes go on whose clients are gone.
    tasks: Arc<Tasks>,
}

/// What happens often, and what waits to be written.
#[derive(Default)]
struct Often {
    tally: Tally,
    /// The first of each kind, until it is written; and what is owed.
    fresh: Vec<Line>,
    /// Whether lines of changes are among those, which are to be on disk.
    owed: bool,
}

impl Audit {
    /// Opens the log of a data folder, and begins to write what was counted.
    ///
    /// # Errors
    /// `HOB-0726` when its files cannot be used, `HOB-06xx` when the state cannot be read. A log that is broken is no
    /// error: that is written into it.
    pub(crate) async fn open(data: &Path, state: Arc<dyn State>, tasks: &Arc<Tasks>) -> Result<Arc<Self>> {
        let (mut books, mut kept, mut broken) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for book in Book::ALL {
            let (key, folder) = place(book);
            let known = state.get(key).await?;
            let known = known.and_then(|entry| serde_json::from_slice::<Head>(&entry.value).ok());
            let folder = data.join(folder);
            let (segments, wrong) = blocking(move || Segments::open(&folder, book, known)).await?;
            books.insert(book, segments);
            kept.insert(book, known.unwrap_or_default());
            broken.extend(wrong.map(|why| (book, why)));
        }
        let audit = Arc::new(Self {
            books: Mutex::new(books),
            often: Mutex::default(),
            lines: Mutex::default(),
            news: Notify::new(),
            state,
            kept: tokio::sync::Mutex::new(kept),
            tasks: Arc::clone(tasks),
        });
        for (book, why) in broken {
            tracing::error!(why, book = book.word(), "the audit log is not whole");
            let node = || NODE.to_owned();
            let act = caller::act(node(), node(), NODE, BROKEN, Some(why), SpaceName::default_space());
            let act = Act { outcome: Code::AuditBroken.text().to_owned(), book, ..act };
            audit.record(act, None).await?;
        }
        let writing = Arc::clone(&audit);
        tasks.start("audit log", async move { writing.keep_writing().await });
        Ok(audit)
    }

    /// Whether a change may begin: it can be written down afterwards.
    ///
    /// # Errors
    /// `HOB-0726`.
    pub(crate) async fn ready(self: &Arc<Self>) -> Result<()> {
        if !lock(&self.books).values().any(Segments::is_behind) {
            return Ok(());
        }
        self.append(Vec::new(), true).await
    }

    /// Writes what happened; it is on disk when this returns.
    ///
    /// # Errors
    /// `HOB-0726`; it is written as soon as that works again, then.
    pub(crate) async fn record(self: &Arc<Self>, act: Act, id: Option<String>) -> Result<()> {
        let line = Line { time_ms: now_ms(), act, id, times: None };
        self.append(vec![line], true).await?;
        self.news.notify_one();
        Ok(())
    }

    /// Whether somebody may have one more line in this minute about what changed nothing.
    fn has_line(&self, who: &str) -> bool {
        lock(&self.lines).another(who, now_ms())
    }

    /// Writes within moments what nobody can wait for, as a line of its own.
    fn owe(&self, act: Act, id: Option<String>) {
        let mut often = lock(&self.often);
        often.fresh.push(Line { time_ms: now_ms(), act, id, times: None });
        often.owed = true;
        self.news.notify_one();
    }

    /// Counts what happens often: it is written within moments if it is the first of its kind, else later with its
    /// number.
    pub(crate) fn count(&self, mut act: Act, id: Option<String>) {
        let mut often = lock(&self.often);
        if often.tally.count(&mut act) {
            often.fresh.push(Line { time_ms: now_ms(), act, id, times: None });
            self.news.notify_one();
        }
    }

    /// Lines that `query` wants, the newest of them, oldest first.
    ///
    /// # Errors
    /// `HOB-0726` when the files cannot be read.
    pub(crate) async fn list(self: &Arc<Self>, query: AuditQuery) -> Result<Vec<Entry>> {
        self.write_fresh().await?;
        let most = usize::try_from(query.limit.unwrap_or(LISTED)).unwrap_or(usize::MAX).min(AUDIT_LISTED_MAX);
        let snapshots: Vec<Snapshot> = lock(&self.books).values().map(Segments::snapshot).collect();
        blocking(move || {
            let mut all = Vec::new();
            for snapshot in snapshots {
                let mut found = VecDeque::new();
                snapshot.newest_first(|lines| {
                    let wanted = lines.iter().rev().filter_map(|line| query.wanted(line));
                    for entry in wanted.take(most - found.len()) {
                        found.push_front(entry);
                    }
                    found.len() < most
                })?;
                all.extend(found);
            }
            all.sort_by_key(|entry: &Entry| entry.time_ms);
            all.drain(..all.len().saturating_sub(most));
            Ok(all)
        })
        .await
    }

    /// Reads the whole log and says whether it is whole; `noted` are ends that somebody has noted earlier.
    ///
    /// # Errors
    /// `HOB-0726` when the files cannot be read.
    pub(crate) async fn check(self: &Arc<Self>, noted: Noted) -> Result<AuditReport> {
        self.write_fresh().await?;
        let snapshots: Vec<(Book, Snapshot)> =
            lock(&self.books).iter().map(|(book, segments)| (*book, segments.snapshot())).collect();
        blocking(move || {
            let mut whole: Option<AuditReport> = None;
            for (book, snapshot) in snapshots {
                let mut check = Check::new(noted.0.get(&book).copied());
                snapshot.oldest_first(|line| check.line(line))?;
                let report = check.end(Some(snapshot.head));
                whole = Some(match whole {
                    None => report,
                    Some(whole) => whole.with(book, report),
                });
            }
            Ok(whole.expect("there is one chain at least"))
        })
        .await
    }

    /// Writes everything that is known.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.write_often().await;
        self.keep_head().await;
    }

    async fn keep_writing(self: Arc<Self>) {
        let mut next = Instant::now() + AUDIT_TALLY_EVERY;
        loop {
            let due = tokio::select! {
                () = self.news.notified() => false,
                () = tokio::time::sleep_until(next) => true,
            };
            if due {
                next = Instant::now() + AUDIT_TALLY_EVERY;
                self.write_often().await;
            } else {
                tokio::time::sleep(AUDIT_TALLY_WAIT).await;
                if let Err(fault) = self.write_fresh().await {
                    tracing::error!(%fault, "the audit log cannot be written");
                }
            }
            self.keep_head().await;
        }
    }

    async fn write_fresh(self: &Arc<Self>) -> Result<()> {
        let nothing = lock(&self.often).fresh.is_empty();
        if nothing { Ok(()) } else { self.append(Vec::new(), false).await }
    }

    /// Writes what was counted.
    async fn write_often(self: &Arc<Self>) {
        let line = |(act, times)| Line { time_ms: now_ms(), act, id: None, times: Some(times) };
        let (lines, fresh): (Vec<Line>, bool) = {
            let mut often = lock(&self.often);
            (often.tally.take().into_iter().map(line).collect(), !often.fresh.is_empty())
        };
        if (fresh || !lines.is_empty())
            && let Err(fault) = self.append(lines, true).await
        {
            tracing::error!(%fault, "the audit log cannot be written");
        }
    }

    /// Writes lines behind those that are fresh. These are taken by whoever holds the files: taken before, they could come
    /// behind later ones, or be missing for who reads meanwhile.
    async fn append(self: &Arc<Self>, lines: Vec<Line>, durable: bool) -> Result<()> {
        let audit = Arc::clone(self);
        let write = move || {
            let mut books = lock(&audit.books);
            let (fresh, owed) = {
                let mut often = lock(&audit.often);
                (std::mem::take(&mut often.fresh), std::mem::take(&mut often.owed))
            };
            let mut of_each: BTreeMap<Book, Vec<Line>> = BTreeMap::new();
            for line in fresh.into_iter().chain(lines) {
                of_each.entry(line.act.book).or_default().push(line);
            }
            let mut written = Ok(());
            for (book, segments) in books.iter_mut() {
                let own = of_each.remove(book).unwrap_or_default();
                if !own.is_empty() || segments.is_behind() {
                    written = segments.append(own, durable || owed, now_ms()).and(written);
                }
            }
            written
        };
        blocking(write).await
    }

    /// Tells the state where the chains end, as far as that is news.
    async fn keep_head(&self) {
        let mut kept = self.kept.lock().await;
        let heads: BTreeMap<Book, Head> =
            lock(&self.books).iter().map(|(book, segments)| (*book, segments.head())).collect();
        let news = heads.iter().filter(|(book, head)| kept.get(book) != Some(head));
        let writes: Vec<Write> = news
            .filter_map(|(book, head)| {
                let (key, value) = (place(*book).0.to_owned(), serde_json::to_vec(head).ok()?);
                Some(Write { key, expect: Expect::Any, value: Some(value) })
            })
            .collect();
        if writes.is_empty() {
            return;
        }
        match self.state.commit(writes).await {
            Ok(()) => *kept = heads,
            Err(fault) => tracing::warn!(%fault, "the end of the audit log cannot be kept"),
        }
    }
}

/// The outcome of an action, as a line tells it.
fn outcome(fault: Option<&Fault>) -> String {
    fault.map_or(DONE, |fault| fault.code().text()).to_owned()
}

/// Does what waits for a disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?;
    done.map_err(|error| {
        Fault::new(Code::AuditUnwritable, format!("the audit log cannot be used: {error}"))
            .hint("see that the disk of the data folder has room and can be written")
    })
}

#[cfg(test)]
mod tests;
