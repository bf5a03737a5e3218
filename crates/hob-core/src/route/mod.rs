//! Which function answers a request: method, host and path against patterns.
//!
//! **Why.** This is asked for every request, so a hit allocates nothing and costs one step per path
//! segment, however many routes there are.
//!
//! **How.** [`Pattern`] understands one route; [`Table`] holds the routes of a revision as one tree
//! of segments per host. The more exact route wins, whatever the order in which they were written:
//! a named host before `*.example.com` before no host; then, segment by segment from the left, text
//! before `{name}` before `*`; then a route that names the method before one for any method.
//!
//! **Invariants.**
//! 1. Two functions never answer the same method at the same place ([`Table::insert`] refuses it).
//! 2. A less exact route still answers what a more exact one does not take: with `GET /a` and `/*`,
//!    `POST /a` goes to `/*`. "Method not allowed" means that no route takes the method.
//!
//! **Not here:** custom hosts of several apps in one node (`hob-node`), and making a path's text
//! unambiguous (the gateway's parser). Paths are compared as they were sent, percent-encoded.

mod address;
mod pattern;
mod tree;

pub use address::{Address, address};
pub use pattern::Pattern;

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::ROUTES_PER_APP_MAX;
use crate::name::{FunctionName, TopicName};
use crate::spec::RouteSpec;
use crate::trigger::EventRouteSpec;
use std::collections::BTreeMap;
use tree::{Leaf, Node, Target};

/// Edits between a request's path and a route that is still worth a hint.
const NEAREST_EDITS_MAX: usize = 3;

/// The routes of one revision, ready for look-ups.
#[derive(Debug, Default)]
pub struct Table {
    /// Routes without a host.
    anywhere: Node,
    /// Routes for exactly this host.
    hosts: BTreeMap<Box<str>, Node>,
    /// Routes for every host that ends so (`.example.com`), the longest first.
    suffixes: Vec<(Box<str>, Node)>,
    /// Hosts as they were written, with `*.` where they have it.
    written_hosts: Vec<String>,
    count: usize,
}

impl Table {
    /// Checks and arranges routes of functions, and those that bring events.
    ///
    /// # Errors
    /// `HOB-0105` for a route that cannot be understood, `HOB-0106` when two functions claim the
    /// same, `HOB-0109` when there are too many.
    pub fn new(routes: &[RouteSpec], events: &[EventRouteSpec]) -> Result<Self> {
        let mut table = Self::default();
        routes.iter().try_for_each(|route| table.insert(route))?;
        events.iter().try_for_each(|route| table.insert_events(route))?;
        Ok(table)
    }

    /// Adds the route of a function.
    ///
    /// # Errors
    /// As [`Table::new`]; the table should be thrown away then.
    pub fn insert(&mut self, route: &RouteSpec) -> Result<()> {
        let pattern = Pattern::parse(&route.route)?;
        self.add(pattern, &route.route, Target::Function(route.function.clone()))
    }

    /// Adds a route that brings events: for `POST` unless it names methods, and for the `OPTIONS` of
    /// a web hook's handshake.
    ///
    /// # Errors
    /// As [`Table::new`]; the table should be thrown away then.
    pub fn insert_events(&mut self, route: &EventRouteSpec) -> Result<()> {
        let mut pattern = Pattern::parse(&route.route)?;
        if pattern.methods.is_empty() {
            pattern.methods.push("POST".to_owned());
        }
        if !pattern.methods.iter().any(|method| method == "OPTIONS") {
            pattern.methods.push("OPTIONS".to_owned());
        }
        self.add(pattern, &route.route, Target::Events(route.topic.clone()))
    }

