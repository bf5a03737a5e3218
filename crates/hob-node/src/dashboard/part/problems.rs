//! What is wrong now: everything that somebody should look at, the worst first.

use super::text::{counted, short};
use crate::dashboard::api::join;
use hob_core::alert::State;
use hob_core::wire::{
    AlertInfo, AppInfo, BudgetInfo, DeadLetterTopicInfo, ScheduleInfo, SubscriptionInfo, TopicInfo, Verdict,
};

/// Something that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Problem {
    /// How bad it is.
    pub(in crate::dashboard) verdict: Verdict,
    /// What it is about.
    pub(in crate::dashboard) subject: String,
    /// What is wrong, in words.
    pub(in crate::dashboard) text: String,
    /// Where to look.
    pub(in crate::dashboard) link: String,
}

/// What a node is asked about.
#[derive(Clone, Copy)]
pub(in crate::dashboard) struct Seen<'a> {
    pub(in crate::dashboard) apps: &'a [AppInfo],
    pub(in crate::dashboard) subscriptions: &'a [SubscriptionInfo],
    pub(in crate::dashboard) schedules: &'a [ScheduleInfo],
    pub(in crate::dashboard) letters: &'a [DeadLetterTopicInfo],
    pub(in crate::dashboard) topics: &'a [TopicInfo],
    pub(in crate::dashboard) alerts: &'a [AlertInfo],
    pub(in crate::dashboard) budgets: &'a [BudgetInfo],
}

/// What is wrong, the worst first.
pub(in crate::dashboard) fn problems(seen: &Seen<'_>) -> Vec<Problem> {
    let mut all = Vec::new();
    for alert in seen.alerts.iter().filter(|alert| matches!(alert.state, State::Firing { .. })) {
        let whose = alert.app.as_ref().map_or("the node", |app| app.as_str());
        let value = alert.value.as_deref().unwrap_or("nothing measured");
        let text = format!("alert {} is on: {value}", alert.name);
        all.push(problem(Verdict::Bad, &whose, &text, "/alerts".to_owned()));
    }
    for budget in seen.budgets.iter().filter(|budget| budget.standing.stopped) {
        let text = format!("the budget is spent and stops calls: {}", budget.standing.text);
        all.push(problem(Verdict::Bad, &budget.app, &text, "/cost".to_owned()));
    }
    for topic in seen.topics.iter().filter(|topic| !topic.damage.is_empty()) {
        let link = join(&["topics", topic.topic.as_str()]);
        all.push(problem(Verdict::Bad, &topic.topic, "events are lost to damage on disk", link));
    }
    for app in seen.apps {
        for function in &app.functions {
            let link = join(&["apps", app.app.as_str(), "functions", function.function.as_str()]);
            let subject = format!("{}/{}", app.app, function.function);
            if function.failures > 0 {
                let calls = counted(function.calls, "call");
                let text = format!("{} of {calls} failed since the node started", function.failures);
                all.push(problem(Verdict::Bad, &subject, &text, link.clone()));
            }
            if function.waiting > 0 {
                let text = format!("{} for an instance", waits(u64::from(function.waiting), "call"));
                all.push(problem(Verdict::Waiting, &subject, &text, link));
            }
        }
    }
    for letter in seen.letters.iter().filter(|topic| topic.letters > 0) {
        let link = join(&["dead-letters", letter.topic.as_str()]);
        let text = format!("{} given up", counted(letter.letters, "event"));
        all.push(problem(Verdict::Bad, &letter.topic, &text, link));
    }
    for one in seen.subscriptions {
        let subject = format!("{}/{}", one.app, one.name);
        let link = join(&["subscriptions", one.app.as_str(), one.name.as_str()]);
        if one.paused {
            let text = format!("paused; {}", waits(one.lag, "event"));
            all.push(problem(Verdict::Skipped, &subject, &text, link.clone()));
        }
        if let Some(failure) = one.last_failure.as_ref().filter(|_| one.waiting > 0) {
            let text = format!("{} after a failure: {}", waits(one.waiting, "event"), short(failure, 120));
            all.push(problem(Verdict::Bad, &subject, &text, link.clone()));
        }
        if one.missing > 0 {
            let text = format!("{} gone before it had read them", counted(one.missing, "event"));
            all.push(problem(Verdict::Bad, &subject, &text, link));
        }
    }
    for one in seen.schedules.iter().filter(|one| one.paused) {
        let link = "/schedules".to_owned();
        all.push(problem(
            Verdict::Skipped,
            &format!("{}/{}", one.app, one.name),
            "paused: it runs nothing",
            link,
        ));
    }
    all.sort_by_key(|problem| match problem.verdict {
        Verdict::Bad => 0,
        Verdict::Waiting => 1,
        _ => 2,
    });
    all
}

fn waits(many: u64, noun: &str) -> String {
    format!("{} {}", counted(many, noun), if many == 1 { "waits" } else { "wait" })
}

fn problem(verdict: Verdict, subject: &impl ToString, text: &str, link: String) -> Problem {
    Problem { verdict, subject: subject.to_string(), text: text.to_owned(), link }
}

#[cfg(test)]
mod tests {
    use super::{Seen, problems};
    use serde_json::{Value, json};

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_wrong_is_said_the_worst_first_and_calm_is_silent() {
        let function = |failures: u64, waiting: u32| {
            json!({ "function": "rate", "host": "wasm", "contract": "http", "instances": 1, "running": 0,
                "waiting": waiting, "calls": 9, "failures": failures, "starts": 1 })
        };
        let app = |functions: Value| json!([{ "app": "shop", "current": 1, "url": "u", "functions": functions, "routes": [], "revisions": [] }]);
        let letters = |letters: u64| json!([{ "topic": "orders.dead", "letters": letters }]);
        let all = |app: Value, letters: Value| {
            let (apps, letters) = (read::<Vec<_>>(app), read::<Vec<_>>(letters));
            let seen = Seen {
                apps: &apps,
                letters: &letters,
                subscriptions: &[],
                schedules: &[],
                topics: &[],
                alerts: &[],
                budgets: &[],
            };
            problems(&seen).iter().map(|one| format!("{} {}", one.subject, one.text)).collect::<Vec<_>>()
        };
        assert!(all(app(json!([function(0, 0)])), letters(0)).is_empty());
        assert_eq!(
            all(app(json!([function(0, 2), function(3, 0)])), letters(1)),
            [
                "shop/rate 3 of 9 calls failed since the node started",
                "orders.dead 1 event given up",
                "shop/rate 2 calls wait for an instance",
            ]
        );
    }
}
