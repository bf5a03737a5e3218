//! When an alert begins and when it ends: one rule, one small machine.
//!
//! **Why.** An alert that comes and goes with every sample is worse than none. So a bad value has to last
//! before somebody is told, and a good one before that is taken back.
//!
//! **How.** [`Alert::step`] takes one sample and the time and says what has changed. Pending becomes firing
//! after `for`; firing ends when the value has been good for as long, and for a minute at least. No value (no
//! calls, nothing to measure) counts as a good one. State is small and can be stored, so that a restart
//! tells nobody twice.
//!
//! **Not here:** measuring, publishing, storing (the node).

use crate::limit::ALERT_CLEAR_MIN;
use crate::name::AppName;
use crate::unit::{millis, show_duration};
use crate::watch::{AlertSpec, Metric, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One measurement for a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// In thousandths of the metric's unit (percent, pieces, milliseconds).
    pub value: u64,
    /// What it was measured at, if the rule leaves that open: `function letter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// How a rule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum State {
    /// All is well.
    #[default]
    Ok,
    /// It is bad, but not for long enough.
    Pending {
        /// Since when, milliseconds since the Unix epoch.
        since_ms: u64,
    },
    /// Somebody was told.
    Firing {
        /// When it became bad.
        since_ms: u64,
        /// When that was told.
        told_ms: u64,
        /// Since when it is good again, though not for long enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        good_ms: Option<u64>,
    },
}

/// What somebody has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has begun.
    Began {
        /// When it became bad, milliseconds since the Unix epoch.
        since_ms: u64,
    },
    /// It is over.
    Ended {
        /// When it had become bad.
        since_ms: u64,
        /// When its begin was told.
        told_ms: u64,
    },
}

/// One rule at work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// How it stands.
    pub state: State,
    /// The last value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Sample>,
}

impl Alert {
    /// Takes a sample. Times may stand still or step back; nothing then happens earlier than it should.
    pub fn step(&mut self, rule: &AlertSpec, sample: Option<Sample>, now_ms: u64) -> Option<Turn> {
        let bad = sample.as_ref().is_some_and(|sample| rule.bound.is_bad(sample.value));
        self.last = sample;
        let lasted = |since_ms: u64, ms: u64| now_ms.saturating_sub(since_ms) >= ms;
        match (self.state, bad) {
            (State::Ok | State::Pending { .. }, false) => {
                self.state = State::Ok;
                None
            }
            (State::Ok, true) if rule.for_ms > 0 => {
                self.state = State::Pending { since_ms: now_ms };
                None
            }
            (State::Ok, true) => Some(self.begin(now_ms, now_ms)),
            (State::Pending { since_ms }, true) => {
                // A clock that was set back would let it wait for as long.
                let since_ms = since_ms.min(now_ms);
                self.state = State::Pending { since_ms };
                lasted(since_ms, rule.for_ms).then(|| self.begin(since_ms, now_ms))
            }
            (State::Firing { since_ms, told_ms, .. }, true) => {
                self.state = State::Firing { since_ms, told_ms, good_ms: None };
                None
            }
            (State::Firing { since_ms, told_ms, good_ms }, false) => {
                let good_since_ms = good_ms.unwrap_or(now_ms).min(now_ms);
                if lasted(good_since_ms, rule.for_ms.max(millis(ALERT_CLEAR_MIN))) {
                    self.state = State::Ok;
                    return Some(Turn::Ended { since_ms, told_ms });
                }
                self.state = State::Firing { since_ms, told_ms, good_ms: Some(good_since_ms) };
                None
            }
        }
    }

    fn begin(&mut self, since_ms: u64, now_ms: u64) -> Turn {
        self.state = State::Firing { since_ms, told_ms: now_ms, good_ms: None };
        Turn::Began { since_ms }
    }

    /// Ends it at once: its rule has gone.
    pub fn end(&mut self) -> Option<Turn> {
        match std::mem::take(&mut self.state) {
            State::Firing { since_ms, told_ms, .. } => Some(Turn::Ended { since_ms, told_ms }),
            State::Ok | State::Pending { .. } => None,
        }
    }

    /// Whether somebody was told, and not yet that it is over.
    pub const fn is_firing(&self) -> bool {
        matches!(self.state, State::Firing { .. })
    }
}

