//! Why something did or did not happen: facts and what is known now, made into a story.
//!
//! **Why.** Whoever asks wants the cause first, then what mends it, then the evidence. To find the cause among
//! the facts is a decision, so it is made here, where it can be told in tables.
//!
//! **How.** For each kind of question there is an evidence, which the node gathers, and a function that makes a
//! [`Story`] of it: [`call`] for requests and calls, [`event`] for events and their subscriptions, [`trigger`] for
//! schedules and subscriptions, [`question`] for what somebody expected (a route, a topic, a function). [`tree`] puts what
//! caused what below each other.
//!
//! **Not here:** finding facts, and how a story looks (the command line and the dashboard).

pub mod call;
pub mod cause;
pub mod event;
mod pattern;
pub mod question;
pub mod text;
pub mod tree;
pub mod trigger;

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
}

impl Cause {
    /// A cause with nobody to blame.
    pub fn new(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, reason: reason.into(), fix: None, owner: None, code: None }
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
