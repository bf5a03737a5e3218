//! The checks: what a history must not show.
//!
//! **How.** Each check is a function over the history that names every violation; `tests` has a small
//! history for each, made by hand, that only this one may refuse.

#[cfg(test)]
mod tests;

use crate::history::{ATTEMPTS, Call, History, Kind, Line, Outcome};
use crate::sink::{CALLS, TICK};
use hob_core::subscription::CRASHES_MAX;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A check by name.
type Check = (&'static str, fn(&History) -> Vec<String>);

/// Every check.
pub(crate) const CHECKS: &[Check] = &[
    ("lost", lost),
    ("phantom", phantom),
    ("changed", changed),
    ("repeated", repeated),
    ("order", order),
    ("duplicates", duplicates),
    ("counts", counts),
    ("poison", poison),
    ("schedule", schedule),
    ("calls", calls),
];

/// Violations of one check that are shown.
const SHOWN: usize = 5;

/// What is wrong with a history, by check; empty when all is well.
pub(crate) fn violations(history: &History) -> BTreeMap<&'static str, Vec<String>> {
    let found = CHECKS.iter().map(|(name, check)| (*name, check(history)));
    found.filter(|(_, violations)| !violations.is_empty()).collect()
}

/// Violations as text, the first few of each check.
pub(crate) fn show(violations: &BTreeMap<&'static str, Vec<String>>) -> String {
    let one = |(name, all): (&&str, &Vec<String>)| {
        let first: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
        format!("{name}: {} times\n    {}", all.len(), first.join("\n    "))
    };
    violations.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Subscription and id of what ended: delivered with success, or a dead letter.
fn ended(history: &History) -> BTreeSet<(&str, &str)> {
    let delivered = history.lines.iter().filter(|line| line.status == 200);
    let delivered = delivered.map(|line| (line.subscription.as_str(), line.id.as_str()));
    let dead = history.letters.iter().map(|letter| (letter.subscription.as_str(), letter.id.as_str()));
    delivered.chain(dead).collect()
}

/// 1. What was acknowledged, and what the topic has, ended for each subscription that wants it.
pub(crate) fn lost(history: &History) -> Vec<String> {
    let ended = ended(history);
    let acked = history.sent.iter().filter(|sent| matches!(sent.outcome, Outcome::Ok { .. }));
    let acked = acked.map(|sent| (sent.id.as_str(), "acknowledged"));
    let stored = history.topic.iter().map(|stored| (stored.id.as_str(), "stored"));
    let all: BTreeMap<&str, &str> = stored.chain(acked).collect();
    let mut lost = Vec::new();
    for (id, how) in all {
        for subscription in history.subscriptions.iter().filter(|one| id.starts_with(one.prefix)) {
            if !ended.contains(&(subscription.name.as_str(), id)) {
                lost.push(format!("{id} was {how}, and did not reach {}", subscription.name));
            }
        }
    }
    lost
}

/// 2. Nothing is delivered or stored that was not sent, or whose refusal promised that it is not there.
pub(crate) fn phantom(history: &History) -> Vec<String> {
    let known = history.known();
    let possible = |id: &str| known.get(id).is_some_and(|known| known.unknown || !known.acked.is_empty());
    let events = history.lines.iter().filter(|line| line.subscription != CALLS && line.subscription != TICK);
    let unwanted = history.subscriptions.iter().flat_map(|subscription| {
        let lines = history.lines_of(&subscription.name);
        lines.filter(|line| !line.id.starts_with(subscription.prefix)).map(|line| &line.id)
    });
    let seen = events.map(|line| &line.id).filter(|id| !possible(id)).chain(unwanted);
    let delivered = seen.map(|id| format!("{id} was delivered"));
    let stored = history.topic.iter().filter(|stored| !possible(&stored.id));
    delivered.chain(stored.map(|stored| format!("{} is stored", stored.id))).collect()
}

/// 3. What arrives is what was sent.
pub(crate) fn changed(history: &History) -> Vec<String> {
    let known = history.known();
    let differs = |id: &str, checksum: &str, key: Option<&str>| {
        known.get(id).is_some_and(|known| {
            known.sent.checksum != checksum || key.is_some_and(|key| key != known.sent.key)
        })
    };
    let events = history.lines.iter().filter(|line| line.subscription != CALLS && line.subscription != TICK);
    let lines = events.filter(|line| differs(&line.id, &line.checksum, Some(&line.key)));
    let lines = lines.map(|line| format!("{} was changed on the way", line.id));
    let stored = history.topic.iter().filter(|stored| differs(&stored.id, &stored.checksum, None));
    lines.chain(stored.map(|stored| format!("{} is stored with other data", stored.id))).collect()
}

/// 4. A delivery is repeated only with a higher attempt number, and only for a reason: its kind, or a disturbance.
pub(crate) fn repeated(history: &History) -> Vec<String> {
    let known = history.known();
    let mut last: HashMap<(&str, &str), (u32, u32)> = HashMap::new();
    let mut found = Vec::new();
    for line in &history.lines {
        let (attempt, count) = last.entry((&line.subscription, &line.id)).or_insert((0, 0));
        if line.attempt <= *attempt {
            found.push(format!(
                "{}: {} came with attempt {} after attempt {attempt}",
                line.subscription, line.id, line.attempt
            ));
        }
        (*attempt, *count) = (line.attempt, *count + 1);
    }
    for ((subscription, id), (_, count)) in last {
        let expected = known.get(id).map_or(1, |known| known.sent.kind.attempts());
        if count > expected + history.disturbances {
            found.push(format!(
                "{subscription}: {id} came {count} times, with {} disturbances",
                history.disturbances
            ));
        }
    }
    found
}

/// 5. First deliveries of a key are in the order in which its events were published.
pub(crate) fn order(history: &History) -> Vec<String> {
    let known = history.known();
    let mut found = Vec::new();
    for subscription in history.subscriptions.iter().filter(|subscription| subscription.ordered) {
        let mut seen = BTreeSet::new();
        let mut last: HashMap<&str, (u64, &str)> = HashMap::new();
        for line in history.lines_of(&subscription.name).filter(|line| seen.insert(line.id.as_str())) {
            let Some(known) = known.get(line.id.as_str()) else { continue };
            let (n, id) = last.entry(&line.key).or_insert((0, ""));
            if known.sent.n < *n {
                found.push(format!("{}: {} came after {id}, key {}", subscription.name, line.id, line.key));
            }
            (*n, *id) = (known.sent.n, &line.id);
        }
    }
    found
}

/// 6. However often an event is published, it is stored once, and each acknowledgement names that place.
pub(crate) fn duplicates(history: &History) -> Vec<String> {
    let mut places: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for stored in &history.topic {
        places.entry(&stored.id).or_default().insert(stored.sequence);
    }
    let events = history.lines.iter().filter(|line| line.subscription != CALLS && line.subscription != TICK);
    for line in events {
        places.entry(&line.id).or_default().insert(line.sequence);
    }
    for sent in &history.sent {
        if let Outcome::Ok { sequence, .. } = sent.outcome {
            places.entry(&sent.id).or_default().insert(sequence);
        }
    }
    let several = places.into_iter().filter(|(_, places)| places.len() > 1);
    several.map(|(id, places)| format!("{id} is at {places:?}")).collect()
}

/// 7. Numbers add up: topic, acknowledgements, and what subscriptions count.
pub(crate) fn counts(history: &History) -> Vec<String> {
    let known = history.known();
    let acked = known.values().filter(|known| !known.acked.is_empty()).count() as u64;
    let unknown = known.values().filter(|known| known.acked.is_empty() && known.unknown).count() as u64;
    let mut found = Vec::new();
    let stored = history.topic.len() as u64;
    if stored + 1 != history.next || history.topic.iter().zip(1..).any(|(event, n)| event.sequence != n) {
        found.push(format!("the topic has {stored} events, and its next is {}", history.next));
    }
    if stored < acked || stored > acked + unknown {
        found.push(format!(
            "the topic has {stored} events, {acked} were acknowledged and {unknown} are unknown"
        ));
    }
    for one in &history.subscriptions {
        let sum = one.delivered + one.dead + one.skipped + one.missing;
        if one.lag != 0 || one.missing != 0 || sum + 1 != history.next {
            found.push(format!("{one:?} does not add up to {stored}"));
        }
        let letters = history.letters.iter().filter(|letter| letter.subscription == one.name);
        let letters = letters.map(|letter| &letter.id).collect::<BTreeSet<_>>().len() as u64;
        if letters != one.dead {
            found.push(format!("{} has given up {}, and {letters} are dead letters", one.name, one.dead));
        }
    }
    found
}

/// Whether events and calls may have been given up since the node was killed while each of them ran, which
/// happens to whatever comes first when lives are short. They may be few.
fn may_blame(history: &History, blamed: usize) -> bool {
    history.disturbances >= CRASHES_MAX && blamed <= history.disturbances as usize
}

/// 8. Poison is given up after exactly so many failures; nothing else is.
pub(crate) fn poison(history: &History) -> Vec<String> {
    let known = history.known();
    let mut attempts: HashMap<(&str, &str), u32> = HashMap::new();
    for line in &history.lines {
        *attempts.entry((&line.subscription, &line.id)).or_default() += 1;
    }
    let blamed = history.letters.iter().filter(|letter| letter.reason == "crashes").count();
    let mut found = Vec::new();
    let mut letters: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for letter in &history.letters {
        let place = (letter.subscription.as_str(), letter.id.as_str());
        *letters.entry(place).or_default() += 1;
        let kind = known.get(letter.id.as_str()).map(|known| known.sent.kind);
        let seen = attempts.get(&place).copied().unwrap_or_default();
        let right = match letter.reason.as_str() {
            "crashes" => may_blame(history, blamed),
            "attempts" => kind == Some(Kind::Poison) && letter.attempts == ATTEMPTS && seen >= ATTEMPTS,
            _ => false,
        };
        if !right {
            found.push(format!("{letter:?} of kind {kind:?}, delivered {seen} times"));
        }
    }
    let often = letters.into_iter().filter(|(_, count)| *count > 1 + history.disturbances);
    found.extend(often.map(|(place, count)| format!("{place:?} was given up {count} times")));
    found
}

/// 9. A run of a schedule never begins before it is due, and each is one event.
pub(crate) fn schedule(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let mut places: HashMap<&str, u64> = HashMap::new();
    for line in history.lines_of(TICK) {
        let Some(due_ms) = hob_core::event::timestamp_ms(&line.id) else {
            found.push(format!("`{}` is no time", line.id));
            continue;
        };
        if due_ms > line.wall_ms + history.ahead_ms {
            found.push(format!("the run of {} began {} ms early", line.id, due_ms - line.wall_ms));
        }
        let Line { id, sequence, .. } = line;
        let place = places.entry(id).or_insert(*sequence);
        if place != sequence {
            found.push(format!("the run of {id} was published as {place} and {sequence}"));
        }
    }
    found
}

/// 10. Each accepted call has one result, the right one, and keeps it; nothing else was called.
pub(crate) fn calls(history: &History) -> Vec<String> {
    let failed = |call: &&Call| call.results.iter().all(|(state, _)| state == "failed");
    let blamed = history.calls.iter().filter(failed).count();
    let mut found = Vec::new();
    for call in &history.calls {
        let right = ("done".to_owned(), call.checksum.clone());
        let first = call.results.first();
        let blame = first.is_some_and(|(state, _)| state == "failed") && may_blame(history, blamed);
        if first
            .is_none_or(|first| *first != right && !blame || call.results.iter().any(|other| other != first))
        {
            found.push(format!("{call:?}"));
        }
        let made = history.lines_of(CALLS).any(|line| line.id == call.id && line.checksum == call.checksum);
        if !made && !blame {
            found.push(format!("{} has a result, and was not made", call.id));
        }
    }
    let accepted: BTreeSet<&str> = history.calls.iter().map(|call| call.id.as_str()).collect();
    let made: BTreeSet<&str> = history.lines_of(CALLS).map(|line| line.id.as_str()).collect();
    let others = made.difference(&accepted).count() as u64;
    if others > history.calls_unknown {
        found.push(format!(
            "{others} calls were made that nobody knows, {} are unknown",
            history.calls_unknown
        ));
    }
    found
}
