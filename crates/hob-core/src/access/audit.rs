//! The audit log: what one line says, how lines hang together, and whether a log is whole.
//!
//! **Why.** Who deployed what, who made which token, who was refused: that has to be known afterwards, and a line that
//! somebody has removed or changed has to be noticed.
//!
//! **How.** Each line holds the digest of itself and of the line before it, so no line can be changed, removed or put
//! in without changing all that follow. The oldest lines are removed by the node to stay within a bound; a line says
//! where the log begins from then on ([`Kept`]). Whoever can write the file can make a whole new chain, which is why
//! the last digest is shown ([`Head`]): noted somewhere else, it proves that the chain up to it is still the same.
//! There are three such chains ([`Book`]), so that nobody's lines push out those of whoever is trusted more.
//! Actions that change nothing and happen often are counted ([`super::tally`]).
//!
//! **Not here:** files and times (`hob-node`).

use crate::code::Code;
use crate::digest::{Digest, Hasher};
use crate::fault::{Fault, Result};
use crate::name::SpaceName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the outcome of an action that was done is called; of others it is the code of their fault.
pub const DONE: &str = "ok";
/// The operation of a line that says where the log begins.
pub const TRIM: &str = "audit.trim";
/// The operation of a line that says that the log was found broken when the node started.
pub const BROKEN: &str = "audit.broken";

/// Which of the log's chains holds a line: the lines of one cannot push out those of another.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Book {
    /// What was done by those who may do everything, and by the node itself.
    #[default]
    Operators,
    /// By tokens and access keys for a part of that, which are bound to no space.
    Tokens,
    /// By whoever is bound to a space, and by strangers.
    Guests,
}

impl Book {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Operators, Self::Tokens, Self::Guests];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operators => "operators",
            Self::Tokens => "tokens",
            Self::Guests => "guests",
        }
    }

    fn is_operators(&self) -> bool {
        *self == Self::Operators
    }
}

/// What somebody did, or tried to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Act {
    /// Who: `owner`, `token ci (0123456789ab)`, `nobody` for whoever did not say.
    pub who: String,
    /// From where: a user of the machine, or an address.
    pub from: String,
    /// Through which entrance: `control`, `dashboard`, `lambda` or `node`.
    pub via: String,
    /// The operation, as the control API or the Lambda API names it.
    pub operation: String,
    /// What it was done to: an app, `app/function`, a topic, an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The space that was meant.
    pub space: SpaceName,
    /// `ok`, or the code of the fault.
    pub outcome: String,
    /// The chain that holds the line; absent: `operators`.
    #[serde(default, skip_serializing_if = "Book::is_operators")]
    pub book: Book,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub sequence: u64,
    /// When it happened, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub act: Act,
    /// The id of the request, which `hob why` knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How often it happened since the line about the first time; absent: this is about one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Where the log begins from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// The digest of the line before.
    pub previous: Digest,
}

/// Where a log begins, after its oldest lines were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Kept {
    /// The number of its first line.
    pub sequence: u64,
    /// The digest of the line before that.
    pub previous: Digest,
}

/// The end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Head {
    /// The number of the last line; 0 when there is none.
    pub sequence: u64,
    /// Its digest.
    pub digest: Digest,
}

impl Default for Head {
    fn default() -> Self {
        Self { sequence: 0, digest: Digest::of(b"") }
    }
}

impl Head {
    /// Reads `SEQUENCE:DIGEST`.
    ///
    /// # Errors
    /// A sentence that names the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no end of an audit log; write it as `hob audit verify` printed it");
        let (sequence, digest) = text.split_once(':').ok_or_else(wrong)?;
        let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
        Ok(Self {
            sequence: sequence.parse().map_err(|_| wrong())?,
            digest: Digest::parse(&format!("sha256:{digest}")).map_err(|_| wrong())?,
        })
    }
}

/// Ends of the chains of a log that somebody has noted; of one that is not named nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted(pub BTreeMap<Book, Head>);

impl Noted {
    /// Reads `SEQUENCE:DIGEST`, one for each chain in their order, with commas between them.
    ///
    /// # Errors
    /// A sentence that names the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').collect();
        if parts.len() > Book::ALL.len() {
            return Err(format!("`{text}` has more ends than an audit log has chains"));
        }
        let heads = Book::ALL.into_iter().zip(parts).map(|(book, part)| Ok((book, Head::parse(part)?)));
        heads.collect::<Result<_, String>>().map(Self)
    }
}

impl std::fmt::Display for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last =
            self.0.iter().rfind(|(_, head)| head.sequence > 0).map_or(Book::Operators, |(book, _)| *book);
        let shown = Book::ALL.into_iter().take_while(|book| *book <= last).map(|book| {
            let head = self.0.get(&book).copied().unwrap_or_default();
            format!("{}:{}", head.sequence, head.digest.hex())
        });
        f.write_str(&shown.collect::<Vec<_>>().join(","))
    }
}

