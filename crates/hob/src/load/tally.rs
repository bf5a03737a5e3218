//! What came back in a load test: latencies, statuses, errors, and where the node says that the time went.
//!
//! **Invariants.** Latencies are those of answers, whatever their status; what had no answer is an error only.

use hob_core::histogram::Histogram;
use http::{HeaderMap, HeaderName, StatusCode};
use std::collections::BTreeMap;
use std::time::Duration;

/// The header in which a node says where a call's time went (W3C Server Timing).
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// The header with the code of an answer that Hob itself gave.
const HOB_ERROR: HeaderName = HeaderName::from_static("hob-error");
/// Kinds of errors that are told apart; others are counted together.
const ERRORS_MAX: usize = 64;
/// Phases that are told apart.
const PHASES_MAX: usize = 16;

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Bytes of its body.
    pub(crate) bytes: u64,
}

/// A phase of calls and the time that they spent in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Phase {
    /// Its name in `Server-Timing`.
    pub(crate) name: String,
    /// Of calls that waited for a start, milliseconds.
    pub(crate) cold_ms: f64,
    /// Of the others.
    pub(crate) warm_ms: f64,
}

/// Everything that came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Latencies of all answers.
    pub(crate) all: Histogram,
    /// Of those that waited for a start.
    pub(crate) cold: Histogram,
    /// Of those that did not.
    pub(crate) warm: Histogram,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Errors by what they are: a code of Hob's, a status of 400 and above, or no answer.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Phases, in the order in which the node tells them.
    pub(crate) phases: Vec<Phase>,
    /// Bytes of answers' bodies.
    pub(crate) bytes: u64,
}

impl Tally {
    /// Counts what came back after `latency`; an error is a sentence.
    pub(crate) fn record(&mut self, latency: Duration, reply: &Result<Reply, String>) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(why) => return self.error(why),
        };
        self.all.record(latency);
        self.bytes += reply.bytes;
        *self.statuses.entry(reply.status.as_u16()).or_default() += 1;
        if let Some(code) = reply.headers.get(HOB_ERROR).and_then(|value| value.to_str().ok()) {
            self.error(code);
        } else if reply.status.as_u16() >= 400 {
            self.error(&format!("status {}", reply.status.as_u16()));
        }
        // A function may tell timings of its own; the node's come last.
        let timing = reply.headers.get_all(SERVER_TIMING).iter().next_back();
        if let Some(timing) = timing.and_then(|value| value.to_str().ok()) {
            self.time(latency, timing);
        }
    }

    fn time(&mut self, latency: Duration, timing: &str) {
        let cold = timing.contains(";desc=cold");
        if cold {
            self.cold.record(latency)
        } else {
            self.warm.record(latency)
        }
        for (name, ms) in phases(timing) {
            let place = self.phases.iter().position(|phase| phase.name == name);
            let place = place.unwrap_or_else(|| {
                if self.phases.len() < PHASES_MAX {
                    self.phases.push(Phase { name: name.to_owned(), ..Phase::default() });
                }
                self.phases.len() - 1
            });
            let phase = &mut self.phases[place];
            if cold { phase.cold_ms += ms } else { phase.warm_ms += ms }
        }
    }

    fn error(&mut self, what: &str) {
        let known = self.errors.len() < ERRORS_MAX || self.errors.contains_key(what);
        *self.errors.entry(if known { what } else { "others" }.to_owned()).or_default() += 1;
    }

    /// Counts calls that were given up without an answer.
    pub(crate) fn unanswered(&mut self, calls: u64) {
        if calls > 0 {
            *self.errors.entry("no answer before the end".to_owned()).or_default() += calls;
        }
    }

    /// Adds what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.all.merge(&other.all);
        self.cold.merge(&other.cold);
        self.warm.merge(&other.warm);
        self.bytes += other.bytes;
        other.statuses.iter().for_each(|(status, count)| *self.statuses.entry(*status).or_default() += count);
        other.errors.iter().for_each(|(what, count)| *self.errors.entry(what.clone()).or_default() += count);
        for phase in &other.phases {
            match self.phases.iter_mut().find(|known| known.name == phase.name) {
                Some(known) => {
                    known.cold_ms += phase.cold_ms;
                    known.warm_ms += phase.warm_ms;
                }
                None => self.phases.push(phase.clone()),
            }
        }
    }

    /// Answers with an error, and calls without an answer.
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// Names and milliseconds of the phases in a `Server-Timing`.
fn phases(timing: &str) -> impl Iterator<Item = (&str, f64)> {
    timing.split(',').filter_map(|metric| {
        let mut parts = metric.trim().split(';');
        let name = parts.next()?;
        let ms = parts.find_map(|part| part.trim().strip_prefix("dur="))?.parse().ok()?;
        Some((name, ms))
    })
}

#[cfg(test)]
mod tests {
    use super::{Reply, Tally, phases};
    use http::{HeaderMap, HeaderValue, StatusCode};
    use std::time::Duration;

    fn reply(status: u16, headers: &[(&'static str, &'static str)]) -> Result<Reply, String> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, HeaderValue::from_static(value));
        }
        Ok(Reply { status: StatusCode::from_u16(status).unwrap(), headers: all, bytes: 10 })
    }

    #[test]
    fn answers_are_counted_by_what_they_are() {
        let warm = "queue;dur=0.500, start;dur=0.000;desc=warm, run;dur=1.500";
        let cold = "queue;dur=0.000, start;dur=20.000;desc=cold, run;dur=2.000";
        let mut half = Tally::default();
        for (ms, answer) in [
            (2, reply(200, &[("server-timing", "mine;dur=9"), ("server-timing", warm)])),
            (22, reply(200, &[("server-timing", cold)])),
            (1, reply(503, &[("hob-error", "HOB-0503"), ("server-timing", warm)])),
            (1, reply(404, &[])),
            (9, Err("connection refused".to_owned())),
        ] {
            half.record(Duration::from_millis(ms), &answer);
        }
        half.unanswered(0);
        let mut all = half.clone();
        all.merge(&half);
        assert_eq!((all.all.count(), all.cold.count(), all.warm.count(), all.bytes), (8, 2, 4, 80));
        assert_eq!(format!("{:?}", all.statuses), "{200: 4, 404: 2, 503: 2}");
        assert_eq!(
            format!("{:?}", all.errors),
            r#"{"HOB-0503": 2, "connection refused": 2, "status 404": 2}"#
        );
        assert_eq!((all.failed(), all.all.max()), (6, Duration::from_millis(22)));
        let told: Vec<String> = all
            .phases
            .iter()
            .map(|phase| format!("{} {} {}", phase.name, phase.cold_ms, phase.warm_ms))
            .collect();
        assert_eq!(told, ["queue 0 2", "start 40 0", "run 4 6"]);
    }

    #[test]
    fn timings_that_are_none_are_left_out() {
        let found: Vec<(&str, f64)> =
            phases("a;dur=1.5;desc=x, b;desc=y, ;dur=, c;desc=z;dur=2, d").collect();
        assert_eq!(found, [("a", 1.5), ("c", 2.0)]);
    }
}
