//! The board: every rule with how it stands, and those that fire stored.

use super::Alerts;
use super::tell;
use crate::bus::position;
use crate::live::LiveTable;
use crate::sync::lock;
use hob_core::alert::{Alert, Sample, Turn, describe, next, show};
use hob_core::event::record::Stored;
use hob_core::fact::{AlertChanged, What};
use hob_core::fault::Result;
use hob_core::name::{AppName, TopicName};
use hob_core::port::{Durability, State};
use hob_core::watch::{ALERT_TOPIC, AlertSpec, Bound, BudgetSpec, Metric};
use hob_core::wire::AlertInfo;
use hob_core::{limit, unit};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Where firing alerts are stored.
const KEY: &str = "alerts";
/// Events that wait to be published while the log takes none.
const UNSENT_MAX: usize = 1000;

/// A rule's place: its app, `None` for the node's own, and its name.
pub(super) type Name = (Option<AppName>, String);

/// Every rule with how it stands.
pub(super) struct Board {
    rules: BTreeMap<Name, (AlertSpec, Alert)>,
    /// Of the entry in the store.
    version: Option<u64>,
    /// What is stored.
    stored: Firing,
    unsent: VecDeque<(TopicName, Stored)>,
}

/// What is stored: alerts that fire, with their rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Firing(Vec<(Name, AlertSpec, Alert)>);

impl Board {
    pub(super) async fn load(state: &dyn State) -> Result<Self> {
        let loaded = position::load::<Firing>(state, KEY).await?;
        let (stored, version): (Firing, _) =
            loaded.map_or_else(Default::default, |(stored, version)| (stored, Some(version)));
        let rules = stored.0.iter().map(|(name, rule, alert)| (name.clone(), (rule.clone(), alert.clone())));
        Ok(Self { rules: rules.collect(), version, stored, unsent: VecDeque::new() })
    }

    pub(super) fn list(&self, app: Option<&AppName>) -> Vec<AlertInfo> {
        let wanted = self.rules.iter().filter(|((of, _), _)| app.is_none() || of.as_ref() == app);
        wanted
            .map(|((app, name), (rule, alert))| AlertInfo {
                app: app.clone(),
                name: name.clone(),
                rule: describe(rule),
                spec: rule.clone(),
                state: alert.state,
                last: alert.last.clone(),
                value: alert.last.as_ref().map(|sample| show(rule.metric, sample.value)),
                next: next(app.as_ref(), rule),
            })
            .collect()
    }

    fn firing(&self) -> Firing {
        let firing = self.rules.iter().filter(|(_, (_, alert))| alert.is_firing());
        // The last value changes all the time and means nothing after a restart.
        let stored = |(name, (rule, alert)): (&Name, &(AlertSpec, Alert))| {
            (name.clone(), rule.clone(), Alert { state: alert.state, last: None })
        };
        Firing(firing.map(stored).collect())
    }

    /// Takes one sample for each rule of now; those that are gone end.
    fn step(
        &mut self,
        rules: BTreeMap<Name, AlertSpec>,
        mut sample: impl FnMut(&Name, &AlertSpec) -> Option<Sample>,
        now_ms: u64,
    ) -> Vec<(Name, AlertSpec, Turn, Option<Sample>)> {
        let mut turns = Vec::new();
        let gone: Vec<Name> = self.rules.keys().filter(|name| !rules.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some((rule, mut alert)) = self.rules.remove(&name)
                && let Some(turn) = alert.end()
            {
                turns.push((name, rule, turn, None));
            }
        }
        for (name, rule) in rules {
            let sample = sample(&name, &rule);
            let (known, alert) =
                self.rules.entry(name.clone()).or_insert_with(|| (rule.clone(), Alert::default()));
            *known = rule;
            if let Some(turn) = alert.step(known, sample.clone(), now_ms) {
                turns.push((name, known.clone(), turn, sample));
            }
        }
        turns
    }
}

/// The rules of an app: those that it has written, and those of its budgets.
fn rules_of(app: &AppName, watch: &hob_core::watch::Watch) -> Vec<(Name, AlertSpec)> {
    let named = |name: String| (Some(app.clone()), name);
    let written = watch.alerts.iter().map(|(name, rule)| (named(name.to_string()), rule.clone()));
    let of_budgets = watch.budgets().flat_map(|(function, budget)| {
        told_at(budget).into_iter().map(move |percent| {
            let of = function.map(|function| format!("{function}-")).unwrap_or_default();
            let rule = AlertSpec {
                metric: Metric::Budget,
                bound: Bound::AtLeast(u64::from(percent) * 1000),
                for_ms: 0,
                function: function.cloned(),
                topic: None,
                subscription: None,
                publish: budget.publish.clone(),
            };
            (named(format!("hob-budget-{of}{percent}")), rule)
        })
    });
    written.chain(of_budgets).collect()
}