/// Writes `act` behind `head`: the line without its end, and the new head.
pub fn write(
    head: Head,
    time_ms: u64,
    act: Act,
    (id, times): (Option<String>, Option<u64>),
    kept: Option<Kept>,
) -> (String, Head) {
    let sequence = head.sequence + 1;
    let entry = Entry { sequence, time_ms, act, id, times, kept, previous: head.digest };
    let json = serde_json::to_string(&entry).expect("an entry has text keys only");
    let digest = digest_of(head.digest, &json);
    (format!("{} {json}", digest.hex()), Head { sequence, digest })
}

/// Reads a line.
///
/// # Errors
/// A sentence that says what is wrong with it by itself.
pub fn read(line: &str) -> Result<(Entry, Digest), String> {
    let (digest, json) = line.split_once(' ').ok_or("it is no line of an audit log")?;
    let entry: Entry = serde_json::from_str(json).map_err(|error| format!("it cannot be read: {error}"))?;
    let own = digest_of(entry.previous, json);
    if own.hex() != digest {
        return Err("it does not have the digest that it names".to_owned());
    }
    Ok((entry, own))
}

fn digest_of(previous: Digest, json: &str) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(previous.bytes());
    hasher.update(json.as_bytes());
    hasher.finish()
}

/// Reads a log from its first line to its last, and says what is wrong with it.
#[derive(Debug, Default)]
pub struct Check {
    first: Option<Kept>,
    head: Head,
    lines: u64,
    /// The beginnings that lines have told.
    kept: Vec<Kept>,
    /// A line that has to be there as it was.
    expected: Option<Head>,
    found: bool,
    problems: Vec<String>,
}

/// What [`Check`] has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AuditReport {
    /// Whether nothing is wrong.
    pub whole: bool,
    /// How many lines there are.
    pub lines: u64,
    /// The number of the first one.
    pub first: u64,
    /// The end; noted elsewhere, it proves later that nothing up to it has changed.
    pub head: Head,
    /// The ends of the other chains.
    #[serde(default)]
    pub others: BTreeMap<Book, Head>,
    /// What is wrong, from the beginning; at most a handful.
    pub problems: Vec<String>,
}

/// Problems that are told; the first ones say where to look.
const TOLD_MAX: usize = 8;

impl Check {
    /// Begins; `expected` is an end that somebody has noted earlier.
    pub fn new(expected: Option<Head>) -> Self {
        Self { expected: expected.filter(|head| head.sequence > 0), ..Self::default() }
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &str) {
        self.lines += 1;
        let (entry, digest) = match read(line) {
            Ok(read) => read,
            Err(why) => {
                let (lines, after) = (self.lines, self.head.sequence);
                return self.problem(format!("line {lines}, after entry {after}: {why}"));
            }
        };
        let sequence = entry.sequence;
        if self.first.is_none() {
            self.first = Some(Kept { sequence, previous: entry.previous });
        } else if sequence != self.head.sequence + 1 {
            let after = self.head.sequence;
            self.problem(format!("entry {sequence} comes after entry {after}"));
        } else if entry.previous != self.head.digest {
            self.problem(format!("entry {sequence} does not follow the entry before it, which was changed"));
        }
        if entry.act.operation == BROKEN {
            let what = entry.act.on.as_deref().unwrap_or_default();
            self.problem(format!("entry {sequence}: the node found it broken when it started: {what}"));
        }
        self.kept.extend(entry.kept);
        self.head = Head { sequence, digest };
        if let Some(expected) = self.expected.filter(|expected| expected.sequence == sequence) {
            self.found = true;
            if expected.digest != digest {
                self.problem(format!("entry {sequence} is not the one that was noted"));
            }
        }
    }

    /// Ends; `head` is where the log must end, if that is known.
    pub fn end(mut self, head: Option<Head>) -> AuditReport {
        let genesis = Kept { sequence: 1, previous: Head::default().digest };
        let first = self.first.unwrap_or(genesis);
        if first != genesis && !self.kept.contains(&first) {
            self.problem(format!("the log begins with entry {}, and no entry says so", first.sequence));
        }
        if let Some(head) = head.filter(|head| *head != self.head) {
            let (found, last) = (self.head.sequence, head.sequence);
            self.problem(format!("the log ends with entry {found}, the node has written {last}"));
        }
        if let Some(expected) =
            self.expected.filter(|expected| !self.found && expected.sequence >= first.sequence)
        {
            self.problem(format!("entry {}, which was noted, is missing", expected.sequence));
        }
        AuditReport {
            whole: self.problems.is_empty(),
            lines: self.lines,
            first: first.sequence,
            head: self.head,
            others: BTreeMap::new(),
            problems: self.problems,
        }
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < TOLD_MAX {
            self.problems.push(what);
        }
    }
}

impl AuditReport {
    /// The same with what was found in another chain.
    #[must_use]
    pub fn with(mut self, book: Book, other: Self) -> Self {
        self.whole &= other.whole;
        self.lines += other.lines;
        self.others.insert(book, other.head);
        self.problems.extend(other.problems.iter().map(|what| format!("{}: {what}", book.word())));
        self
    }

