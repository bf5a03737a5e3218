//! Measuring what alert rules ask for.
//!
//! **How.** Counts of calls come from the meters and are compared with those of a minute ago. They, lag and dead
//! letters are asked for only where a rule wants them.

use super::Alerts;
use super::board::Name;
use crate::live::LiveTable;
use crate::sync::lock;
use crate::telemetry::meter::bounds_us;
use hob_core::alert::Sample;
use hob_core::fault::Result;
use hob_core::limit::{CRASH_WINDOW, WATCH_WINDOW};
use hob_core::measure::{Counts, Growing, Window, value};
use hob_core::name::{AppName, FunctionName, RevisionNumber, TopicName, TriggerName};
use hob_core::unit::millis;
use hob_core::watch::{AlertSpec, Metric};
use hob_runtime::machine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Metrics that are made of counts of calls.
const CALLS: [Metric; 4] =
    [Metric::ErrorShare, Metric::ColdStartShare, Metric::LatencyP99, Metric::QueueTime];
/// Steps in which the windows move on.
const STEPS: u64 = 6;

/// Remembers what was counted, and knows the node's certificate and disk.
pub(super) struct Sampler {
    calls: Window<(AppName, FunctionName, RevisionNumber), Counts>,
    crashes: Window<(AppName, FunctionName), u64>,
    /// From when to when the certificate is valid, milliseconds since the Unix epoch.
    certificate: Option<(u64, u64)>,
    data: PathBuf,
}

impl Sampler {
    /// Of a node with this data folder and certificate.
    pub(super) fn new(data: PathBuf, certificate: Option<(u64, u64)>) -> Self {
        Self {
            calls: Window::new(millis(WATCH_WINDOW), STEPS),
            crashes: Window::new(millis(CRASH_WINDOW), STEPS),
            certificate,
            data,
        }
    }

    pub(super) const fn has_certificate(&self) -> bool {
        self.certificate.is_some()
    }
}

/// Everything that was measured at one time.
#[derive(Default)]
pub(super) struct Measured {
    calls: BTreeMap<(AppName, FunctionName), Counts>,
    crashes: BTreeMap<(AppName, FunctionName), u64>,
    bounds_us: &'static [u64],
    lags: Vec<(AppName, TriggerName, TopicName, u64)>,
    letters: BTreeMap<TopicName, u64>,
    /// Age and rest of the certificate, microseconds.
    certificate: Option<(u64, u64)>,
    /// Thousandths of a percent.
    disk_free: Option<u64>,
}

impl Alerts {
    /// Measures what these rules need.
    pub(super) async fn measure(&self, rules: &BTreeMap<Name, AlertSpec>, now_ms: u64) -> Result<Measured> {
        let wants = |metric| rules.values().any(|rule| rule.metric == metric);
        let mut measured = Measured { bounds_us: bounds_us(), ..Measured::default() };
        let meters = self.bus.telemetry().meters();
        {
            let mut sampler = lock(&self.sampler);
            if CALLS.into_iter().any(wants) {
                for ((app, function, _), counts) in sampler.calls.gained(now_ms, &meters.counts()) {
                    measured.calls.entry((app, function)).or_default().add(&counts);
                }
            }
            measured.crashes = sampler.crashes.gained(now_ms, &meters.crashes());
            measured.certificate = sampler.certificate.map(|(from_ms, to_ms)| {
                let us = |ms: u64| ms.saturating_mul(1000);
                (us(now_ms.saturating_sub(from_ms)), us(to_ms.saturating_sub(now_ms)))
            });
            measured.disk_free = machine::disk(&sampler.data).map(|(free, whole)| {
                let share = u128::from(free) * 100_000 / u128::from(whole.max(1));
                u64::try_from(share).unwrap_or(u64::MAX)
            });
        }
        if wants(Metric::Lag) {
            let all = match self.delivery.get() {
                Some(delivery) => delivery.list().await,
                None => Vec::new(),
            };
            measured.lags =
                all.into_iter().map(|info| (info.app, info.name, info.spec.topic, info.lag)).collect();
        }
        if wants(Metric::DeadLetters) {
            let all = self.bus.letter_topics().await?;
            measured.letters = all.into_iter().map(|info| (info.topic, info.letters)).collect();
        }
        Ok(measured)
    }
}

