//! Why something did or did not happen: facts and what is known now, made into a story.
//!
//! **Why.** Whoever asks wants the cause first, then what mends it, then the evidence. To find the cause among
//! the facts is a decision, so it is made here, where it can be told in tables.
//!
//! **How.** For each kind of question there is an evidence, which the node gathers, and a function that makes a
//! [`Story`] of it: [`call`] for requests and calls, [`asynchronous`] for calls that are made later, [`event`] for events and
//! their subscriptions, [`trigger`] for schedules and subscriptions, [`change`] for apps and their revisions,
//! [`route`], [`topic`] and
//! [`question`] for what somebody expected. [`cause`] finds out whom to blame for one
//! call, with [`circuit`] where it was not let in. [`tree`] puts what caused what below each other.
//!
//! **Not here:** finding facts, and how a story looks (the command line and the dashboard).

pub mod asynchronous;
pub mod call;
pub mod cause;
pub mod change;
pub mod circuit;
pub mod event;
mod own;
mod pattern;
pub mod question;
pub mod route;
#[cfg(test)]
mod sample;
pub mod text;
mod time;
pub mod topic;
pub mod tree;
pub mod trigger;

pub use pattern::named_in;

use crate::code::Owner;
use crate::wire::{Story, Verdict};

/// The cause of something, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// How it went.
    pub verdict: Verdict,
    /// What it was, in one sentence without a period.
    pub reason: String,
    /// What mends it, likewise.
    pub fix: Option<String>,
    /// Who has to act.
    pub owner: Option<Owner>,
    /// The stable code of the failure.
    pub code: Option<String>,
    /// Where it began, when it was somewhere else: in a function that was called.
    pub root: Option<Root>,
}

/// The beginning of a failure that went through several calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The function in which it began.
    pub function: String,
    /// What it was, as a sentence of its own.
    pub reason: String,
}

impl Cause {
    /// A cause with nobody to blame.
    pub fn new(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, reason: reason.into(), fix: None, owner: None, code: None, root: None }
    }

    /// With something said before the reason.
    #[must_use]
    pub fn after(self, before: &str) -> Self {
        Self { reason: format!("{before}{}", self.reason), ..self }
    }

    /// With something said behind the reason.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        self.reason.push_str(more);
        self
    }

    /// With what mends it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// With who has to act.
    #[must_use]
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// With a stable code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The story that begins with it.
    pub fn story(self, subject: impl Into<String>) -> Story {
        Story {
            subject: subject.into(),
            verdict: self.verdict,
            reason: self.reason,
            fix: self.fix,
            owner: self.owner,
            code: self.code,
            path: Vec::new(),
            next: Vec::new(),
            trace: None,
        }
    }
}
