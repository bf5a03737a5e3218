//! What is told of an alert: an event that a function, a web hook or a mail connector can use.

use hob_core::alert::{self, Sample, Turn};
use hob_core::event::{Event, timestamp};
use hob_core::name::AppName;
use hob_core::watch::{AlertSpec, Metric, Unit};
use serde_json::{Value, json};

/// The type of the event that tells of a begin.
const FIRING: &str = "dev.hob.alert.firing";
/// The type of the one that tells of the end.
const RESOLVED: &str = "dev.hob.alert.resolved";

/// A begin or an end of an alert.
pub(super) struct Told<'a> {
    pub(super) app: Option<&'a AppName>,
    pub(super) name: &'a str,
    pub(super) rule: &'a AlertSpec,
    pub(super) turn: Turn,
    pub(super) sample: Option<&'a Sample>,
    pub(super) now_ms: u64,
}

impl Told<'_> {
    /// What has happened, in one sentence.
    pub(super) fn text(&self) -> String {
        alert::tell(self.rule, self.sample, matches!(self.turn, Turn::Began { .. }))
    }

    /// The event. An end names the same begin as the event that told of it.
    pub(super) fn event(&self) -> Event {
        let (kind, word, since_ms, told_ms) = match self.turn {
            Turn::Began { since_ms } => (FIRING, "firing", since_ms, self.now_ms),
            Turn::Ended { since_ms, told_ms } => (RESOLVED, "resolved", since_ms, told_ms),
        };
        let of = self.app.map_or("node", |app| app.as_str());
        let mut event =
            Event::new(format!("{of}-{}-{told_ms}-{word}", self.name), format!("/alerts/{of}"), kind);
        event.time = Some(timestamp(self.now_ms));
        event.subject = Some(self.name.to_owned());
        event.datacontenttype = Some("application/json".to_owned());
        let rule = self.rule;
        let data = json!({
            "app": self.app,
            "alert": self.name,
            "state": word,
            "text": self.text(),
            "metric": rule.metric.word(),
            "function": rule.function,
            "topic": rule.topic,
            "subscription": rule.subscription,
            "of": self.sample.and_then(|sample| sample.of.clone()),
            "value": self.sample.map(|sample| number(sample.value)),
            "bound": rule.bound.word(),
            "threshold": number(rule.bound.value()),
            "unit": unit(rule.metric),
            "since": timestamp(since_ms),
            "why": alert::next(self.app, rule),
        });
        event.data = Some(without_nothing(data).to_string().into());
        event
    }
}

/// A value in the metric's unit.
#[expect(clippy::cast_precision_loss, reason = "three decimals are exact for every value that occurs")]
fn number(thousandths: u64) -> f64 {
    thousandths as f64 / 1000.0
}

const fn unit(metric: Metric) -> &'static str {
    match metric.unit() {
        Unit::Percent => "percent",
        Unit::Count => "count",
        Unit::Time => "ms",
    }
}

/// Without members that say nothing.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::Told;
    use hob_core::alert::{Sample, Turn};
    use hob_core::event::json;
    use hob_core::name::{AppName, FunctionName, TopicName};
    use hob_core::watch::{AlertSpec, Bound, Metric};

    #[test]
    fn an_event_says_what_when_and_what_to_do() {
        let rule = AlertSpec {
            metric: Metric::ErrorShare,
            bound: Bound::Above(5000),
            for_ms: 0,
            function: FunctionName::new("front").ok(),
            topic: None,
            subscription: None,
            publish: TopicName::new("alerts").unwrap(),
        };
        let (app, sample) = (AppName::new("shop").unwrap(), Sample { value: 12_500, of: None });
        for (turn, expected) in [
            (
                Turn::Began { since_ms: 1000 },
                r#"{"specversion":"1.0","id":"shop-errors-9000-firing","source":"/alerts/shop","type":"dev.hob.alert.firing","datacontenttype":"application/json","subject":"errors","time":"1970-01-01T00:00:09Z","data":{"app":"shop","alert":"errors","state":"firing","text":"the share of calls that fail is 12.5%; the rule tells of above 5%","metric":"error-share","function":"front","value":12.5,"bound":"above","threshold":5.0,"unit":"percent","since":"1970-01-01T00:00:01Z","why":"hob why --function shop/front --since 10m"}}"#,
            ),
            (
                Turn::Ended { since_ms: 1000, told_ms: 2000 },
                r#"{"specversion":"1.0","id":"shop-errors-2000-resolved""#,
            ),
        ] {
            let told = Told {
                app: Some(&app),
                name: "errors",
                rule: &rule,
                turn,
                sample: Some(&sample),
                now_ms: 9000,
            };
            let text = json::to_value(&told.event()).to_string();
            assert!(text.starts_with(expected), "\n{text}\n{expected}");
        }
    }
}