/// When somebody is told of a budget: always when it stops.
fn told_at(budget: &BudgetSpec) -> Vec<u32> {
    let mut told = budget.alert.clone();
    told.extend(budget.stop.then_some(100));
    told.sort_unstable();
    told.dedup();
    told
}

/// What the node tells of by itself.
fn own_rules(with_certificate: bool) -> Result<Vec<(Name, AlertSpec)>> {
    let publish = TopicName::new(ALERT_TOPIC)?;
    let rule = |metric, bound, for_ms| AlertSpec {
        metric,
        bound,
        for_ms,
        function: None,
        topic: None,
        subscription: None,
        publish: publish.clone(),
    };
    let minute = unit::millis(limit::ALERT_FOR_DEFAULT);
    let left = unit::millis(limit::CERTIFICATE_LEFT_MIN) * 1000;
    let certificate = rule(Metric::CertificateLeft, Bound::Below(left), 0);
    let mut rules = vec![
        ("hob-crash-loop", rule(Metric::CrashLoop, Bound::Above(limit::CRASHES_TOLD_ABOVE * 1000), 0)),
        ("hob-disk", rule(Metric::DiskFree, Bound::Below(limit::DISK_FREE_PERCENT_MIN * 1000), minute)),
    ];
    rules.extend(with_certificate.then_some(("hob-certificate", certificate)));
    Ok(rules.into_iter().map(|(name, rule)| ((None, name.to_owned()), rule)).collect())
}

impl Alerts {
    /// Measures what the rules ask for, and tells what has begun or ended.
    pub(super) async fn look_at_rules(&self, table: &LiveTable, now_ms: u64) -> Result<()> {
        let mut rules: BTreeMap<Name, AlertSpec> =
            own_rules(lock(&self.sampler).has_certificate())?.into_iter().collect();
        for app in table.acting().values() {
            rules.extend(rules_of(&app.name, &app.current.spec.watch));
        }
        let measured = self.measure(&rules, now_ms).await?;
        let turns = {
            let budgets = lock(&self.budgets);
            let sample = |(app, _): &Name, rule: &AlertSpec| match (app, rule.metric) {
                (Some(app), Metric::Budget) => {
                    let standing = budgets.standing(app, rule.function.as_ref())?;
                    Some(Sample { value: standing.used, of: Some(standing.text.clone()) })
                }
                _ => measured.sample(app.as_ref(), rule, table),
            };
            lock(&self.board).step(rules, sample, now_ms)
        };
        for (name, rule, turn, sample) in &turns {
            self.tell(name, rule, *turn, sample.as_ref(), now_ms);
        }
        self.publish().await;
        self.store_firing().await
    }

    fn tell(&self, (app, name): &Name, rule: &AlertSpec, turn: Turn, sample: Option<&Sample>, now_ms: u64) {
        let told = tell::Told { app: app.as_ref(), name, rule, turn, sample, now_ms };
        let on = matches!(turn, Turn::Began { .. });
        let changed = AlertChanged {
            app: app.clone(),
            function: rule.function.clone(),
            alert: name.clone(),
            on,
            text: told.text(),
        };
        tracing::warn!(app = app.as_ref().map(tracing::field::display), alert = %name, on, "{}", changed.text);
        self.bus.telemetry().now(None, What::Alert(Box::new(changed)));
        let mut board = lock(&self.board);
        if board.unsent.len() >= UNSENT_MAX {
            board.unsent.pop_front();
        }
        board.unsent.push_back((rule.publish.clone(), Stored::new(told.event())));
    }

    /// Publishes what waits for it, in order; what the log does not take stays.
    async fn publish(&self) {
        loop {
            let Some((topic, stored)) = lock(&self.board).unsent.front().cloned() else { return };
            if let Err(fault) = self.bus.publish(&topic, vec![stored], Durability::Disk).await {
                tracing::error!(%fault, %topic, "an alert could not be published; it is tried again");
                return;
            }
            lock(&self.board).unsent.pop_front();
        }
    }

    /// Stores which alerts fire, if that has changed.
    async fn store_firing(&self) -> Result<()> {
        let (firing, write) = {
            let board = lock(&self.board);
            let firing = board.firing();
            if firing == board.stored {
                return Ok(());
            }
            let write = position::write(KEY.to_owned(), &firing, board.version)?;
            (firing, write)
        };
        self.bus.state().commit(vec![write]).await?;
        let mut board = lock(&self.board);
        board.version = Some(board.version.unwrap_or(0) + 1);
        board.stored = firing;
        Ok(())
    }
}
