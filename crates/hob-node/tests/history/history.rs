//! What clients did and what came of it: the value that the checks judge.
//!
//! **Why.** The checks must not trust the node. Whatever is here was seen from outside: answers to clients,
//! lines that the sink wrote before it answered, and what the control API shows in the end.

use std::collections::BTreeMap;

/// Failures after which the app of these tests gives an event up.
pub(crate) const ATTEMPTS: u32 = 3;

/// What a client knows of an event that it published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was acknowledged with this sequence.
    Ok { sequence: u64, duplicate: bool },
    /// It was refused by an answer that promises that it is not there.
    Fail,
    /// Time-outs, broken connections, and answers that promise nothing.
    Unknown,
}

/// How the sink handles an event: its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    /// Its first attempt fails.
    Once,
    /// Each attempt fails.
    Poison,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Once => "once",
            Self::Poison => "poison",
        }
    }

    /// Attempts that it takes when nothing else goes wrong.
    pub(crate) fn attempts(self) -> u32 {
        match self {
            Self::Good => 1,
            Self::Once => 2,
            Self::Poison => ATTEMPTS,
        }
    }
}

/// One publication of one event. An event may be published several times.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    /// The client's counter: events of a key are published in the order of this.
    pub(crate) n: u64,
    pub(crate) key: String,
    pub(crate) checksum: String,
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
}

/// A line of the sink: a delivery as the function saw it, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) attempt: u32,
    pub(crate) subscription: String,
    pub(crate) sequence: u64,
    pub(crate) key: String,
    pub(crate) checksum: String,
    pub(crate) wall_ms: u64,
    /// What it answered.
    pub(crate) status: u16,
}

/// An event as the topic has it in the end.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) id: String,
    pub(crate) checksum: String,
}

/// A dead letter.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) subscription: String,
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
}

/// A subscription, and what it has counted.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) name: String,
    /// It gets events whose id begins so.
    pub(crate) prefix: &'static str,
    /// Keys are in order.
    pub(crate) ordered: bool,
    pub(crate) lag: u64,
    pub(crate) delivered: u64,
    pub(crate) dead: u64,
    pub(crate) skipped: u64,
    pub(crate) missing: u64,
}

/// An asynchronous call that was answered with 202.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    /// Of what was sent, and what the function has to answer with.
    pub(crate) checksum: String,
    /// State and answer, each time they were looked at after the end.
    pub(crate) results: Vec<(String, String)>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) sent: Vec<Sent>,
    pub(crate) lines: Vec<Line>,
    pub(crate) topic: Vec<Stored>,
    /// The topic's next sequence.
    pub(crate) next: u64,
    pub(crate) letters: Vec<Letter>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) calls: Vec<Call>,
    /// Calls whose acceptance is unknown.
    pub(crate) calls_unknown: u64,
    /// Kills, and other faults of the node: each may repeat what ran then.
    pub(crate) disturbances: u32,
    /// How far the node's clock was ahead of the sink's at most.
    pub(crate) ahead_ms: u64,
}

/// What is known of an event over all its publications.
#[derive(Clone, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) sent: &'a Sent,
    /// Acknowledged sequences.
    pub(crate) acked: Vec<u64>,
    pub(crate) unknown: bool,
}

impl History {
    /// Published events by id.
    pub(crate) fn known(&self) -> BTreeMap<&str, Known<'_>> {
        let mut known: BTreeMap<&str, Known<'_>> = BTreeMap::new();
        for sent in &self.sent {
            let one =
                known.entry(&sent.id).or_insert_with(|| Known { sent, acked: Vec::new(), unknown: false });
            match sent.outcome {
                Outcome::Ok { sequence, .. } => one.acked.push(sequence),
                Outcome::Unknown => one.unknown = true,
                Outcome::Fail => {}
            }
        }
        known
    }

    /// Lines of deliveries of this subscription.
    pub(crate) fn lines_of<'a>(&'a self, subscription: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.subscription == subscription)
    }
}