    /// All ends, for somebody who notes them.
    pub fn ends(&self) -> Noted {
        let own = (Book::Operators, self.head);
        Noted(self.others.iter().map(|(book, head)| (*book, *head)).chain([own]).collect())
    }

    /// Whether the log is whole.
    ///
    /// # Errors
    /// `HOB-0727` with the first problem.
    pub fn judge(&self) -> Result<()> {
        let Some(first) = self.problems.first() else { return Ok(()) };
        Err(Fault::new(Code::AuditBroken, format!("the audit log is not whole: {first}"))
            .hint("compare it with a copy; who can write the node's data folder can change it"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, Book, Check, DONE, Head, Kept, Noted, TRIM, write};
    use crate::name::SpaceName;

    fn act(operation: &str) -> Act {
        Act {
            who: "owner".into(),
            from: "uid 1000".into(),
            via: "control".into(),
            operation: operation.into(),
            on: Some("desk".into()),
            space: SpaceName::default_space(),
            outcome: DONE.into(),
            book: Book::Operators,
        }
    }

    /// Five lines and the heads after each.
    fn log() -> (Vec<String>, Vec<Head>) {
        let (mut lines, mut heads, mut head) = (Vec::new(), Vec::new(), Head::default());
        for at in 0..5 {
            let (line, next) = write(head, at, act("apps.deploy"), (None, None), None);
            lines.push(line);
            heads.push(next);
            head = next;
        }
        (lines, heads)
    }

    fn check(lines: &[String], head: Head, expected: Option<Head>) -> Result<(), String> {
        let mut check = Check::new(expected);
        lines.iter().for_each(|line| check.line(line));
        check.end(Some(head)).judge().map_err(|fault| fault.message().to_owned())
    }

    #[test]
    fn a_changed_or_removed_line_is_found_wherever_it_is() {
        let (lines, heads) = log();
        let head = heads[4];
        assert_eq!(check(&lines, head, Some(heads[2])), Ok(()));
        for at in 0..5 {
            let mut removed = lines.clone();
            removed.remove(at);
            assert!(check(&removed, head, None).is_err(), "line {at} removed");
            let mut changed = lines.clone();
            changed[at] = changed[at].replace("desk", "disk");
            assert!(check(&changed, head, None).is_err(), "line {at} changed");
            // With a digest of its own that is right.
            let before = if at == 0 { Head::default() } else { heads[at - 1] };
            changed[at] = write(before, 9, act("apps.remove"), (None, None), None).0;
            assert!(check(&changed, head, None).is_err(), "line {at} made anew");
            let mut put = lines.clone();
            put.insert(at, write(before, 9, act("x"), (None, None), None).0);
            assert!(check(&put, head, None).is_err(), "a line put in before {at}");
            for byte in (0..lines[at].len()).step_by(7) {
                let mut bytes = lines[at].clone().into_bytes();
                bytes[byte] ^= 1;
                let mut flipped = lines.clone();
                flipped[at] = String::from_utf8_lossy(&bytes).into_owned();
                assert!(check(&flipped, head, None).is_err(), "line {at}, byte {byte}");
            }
        }
        let (mut swapped, mut forged) = (lines.clone(), Head::default());
        swapped.swap(1, 2);
        assert!(check(&swapped, head, None).is_err());
        // A whole chain made anew is found by an end that was noted elsewhere.
        let anew: Vec<String> = (0..5)
            .map(|at| {
                let (line, next) = write(forged, at, act("apps.get"), (None, None), None);
                forged = next;
                line
            })
            .collect();
        assert!(check(&anew, forged, None).is_ok() && check(&anew, forged, Some(heads[2])).is_err());
        let noted = Head::parse(&format!("3:{}", heads[2].digest.hex())).unwrap();
        assert_eq!(noted, heads[2]);
        assert!(Head::parse("3").is_err() && Head::parse("x:y").is_err());
        let check = || Check::new(None).end(None);
        let report = check().with(Book::Tokens, check());
        assert_eq!(Noted::parse(&report.ends().to_string()).unwrap().0.len(), 1, "empty ones are left out");
        let mut guest = check();
        guest.head = heads[1];
        guest.problems.push("it is torn".into());
        let report = report.with(Book::Guests, guest);
        let noted = Noted::parse(&report.ends().to_string()).unwrap();
        assert_eq!((noted.0[&Book::Tokens], noted.0[&Book::Guests]), (Head::default(), heads[1]));
        assert_eq!(report.problems, ["guests: it is torn"]);
        assert!(Noted::parse("1:x").is_err() && Noted::parse(&format!("{noted},{noted}")).is_err());
    }

    #[test]
    fn a_log_may_begin_later_where_a_line_says_so() {
        let (mut lines, heads) = log();
        let kept = Kept { sequence: 3, previous: heads[1].digest };
        let (line, head) = write(heads[4], 5, act(TRIM), (None, None), Some(kept));
        lines.push(line);
        for (from, whole) in [(0, true), (1, false), (2, true), (3, false)] {
            assert_eq!(check(&lines[from..], head, None).is_ok(), whole, "from {from}");
        }
    }
}
