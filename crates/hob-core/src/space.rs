//! Spaces: what a tenant of a node may have, and which hosts are whose.
//!
//! **Why.** Strangers share a machine only where each of them has an end. What a space may have is one table of
//! numbers ([`RESOURCES`]), so that what is stored, shown, set and refused is the same.
//!
//! **How.** [`Quotas`] holds the numbers that an operator has set; the rest is the default. [`Quotas::admit`] decides
//! about amounts, [`pace`] about a rate. [`of_host`] and [`overlap`] say whose a host is.
//!
//! **Not here:** what a space has now (`hob-node`), and how its memory is shared out ([`crate::share::room`]).

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{
    SPACE_APPS_DEFAULT, SPACE_CALLS_DEFAULT, SPACE_FUNCTIONS_DEFAULT, SPACE_MEMORY_BYTES_DEFAULT,
    SPACE_REQUESTS_PER_SECOND_DEFAULT, SPACE_STORAGE_BYTES_DEFAULT, SPACE_TOPICS_DEFAULT,
};
use crate::name::SpaceName;
use crate::unit::{parse_bytes, show_bytes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The space of whoever names none.
pub const DEFAULT: &str = "default";

/// The word for what has no limit.
pub const UNLIMITED: &str = "unlimited";

impl SpaceName {
    /// `default`.
    pub fn default_space() -> Self {
        Self::new(DEFAULT).expect("it is a name")
    }

    /// Whether it is `default`: the space of a node that has no other, and of whoever names none.
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT
    }
}

/// What a space may have only so much of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Apps.
    Apps,
    /// Functions of all current revisions.
    Functions,
    /// Memory of all instances, bytes.
    Memory,
    /// Artifacts, layers, topics and facts, bytes.
    Storage,
    /// Topics.
    Topics,
    /// Requests, events and calls of functions in a second.
    Requests,
    /// Calls of functions that run at a time.
    Calls,
}

/// One line of [`RESOURCES`].
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub resource: Resource,
    /// The word in `hob space set --WORD` and in JSON.
    pub word: &'static str,
    /// What it counts, for people.
    pub counts: &'static str,
    /// The quota of a space that is given none.
    pub default: u64,
    /// Whether it is bytes.
    pub bytes: bool,
    /// The code of what is refused.
    pub code: Code,
}

/// Every resource, in the order in which it is shown.
pub static RESOURCES: &[Row] = &[
    row(Resource::Apps, "apps", "apps", SPACE_APPS_DEFAULT),
    row(Resource::Functions, "functions", "functions", SPACE_FUNCTIONS_DEFAULT),
    Row { bytes: true, ..row(Resource::Memory, "memory", "of memory", SPACE_MEMORY_BYTES_DEFAULT) },
    Row { bytes: true, ..row(Resource::Storage, "storage", "of storage", SPACE_STORAGE_BYTES_DEFAULT) },
    row(Resource::Topics, "topics", "topics", SPACE_TOPICS_DEFAULT),
    Row {
        code: Code::SpaceRate,
        ..row(Resource::Requests, "requests", "requests in a second", SPACE_REQUESTS_PER_SECOND_DEFAULT)
    },
    Row { code: Code::SpaceCalls, ..row(Resource::Calls, "calls", "calls at a time", SPACE_CALLS_DEFAULT) },
];

const fn row(resource: Resource, word: &'static str, counts: &'static str, default: u64) -> Row {
    Row { resource, word, counts, default, bytes: false, code: Code::SpaceQuota }
}

impl Resource {
    /// Its line.
    pub fn row(self) -> &'static Row {
        RESOURCES
            .iter()
            .find(|row| row.resource == self)
            .expect("a test holds every resource against the table")
    }

    /// An amount of it, for people.
    pub fn show(self, amount: u64) -> String {
        if self.row().bytes { show_bytes(amount) } else { amount.to_string() }
    }

    /// Reads an amount of it, or `unlimited` as `None`.
    ///
    /// # Errors
    /// `HOB-0111` when it is neither.
    pub fn parse(self, text: &str) -> Result<Option<u64>> {
        if text == UNLIMITED {
            return Ok(None);
        }
        let number = if self.row().bytes { parse_bytes(text).ok() } else { text.parse().ok() };
        let word = self.row().word;
        number.map(Some).ok_or_else(|| {
            let such = if self.row().bytes { "`512MiB`" } else { "`100`" };
            Fault::new(Code::Usage, format!("`{text}` is no quota for `{word}`"))
                .hint(format!("write a number such as {such}, or `{UNLIMITED}`"))
        })
    }
}

/// What a space may have: `null` is without limit. What is not named is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Quotas(pub BTreeMap<Resource, Option<u64>>);

impl Quotas {
    /// Without any limit.
    pub fn unlimited() -> Self {
        Self(RESOURCES.iter().map(|row| (row.resource, None)).collect())
    }