/// A value with its unit, for people: `12.5%`, `300`, `250ms`.
pub fn show(metric: Metric, value: u64) -> String {
    match metric.unit() {
        Unit::Time => {
            let time = Duration::from_micros(value);
            let days = time.as_secs() / 86_400;
            if days >= 2 { format!("{days} days") } else { show_duration(time) }
        }
        unit => {
            let (whole, tenth) = (value / 1000, value % 1000 / 100);
            let sign = if unit == Unit::Percent { "%" } else { "" };
            if tenth == 0 { format!("{whole}{sign}") } else { format!("{whole}.{tenth}{sign}") }
        }
    }
}

/// What a rule says, in words: `the share of calls that fail is above 5% for 5m`.
pub fn describe(rule: &AlertSpec) -> String {
    let (metric, bound) = (rule.metric, rule.bound);
    let of = match (&rule.function, &rule.subscription, &rule.topic) {
        (Some(function), _, _) => format!(" of function `{function}`"),
        (_, Some(subscription), _) => format!(" of subscription `{subscription}`"),
        (_, _, Some(topic)) => format!(" of topic `{topic}`"),
        _ => String::new(),
    };
    let lasts = match rule.for_ms {
        0 => String::new(),
        ms => format!(" for {}", show_duration(Duration::from_millis(ms))),
    };
    format!("{}{of} is {} {}{lasts}", metric.name(), bound.word(), show(metric, bound.value()))
}

/// What has happened, in words: `the share of calls that fail is 12% (function letter); the rule: above 5% for 5m`.
pub fn tell(rule: &AlertSpec, sample: Option<&Sample>, began: bool) -> String {
    let value = match sample {
        Some(Sample { value, of: Some(of) }) => format!("is {} ({of})", show(rule.metric, *value)),
        Some(Sample { value, of: None }) => format!("is {}", show(rule.metric, *value)),
        None => "cannot be measured now".to_owned(),
    };
    let (name, word, bound) = (rule.metric.name(), rule.bound.word(), show(rule.metric, rule.bound.value()));
    let lasts = match rule.for_ms {
        0 => String::new(),
        ms => format!(" for {}", show_duration(Duration::from_millis(ms))),
    };
    if began {
        format!("{name} {value}; the rule tells of {word} {bound}{lasts}")
    } else {
        format!("{name} {value} again; the rule tells of {word} {bound}{lasts}")
    }
}