impl Measured {
    /// The value for a rule; `None` where there is nothing to measure.
    pub(super) fn sample(
        &self,
        app: Option<&AppName>,
        rule: &AlertSpec,
        table: &LiveTable,
    ) -> Option<Sample> {
        match rule.metric {
            Metric::ErrorShare | Metric::ColdStartShare | Metric::LatencyP99 | Metric::QueueTime => {
                let mut sum = Counts::default();
                self.of_function(&self.calls, app, rule).for_each(|(_, counts)| sum.add(counts));
                value(rule.metric, &sum, self.bounds_us).map(plain)
            }
            Metric::CrashLoop => {
                let all = self.of_function(&self.crashes, app, rule);
                let most = all.max_by_key(|(_, crashes)| **crashes);
                let of = |(app, function): &(AppName, FunctionName)| format!("function {app}/{function}");
                let sample = most.map(|(key, crashes)| Sample { value: crashes * 1000, of: Some(of(key)) });
                // No instance is no crash.
                Some(sample.unwrap_or_default())
            }
            Metric::Lag => {
                let all = self.lags.iter().filter(|(of, name, topic, _)| {
                    Some(of) == app
                        && rule.subscription.as_ref().is_none_or(|wanted| wanted == name)
                        && rule.topic.as_ref().is_none_or(|wanted| wanted == topic)
                });
                let most = all.max_by_key(|(_, _, _, lag)| *lag);
                most.map(|(_, name, _, lag)| Sample {
                    value: lag * 1000,
                    of: Some(format!("subscription {name}")),
                })
            }
            Metric::DeadLetters => {
                let topics = dead_topics(app?, rule, table);
                let letters = topics.iter().filter_map(|topic| Some((topic, *self.letters.get(topic)?)));
                let most = letters.max_by_key(|(_, letters)| *letters);
                let sample = most.map(|(topic, letters)| Sample {
                    value: letters * 1000,
                    of: Some(format!("topic {topic}")),
                });
                Some(sample.unwrap_or_default())
            }
            Metric::CertificateAge => self.certificate.map(|(age_us, _)| plain(age_us)),
            Metric::CertificateLeft => self.certificate.map(|(_, left_us)| plain(left_us)),
            Metric::DiskFree => self.disk_free.map(plain),
            // Budgets have their own look.
            Metric::Budget => None,
        }
    }

    fn of_function<'a, T>(
        &self,
        all: &'a BTreeMap<(AppName, FunctionName), T>,
        app: Option<&'a AppName>,
        rule: &'a AlertSpec,
    ) -> impl Iterator<Item = (&'a (AppName, FunctionName), &'a T)> {
        all.iter().filter(move |((of, function), _)| {
            app.is_none_or(|app| app == of) && rule.function.as_ref().is_none_or(|wanted| wanted == function)
        })
    }
}

const fn plain(value: u64) -> Sample {
    Sample { value, of: None }
}

/// Where the dead letters of a rule are: of its topic, its subscription, or of everything that the app has.
fn dead_topics(app: &AppName, rule: &AlertSpec, table: &LiveTable) -> BTreeSet<TopicName> {
    if let Some(topic) = &rule.topic {
        return BTreeSet::from([topic.clone(), topic.dead()]);
    }
    let Some(live) = table.app(app.as_str()) else { return BTreeSet::new() };
    let triggers = &live.current.spec.triggers;
    if let Some(name) = &rule.subscription {
        let of_topic = triggers.subscriptions.get(name).map(|spec| &spec.delivery);
        let of_schedule = triggers.schedules.get(name).map(|spec| &spec.delivery);
        return of_topic.or(of_schedule).map(|delivery| delivery.dead_letter.clone()).into_iter().collect();
    }
    let of_triggers = triggers.deliveries().map(|delivery| delivery.dead_letter.clone());
    of_triggers.chain([TopicName::own("calls", app).dead()]).collect()
}
