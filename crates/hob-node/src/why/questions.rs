//! What is known of things that have no id: a schedule, a function, an app, a code.

use super::RECENT;
use super::Why;
use crate::bus::position::Key;
use crate::clock::now_ms;
use crate::live::LiveRevision;
use hob_core::code::Code;
use hob_core::fact::{About, FactQuery, What};
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName, TriggerName};
use hob_core::near::nearest;
use hob_core::why::change::{self, AppEvidence};
use hob_core::why::question::{self, FunctionEvidence};
use hob_core::why::trigger;
use hob_core::wire::{ScheduleInfo, Story};

/// How far back a question about a function looks unless it says so, milliseconds.
const LOOK_BACK_MS: u64 = 3_600_000;

impl Why {
    /// Why a schedule ran, or did not.
    pub(super) async fn of_schedule(&self, asked: &str, app: Option<&AppName>) -> Result<Story> {
        let (app, name) = match asked.split_once('/') {
            Some((app, name)) => (Some(AppName::new(app)?), name),
            None => (app.cloned(), asked),
        };
        let all = self.schedules.list().await?;
        let wanted = |info: &&ScheduleInfo| app.as_ref().is_none_or(|app| info.app == *app);
        match all.iter().filter(wanted).find(|info| info.name.as_str() == name) {
            Some(info) => self.story_of_schedule(info).await,
            None => {
                TriggerName::new(name)?;
                let near = nearest(name, all.iter().filter(wanted).map(|info| info.name.as_str()));
                Ok(question::no_such("schedule", Code::ScheduleNotFound, asked, near))
            }
        }
    }

    pub(super) async fn story_of_schedule(&self, info: &ScheduleInfo) -> Result<Story> {
        let key = Key::new(&info.app, &info.name);
        let facts = self.find(About::Trigger(key.app, key.name), RECENT).await?;
        let newest = facts.iter().rev().find_map(|fact| match &fact.what {
            What::Call(call) => Some((fact, call)),
            _ => None,
        });
        let last = match newest {
            Some((fact, call)) => Some(self.known_of(fact, call).await?.cause(call)),
            None => None,
        };
        Ok(trigger::schedule(info, &facts, last.as_ref(), now_ms()))
    }

    /// How a function does.
    pub(super) async fn of_function(
        &self,
        asked: &str,
        app: Option<&AppName>,
        since_ms: Option<u64>,
    ) -> Result<Story> {
        let (app, name) = match asked.split_once('/') {
            Some((app, name)) => (Some(AppName::new(app)?), name),
            None => (app.cloned(), asked),
        };
        let function = FunctionName::new(name)?;
        match self.app_of(app.as_ref(), &function) {
            Some(app) => self.story_of_function(&app, &function, since_ms).await,
            None => {
                // Its app may not be there at all, for a reason that is known.
                let known = app.as_ref().filter(|app| self.live.load().app(app.as_str()).is_none());
                if let Some(known) = known
                    && let Some(story) = self.of_app(known).await?
                {
                    return Ok(story);
                }
                let table = self.live.load();
                let apps =
                    table.apps().values().filter(|one| app.as_ref().is_none_or(|app| one.name == *app));
                let names = apps.flat_map(|one| {
                    let app = app.as_ref().map(|app| format!("{app}/")).unwrap_or_default();
                    one.current.functions.keys().map(move |name| format!("{app}{name}"))
                });
                let all: Vec<String> = names.collect();
                let asked_as = app.as_ref().map_or_else(|| name.to_owned(), |app| format!("{app}/{name}"));
                let near = nearest(&asked_as, all.iter().map(String::as_str));
                Ok(question::no_such("function", Code::FunctionNotFound, asked, near))
            }
        }
    }

    pub(super) async fn story_of_function(
        &self,
        app: &AppName,
        function: &FunctionName,
        since_ms: Option<u64>,
    ) -> Result<Story> {
        let since_ms = since_ms.unwrap_or_else(|| now_ms().saturating_sub(LOOK_BACK_MS));
        let query = |about, kinds: &[&'static str], since_ms| FactQuery {
            kinds: kinds.to_vec(),
            since_ms,
            ..FactQuery::newest(about, 2000)
        };
        let own = About::Function(app.clone(), function.clone());
        let mut facts = self.telemetry.find(query(own, &["call", "instance", "alert"], since_ms)).await?;
        let changes = self
            .telemetry
            .find(FactQuery { limit: 20, ..query(About::App(app.clone()), &["changed"], 0) })
            .await?;
        facts.extend(changes);
        facts.sort_by_key(|fact| fact.time_ms);
        let (failed, slow) = self.worst(&facts).await?;
        let live = self.live.load().app(app.as_str()).cloned();
        let leads = live.as_ref().map(|app| leads(&app.current, function)).unwrap_or_default();
        let pool = live.as_ref().and_then(|app| app.current.functions.made_of(function.as_str()));
        let evidence = FunctionEvidence {
            facts: &facts,
            failed,
            slow,
            current: live.as_ref().map(|app| app.current.number),
            calls: pool.map_or(0, |pool| pool.stats().calls),
            leads: &leads,
            since_ms,
        };
        Ok(question::function(app, function, &evidence))
    }

    /// How an app is; `None` when nothing is known of it.
    pub(super) async fn of_app(&self, app: &AppName) -> Result<Option<Story>> {
        let changes = self.changes(app).await?;
        let live = self.live.load().app(app.as_str()).cloned();
        let query = FactQuery {
            since_ms: now_ms().saturating_sub(LOOK_BACK_MS),
            ..FactQuery::newest(About::App(app.clone()), RECENT)
        };
        let calls = self.telemetry.find(FactQuery { kinds: vec!["call"], failed: true, ..query }).await?;
        let (failed, _) = self.worst(&calls).await?;
        let pools =
            live.as_ref().map(|app| app.current.functions.made().map(|pool| pool.stats().calls).sum());
        let evidence = AppEvidence {
            current: live.as_ref().map(|app| app.current.number),
            changes: &changes,
            failed,
            calls: pools.unwrap_or(0),
            now_ms: now_ms(),
        };
        Ok(change::app(app, &evidence))
    }

    /// What a code means, and how it occurred lately.
    pub(super) async fn of_code(&self, code: Code) -> Result<Story> {
        let query = FactQuery::newest(About::Code(code.text().to_owned()), RECENT);
        let facts = self.telemetry.find(FactQuery { failed: true, ..query.clone() }).await?;
        let last = self.newest_failure(query).await?;
        Ok(question::code(code, &facts, last.as_ref()))
    }
}

/// What leads to a function.
fn leads(revision: &LiveRevision, function: &FunctionName) -> Vec<String> {
    let (spec, triggers) = (&revision.spec, &revision.spec.triggers);
    let routes = spec
        .routes
        .iter()
        .filter(|route| route.function == *function)
        .map(|route| format!("route `{}`", route.route));
    let subscriptions = triggers.subscriptions.iter().filter(|(_, one)| one.delivery.function == *function);
    let subscriptions =
        subscriptions.map(|(name, one)| format!("subscription `{name}` on topic `{}`", one.topic));
    let schedules = triggers.schedules.iter().filter(|(_, one)| one.delivery.function == *function);
    let schedules = schedules.map(|(name, one)| format!("schedule `{name}` ({})", one.expression));
    routes.chain(subscriptions).chain(schedules).collect()
}