/// The command that says more about an alert.
pub fn next(app: Option<&AppName>, rule: &AlertSpec) -> String {
    let named = |name: &str| app.map_or_else(|| name.to_owned(), |app| format!("{app}/{name}"));
    let of_app = app.map(|app| format!(" {app}")).unwrap_or_default();
    let only_app = app.map(|app| format!(" --app {app}")).unwrap_or_default();
    match rule.metric {
        Metric::ErrorShare | Metric::LatencyP99 | Metric::QueueTime | Metric::ColdStartShare => {
            match &rule.function {
                Some(function) => format!("hob why --function {} --since 10m", named(function.as_str())),
                None => format!("hob show{of_app}"),
            }
        }
        Metric::CrashLoop => match &rule.function {
            Some(function) => format!("hob logs {}", named(function.as_str())),
            None => format!("hob logs{of_app}"),
        },
        Metric::Lag => match &rule.subscription {
            Some(subscription) => format!("hob sub show {}", named(subscription.as_str())),
            None => "hob sub ls".to_owned(),
        },
        Metric::DeadLetters => match &rule.topic {
            Some(topic) => format!("hob dlq ls {topic}"),
            None => "hob dlq ls".to_owned(),
        },
        Metric::Budget => format!("hob budget ls{only_app}"),
        Metric::CertificateAge | Metric::CertificateLeft | Metric::DiskFree => "hob doctor".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Alert, Sample, State, Turn, describe, next, show, tell};
    use crate::name::{AppName, FunctionName, TopicName};
    use crate::watch::{AlertSpec, Bound, Metric};

    fn rule(bound: Bound, for_ms: u64) -> AlertSpec {
        AlertSpec {
            metric: Metric::ErrorShare,
            bound,
            for_ms,
            function: FunctionName::new("letter").ok(),
            topic: None,
            subscription: None,
            publish: TopicName::new("alerts").unwrap(),
        }
    }

    /// Runs samples (at a second, a value or none) and shows what was told at which second.
    fn run(rule: &AlertSpec, samples: &[(u64, Option<u64>)]) -> String {
        let mut alert = Alert::default();
        let mut told = Vec::new();
        for (second, value) in samples {
            let sample = value.map(|value| Sample { value, of: None });
            // What is stored comes back in the middle of it all.
            let stored = serde_json::to_string(&alert).unwrap();
            alert = serde_json::from_str(&stored).unwrap();
            match alert.step(rule, sample, second * 1000) {
                Some(Turn::Began { since_ms }) => told.push(format!("+{second}({})", since_ms / 1000)),
                Some(Turn::Ended { told_ms, .. }) => told.push(format!("-{second}({})", told_ms / 1000)),
                None => {}
            }
        }
        told.join(" ")
    }

    #[test]
    fn an_alert_begins_and_ends_only_when_it_lasts() {
        let (above, at, below) = (Bound::Above(5), Bound::AtLeast(5), Bound::Below(5));
        let (bad, good, none) = (Some(9), Some(1), None);
        for (what, bound, for_s, samples, expected) in [
            ("at once", above, 0, &[(1, good), (2, bad), (3, bad)][..], "+2(2)"),
            ("after its time", above, 5, &[(0, bad), (4, bad), (5, bad), (9, bad)], "+5(0)"),
            ("not when it goes", above, 5, &[(0, bad), (4, good), (5, bad), (9, bad)], ""),
            ("nothing is good", above, 5, &[(0, bad), (4, none), (5, bad), (9, bad)], ""),
            ("the edge", above, 0, &[(1, Some(5)), (2, Some(6))], "+2(2)"),
            ("the edge counts", at, 0, &[(1, Some(4)), (2, Some(5))], "+2(2)"),
            ("below", below, 0, &[(1, Some(5)), (2, Some(4))], "+2(2)"),
            ("a minute to end", above, 0, &[(0, bad), (1, good), (60, good), (61, good)], "+0(0) -61(0)"),
            ("no value ends it", above, 0, &[(0, bad), (1, none), (61, none)], "+0(0) -61(0)"),
            (
                "longer to end",
                above,
                90,
                &[(0, bad), (90, bad), (91, good), (180, good), (181, good)],
                "+90(0) -181(90)",
            ),
            (
                "no flapping",
                above,
                0,
                &[(0, bad), (30, good), (60, bad), (89, good), (120, good), (148, bad)],
                "+0(0)",
            ),
            ("again", above, 0, &[(0, bad), (1, good), (61, good), (62, bad)], "+0(0) -61(0) +62(62)"),
            ("the clock is set back", above, 5, &[(100, bad), (50, bad), (54, bad), (55, bad)], "+55(50)"),
        ] {
            assert_eq!(run(&rule(bound, for_s * 1000), samples), expected, "{what}");
        }
        let mut gone = Alert { state: State::Firing { since_ms: 1, told_ms: 2, good_ms: None }, last: None };
        assert_eq!((gone.end(), gone.end()), (Some(Turn::Ended { since_ms: 1, told_ms: 2 }), None));
    }

    #[test]
    fn alerts_are_told_in_words() {
        for (metric, value, shown) in [
            (Metric::ErrorShare, 12_500, "12.5%"),
            (Metric::Lag, 300_000, "300"),
            (Metric::LatencyP99, 250_000, "250ms"),
            (Metric::CertificateLeft, 14 * 86_400_000_000, "14 days"),
        ] {
            assert_eq!(show(metric, value), shown);
        }
        let rule = rule(Bound::Above(5000), 300_000);
        let sample = Sample { value: 12_000, of: Some("function letter".into()) };
        let desk = AppName::new("desk").unwrap();
        assert_eq!(describe(&rule), "the share of calls that fail of function `letter` is above 5% for 5m");
        assert_eq!(
            tell(&rule, Some(&sample), true),
            "the share of calls that fail is 12% (function letter); the rule tells of above 5% for 5m"
        );
        assert_eq!(next(Some(&desk), &rule), "hob why --function desk/letter --since 10m");
    }
}
