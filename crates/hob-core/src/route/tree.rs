//! The tree of path segments behind [`super::Table`].
//!
//! **Why.** A tree finds the most exact route without trying the others. Going back when a branch
//! leads nowhere (`/a/{x}/c` beside `/a/b/d`) visits each node at most once, since a node belongs to
//! one position of the path.

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::name::{FunctionName, TopicName};

/// One place in the tree: everything behind the same segments.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Next segments with a fixed text, sorted by it.
    texts: Vec<(Box<str>, Node)>,
    /// The next segment, whatever it is.
    any: Option<Box<Node>>,
    /// Routes that end here.
    ends: Vec<Leaf>,
    /// Routes that take any rest from here on.
    rests: Vec<Leaf>,
}

/// What a route leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// This function answers.
    Function(FunctionName),
    /// It brings events for this topic.
    Events(TopicName),
}

impl Target {
    fn name(&self) -> String {
        match self {
            Self::Function(name) => format!("function `{name}`"),
            Self::Events(topic) => format!("topic `{topic}`"),
        }
    }
}

/// One route at its place. Those that name methods stand before those that do not.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Empty: any.
    pub(super) methods: Vec<Box<str>>,
    pub(super) target: Target,
    pub(super) path: Box<str>,
    pub(super) written: Box<str>,
}

impl Node {
    /// Puts a route in its place.
    pub(super) fn insert(&mut self, path: &str, leaf: Leaf) -> Result<()> {
        let mut node = self;
        for segment in path[1..].split('/') {
            if segment == "*" {
                return add(&mut node.rests, leaf);
            }
            node = if segment.starts_with('{') {
                node.any.get_or_insert_default()
            } else {
                node.text_entry(segment)
            };
        }
        add(&mut node.ends, leaf)
    }

    fn text_entry(&mut self, segment: &str) -> &mut Node {
        let at = match self.texts.binary_search_by(|(text, _)| (**text).cmp(segment)) {
            Ok(at) => at,
            Err(at) => {
                self.texts.insert(at, (segment.into(), Node::default()));
                at
            }
        };
        &mut self.texts[at].1
    }

    /// The route that answers, or `None`.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<&Leaf> {
        self.walk(path.strip_prefix('/'), &mut |leaves| take(leaves, method))
            .filter(|_| path.starts_with('/'))
    }

    /// Adds every method that some route takes at this path.
    pub(super) fn methods<'a>(&'a self, path: &str, into: &mut Vec<&'a str>) {
        let Some(rest) = path.strip_prefix('/') else { return };
        self.walk(Some(rest), &mut |leaves: &'a [Leaf]| {
            for method in leaves.iter().flat_map(|leaf| &leaf.methods) {
                into.push(method);
                if **method == *"GET" {
                    into.push("HEAD");
                }
            }
            None
        });
    }

    /// Offers the routes of every matching place to `pick`, the most exact first, until it takes one.
    /// `rest` is what follows the last slash that was passed; `None` at the path's end.
    fn walk<'a>(
        &'a self,
        rest: Option<&str>,
        pick: &mut impl FnMut(&'a [Leaf]) -> Option<&'a Leaf>,
    ) -> Option<&'a Leaf> {
        let Some(rest) = rest else {
            return pick(&self.ends).or_else(|| pick(&self.rests));
        };
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        let text = self.texts.binary_search_by(|(text, _)| (**text).cmp(segment)).ok();
        text.and_then(|at| self.texts[at].1.walk(after, pick))
            .or_else(|| self.any.as_ref().filter(|_| !segment.is_empty())?.walk(after, pick))
            .or_else(|| pick(&self.rests))
    }

    /// Shows every route.
    pub(super) fn leaves<'a>(&'a self, see: &mut impl FnMut(&'a Leaf)) {
        self.ends.iter().chain(&self.rests).for_each(&mut *see);
        for (_, node) in &self.texts {
            node.leaves(see);
        }
        if let Some(node) = &self.any {
            node.leaves(see);
        }
    }
}

/// The first route that takes the method; `GET` serves `HEAD` when nothing names it.
fn take<'a>(leaves: &'a [Leaf], method: &str) -> Option<&'a Leaf> {
    let named = |wanted: &str| leaves.iter().find(|leaf| leaf.methods.iter().any(|m| **m == *wanted));
    named(method)
        .or_else(|| if method == "HEAD" { named("GET") } else { None })
        .or_else(|| leaves.iter().find(|leaf| leaf.methods.is_empty()))
}

/// Adds a route to those at the same place, unless another function has the same method there.
fn add(leaves: &mut Vec<Leaf>, leaf: Leaf) -> Result<()> {
    let overlaps = |other: &&Leaf| {
        other.target != leaf.target
            && ((leaf.methods.is_empty() && other.methods.is_empty())
                || leaf.methods.iter().any(|method| other.methods.contains(method)))
    };
    if let Some(other) = leaves.iter().find(overlaps) {
        return Err(conflict(other, &leaf));
    }
    leaves.push(leaf);
    Ok(())
}

fn conflict(first: &Leaf, second: &Leaf) -> Fault {
    let routes = if first.written == second.written {
        format!("`{}`", second.written)
    } else {
        format!("`{}` and `{}`, which are the same,", first.written, second.written)
    };
    let (who, other) = match (&first.target, &second.target) {
        (Target::Function(first), Target::Function(second)) => {
            (format!("functions `{first}` and `{second}`"), format!("`{second}`"))
        }
        (first, second) => (format!("{} and {}", first.name(), second.name()), second.name()),
    };
    let message = format!("{who} both claim {routes}");
    Fault::new(Code::RouteConflict, message.trim_end_matches(','))
        .hint(format!("change or remove the route of {other}, or give each its own methods"))
}