    fn add(&mut self, pattern: Pattern, written: &str, target: Target) -> Result<()> {
        self.count += 1;
        if self.count > ROUTES_PER_APP_MAX {
            return Err(Fault::new(
                Code::SettingOverLimit,
                format!("the app has more than {ROUTES_PER_APP_MAX} routes"),
            )
            .hint("join routes with `{name}` or `*`"));
        }
        let leaf = Leaf {
            methods: pattern.methods.iter().map(|method| method.as_str().into()).collect(),
            target,
            path: pattern.path.as_str().into(),
            written: written.into(),
        };
        self.tree(pattern.host.as_deref()).insert(&pattern.path, leaf)
    }

    fn tree(&mut self, host: Option<&str>) -> &mut Node {
        let Some(host) = host else { return &mut self.anywhere };
        if !self.written_hosts.iter().any(|written| written == host) {
            self.written_hosts.push(host.to_owned());
        }
        let Some(suffix) = host.strip_prefix('*') else {
            return self.hosts.entry(host.into()).or_default();
        };
        let at = match self.suffixes.iter().position(|(known, _)| **known == *suffix) {
            Some(at) => at,
            None => {
                let at = self.suffixes.partition_point(|(known, _)| known.len() >= suffix.len());
                self.suffixes.insert(at, (suffix.into(), Node::default()));
                at
            }
        };
        &mut self.suffixes[at].1
    }

    /// Finds who answers. `host` is lower case without a port; `custom_host` says that it is not one
    /// of the app's own addresses, so that only routes which name it can match.
    ///
    /// A route for `GET` answers `HEAD` too, unless another names `HEAD` (RFC 9110, 9.3.2).
    pub fn find(&self, method: &str, host: &str, custom_host: bool, path: &str) -> Match<'_> {
        let hit = self.trees(host, custom_host).find_map(|tree| tree.find(method, path));
        if let Some(leaf) = hit {
            return match &leaf.target {
                Target::Function(function) => Match::Function { function, path: &leaf.path },
                Target::Events(topic) => Match::Events { topic, written: &leaf.written },
            };
        }
        let mut allowed: Vec<&str> = Vec::new();
        self.trees(host, custom_host).for_each(|tree| tree.methods(path, &mut allowed));
        if !allowed.is_empty() {
            allowed.sort_unstable();
            allowed.dedup();
            return Match::Method { allowed };
        }
        let nearest = path.starts_with('/').then(|| self.nearest(host, custom_host, path)).flatten();
        Match::Nothing { nearest }
    }

    /// The trees that may answer for a host, the most exact first.
    fn trees(&self, host: &str, custom_host: bool) -> impl Iterator<Item = &Node> {
        let suffixes = self
            .suffixes
            .iter()
            .filter(move |(suffix, _)| host.len() > suffix.len() && host.ends_with(&**suffix))
            .map(|(_, tree)| tree);
        self.hosts.get(host).into_iter().chain(suffixes).chain((!custom_host).then_some(&self.anywhere))
    }

    fn nearest(&self, host: &str, custom_host: bool, path: &str) -> Option<String> {
        let mut best: Option<(usize, &str)> = None;
        let bound = (path.len() / 3).clamp(1, NEAREST_EDITS_MAX);
        for tree in self.trees(host, custom_host) {
            tree.leaves(&mut |leaf| {
                let edits = pattern::distance(&leaf.path, path, bound);
                if let Some(edits) = edits.filter(|edits| best.is_none_or(|(least, _)| *edits < least)) {
                    best = Some((edits, &leaf.written));
                }
            });
        }
        best.map(|(_, written)| written.to_owned())
    }

    /// Every host that the routes name, once each, for the node's look-up of custom hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.written_hosts.iter().map(String::as_str)
    }
}

/// The outcome of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// This function answers; `path` is the pattern's path.
    Function { function: &'a FunctionName, path: &'a str },
    /// It brings events for this topic; `written` is the route as the manifest has it.
    Events { topic: &'a TopicName, written: &'a str },
    /// The path exists for these methods only (sorted, for the `Allow` header).
    Method { allowed: Vec<&'a str> },
    /// Nothing matches; the nearest route, for the error's hint.
    Nothing { nearest: Option<String> },
}

#[cfg(test)]
mod tests;
