//! Points in time, places in a topic and triggers as people name them on the command line.

use crate::client::Client;
use hob_core::code::Code;
use hob_core::event::timestamp_ms;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, TriggerName};
use hob_core::near::nearest;
use hob_core::trigger::StartAt;
use hob_core::unit::{millis, parse_duration, unix_ms};
use hob_core::wire::TriggersQuery;
use std::time::SystemTime;

/// Now, in milliseconds since the Unix epoch.
pub(super) fn now_ms() -> u64 {
    unix_ms(SystemTime::now())
}

/// Reads `2026-07-01T09:30:00Z`, or `1h` and `-1h` for so long ago; for clap.
pub(super) fn time_ms(text: &str) -> Result<u64, String> {
    read_time_ms(text, now_ms()).ok_or_else(|| {
        format!("`{text}` is no time; write for example `2026-07-01T09:30:00Z`, or `1h` for an hour ago")
    })
}

fn read_time_ms(text: &str, now_ms: u64) -> Option<u64> {
    timestamp_ms(text).or_else(|| {
        let ago = parse_duration(text.strip_prefix('-').unwrap_or(text)).ok()?;
        Some(now_ms.saturating_sub(millis(ago)))
    })
}

/// Reads `now`, `beginning`, a sequence or a time; for clap.
pub(super) fn place(text: &str) -> Result<StartAt, String> {
    match text {
        "now" => Ok(StartAt::Now),
        "beginning" => Ok(StartAt::Beginning),
        _ => match text.parse() {
            Ok(sequence) => Ok(StartAt::Sequence(sequence)),
            Err(_) => read_time_ms(text, now_ms()).map(StartAt::Time).ok_or_else(|| {
                format!(
                    "`{text}` is no place in a topic; write `now`, `beginning`, a sequence such as `17`, a time, or `1h` for an hour ago"
                )
            }),
        },
    }
}

/// Which kind of trigger is named.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Subscription,
    Schedule,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Schedule => "schedule",
        }
    }

    fn not_found(self, what: String) -> Fault {
        match self {
            Self::Subscription => Fault::new(Code::SubscriptionNotFound, what),
            Self::Schedule => Fault::new(Code::ScheduleNotFound, what),
        }
    }

    /// The command that lists them.
    fn list(self) -> &'static str {
        match self {
            Self::Subscription => "hob sub ls",
            Self::Schedule => "hob cron ls",
        }
    }
}

/// The trigger that `APP/NAME` names, or `NAME` alone where only one app has it.
///
/// # Errors
/// `HOB-0104` for what is no name, `HOB-0807` or `HOB-0808` when no app has it, `HOB-0111` when several do.
pub(super) async fn trigger(client: &Client, text: &str, kind: Kind) -> Result<(AppName, TriggerName)> {
    if let Some((app, name)) = text.split_once('/') {
        return Ok((AppName::new(app)?, TriggerName::new(name)?));
    }
    TriggerName::new(text)?;
    let all: Vec<(AppName, TriggerName)> = match kind {
        Kind::Subscription => {
            let all = client.subscriptions(&TriggersQuery::default()).await?;
            all.into_iter().map(|one| (one.app, one.name)).collect()
        }
        Kind::Schedule => client.schedules(None).await?.into_iter().map(|one| (one.app, one.name)).collect(),
    };
    only(text, kind, all)
}

fn only(text: &str, kind: Kind, all: Vec<(AppName, TriggerName)>) -> Result<(AppName, TriggerName)> {
    let near = nearest(text, all.iter().map(|(_, name)| name.as_str())).map(str::to_owned);
    let mut found: Vec<_> = all.into_iter().filter(|(_, name)| name.as_str() == text).collect();
    let word = kind.word();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => {
            let hint = near.map_or_else(|| kind.list().to_owned(), |near| format!("did you mean `{near}`?"));
            Err(kind.not_found(format!("no app has a {word} `{text}`")).hint(hint))
        }
        (Some(one), false) => {
            found.push(one);
            let names: Vec<String> = found.iter().map(|(app, name)| format!("`{app}/{name}`")).collect();
            Err(Fault::new(Code::Usage, format!("several apps have a {word} `{text}`"))
                .hint(format!("name one of: {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, only, place, read_time_ms};
    use hob_core::name::{AppName, TriggerName};
    use hob_core::trigger::StartAt;

    #[test]
    fn times_are_dates_or_so_long_ago() {
        for (text, expected) in [
            ("1970-01-01T00:00:05Z", Some(5000)),
            ("1970-01-01T01:00:05+01:00", Some(5000)),
            ("1h", Some(6_400_000)),
            ("-1.5s", Some(9_998_500)),
            ("9d", Some(0)),
            ("17", None),
            ("yesterday", None),
            ("--1h", None),
            ("", None),
        ] {
            assert_eq!(read_time_ms(text, 10_000_000), expected, "{text}");
        }
        assert_eq!(place("17"), Ok(StartAt::Sequence(17)));
        assert_eq!(place("now"), Ok(StartAt::Now));
        assert!(matches!(place("-1h"), Ok(StartAt::Time(_))));
        assert!(place("soon").unwrap_err().contains("beginning"));
    }

    #[test]
    fn a_name_alone_has_to_be_of_one_app() {
        let all = |names: &[(&str, &str)]| -> Vec<_> {
            names.iter().map(|(a, n)| (AppName::new(a).unwrap(), TriggerName::new(n).unwrap())).collect()
        };
        let known = all(&[("desk", "letter"), ("desk", "both"), ("shop", "both")]);
        let (app, name) = only("letter", Kind::Subscription, known.clone()).unwrap();
        assert_eq!((app.as_str(), name.as_str()), ("desk", "letter"));
        let fault = only("leter", Kind::Subscription, known.clone()).unwrap_err();
        assert_eq!((fault.code().text(), fault.hint_text()), ("HOB-0807", Some("did you mean `letter`?")));
        let fault = only("both", Kind::Schedule, known).unwrap_err();
        assert_eq!(
            (fault.code().text(), fault.hint_text()),
            ("HOB-0111", Some("name one of: `desk/both`, `shop/both`"))
        );
    }
}