    /// What a space of this name has that nobody has given a quota: `default` is the operator's own.
    pub fn of_new(space: &SpaceName) -> Self {
        if space.is_default() { Self::unlimited() } else { Self::default() }
    }

    /// How much of a resource there may be; `None`: any.
    pub fn limit(&self, resource: Resource) -> Option<u64> {
        self.0.get(&resource).copied().unwrap_or_else(|| Some(resource.row().default))
    }

    /// The quotas with what `change` names in place of what was.
    pub fn with(mut self, change: &Self) -> Self {
        self.0.extend(change.0.iter().map(|(resource, limit)| (*resource, *limit)));
        self
    }

    /// Checks that a space which has so much may have so much more.
    ///
    /// # Errors
    /// `HOB-0712`, `HOB-0713` or `HOB-0714`, with what is there, the quota, and who can raise it.
    pub fn admit(&self, space: &SpaceName, resource: Resource, have: u64, more: u64) -> Result<()> {
        match self.limit(resource) {
            Some(limit) if have.saturating_add(more) > limit => {
                Err(refused(space, resource, (have, more), limit))
            }
            _ => Ok(()),
        }
    }
}

/// Why a space gets no more of something.
pub fn refused(space: &SpaceName, resource: Resource, (have, more): (u64, u64), limit: u64) -> Fault {
    let Row { word, counts, code, .. } = resource.row();
    let (shown_have, shown_more) = (resource.show(have), resource.show(more));
    let wanted = if have == 0 {
        format!("space `{space}` asks for {shown_more} {counts}")
    } else {
        format!("space `{space}` has {shown_have} {counts} and asks for {shown_more} more")
    };
    let raise = resource.show(have.saturating_add(more).max(limit.saturating_mul(2))).replace(' ', "");
    let fault = Fault::new(*code, format!("{wanted}, its quota is {}", resource.show(limit)))
        .hint(format!("use less, or ask the node's operator for `hob space set {space} --{word} {raise}`"));
    if fault.status() == 429 { fault.retry_after(1) } else { fault }
}

/// Nanoseconds in which a rate may be used up at once.
const BURST_NS: u64 = 1_000_000_000;

/// Lets `count` more through at so many per second, up to a second's worth at once (the generic cell rate algorithm,
/// ITU-T I.371). `until_ns` is what the last one has returned, 0 at first; times are of one clock.
///
/// # Errors
/// How long to wait, nanoseconds.
pub fn pace(per_second: u64, until_ns: u64, now_ns: u64, count: u64) -> Result<u64, u64> {
    if per_second == 0 {
        return Err(BURST_NS);
    }
    let each_ns = (BURST_NS / per_second).max(1);
    let until_ns = until_ns.max(now_ns);
    let ahead_ns = until_ns - now_ns;
    if ahead_ns.saturating_add(each_ns) > BURST_NS.max(each_ns) {
        return Err((ahead_ns.saturating_add(each_ns)).saturating_sub(BURST_NS).max(1));
    }
    Ok(until_ns.saturating_add(each_ns.saturating_mul(count)))
}

/// The space in which a host below `domain` is, by its name alone: `team` for `desk.team.example.com`. Not every name
/// is that of a space.
pub fn of_host<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    let below = host.strip_suffix(domain)?.strip_suffix('.')?;
    below.rsplit_once('.').map(|(_, space)| space)
}

/// Whether a host could belong to both patterns: one host, or `*.<parent>`.
pub fn overlap(one: &str, other: &str) -> bool {
    let covers = |wild: &str, host: &str| {
        wild.strip_prefix('*').is_some_and(|suffix| host.strip_prefix('*').unwrap_or(host).ends_with(suffix))
    };
    one == other || covers(one, other) || covers(other, one)
}

/// Checks that a space may claim a host: nobody claims one below the node's own domain but the space that is there. What is
/// below that of one of the `others` is not `default`'s.
///
/// # Errors
/// `HOB-0716`.
pub fn check_claim<'a>(
    space: &SpaceName,
    pattern: &str,
    domain: &str,
    mut others: impl Iterator<Item = &'a SpaceName>,
) -> Result<()> {
    let bare = pattern.strip_prefix("*.").unwrap_or(pattern);
    let own = if space.is_default() { domain.to_owned() } else { format!("{space}.{domain}") };
    let below =
        |host: &str, of: &str| host == of || host.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
    let is_theirs = |other: &SpaceName| !other.is_default() && below(bare, &format!("{other}.{domain}"));
    let is_own = below(bare, &own) && !(space.is_default() && others.any(is_theirs));
    if below(bare, domain) && !is_own { Err(taken(pattern)) } else { Ok(()) }
}

/// That a host is somebody else's; whose is not said.
pub fn taken(pattern: &str) -> Fault {
    Fault::new(Code::HostTaken, format!("host `{pattern}` is not free"))
        .hint("take it out of the app's routes, or ask the node's operator")
}

#[cfg(test)]
mod tests;
