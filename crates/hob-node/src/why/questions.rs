//! What is known of things that have no id: a request that somebody would make, a topic, a schedule, a function, a code.

use super::events::explain;
use super::{RECENT, Why};
use crate::bus::position::Key;
use crate::clock::now_ms;
use crate::gateway::routing::{self, Choice};
use crate::live::{LiveApp, LiveRevision};
use hob_core::code::Code;
use hob_core::event::Event;
use hob_core::fact::{About, Fact, FactQuery, What};
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName, TopicName, TriggerName};
use hob_core::near::nearest;
use hob_core::route::{Match, Table};
use hob_core::spec::RouteSpec;
use hob_core::why::question::{self, FunctionEvidence, RouteAnswer, TopicTried};
use hob_core::why::trigger;
use hob_core::wire::{ScheduleInfo, Story};
use std::sync::Arc;

/// How far back a question about a function looks unless it says so, milliseconds.
const LOOK_BACK_MS: u64 = 3_600_000;

/// A request that somebody would make.
struct Wanted {
    method: String,
    host: Option<String>,
    path: String,
}

impl Wanted {
    /// Reads `POST /x`, `/x`, `http://host/x` or `GET host/x`.
    fn parse(text: &str) -> Self {
        let text = text.trim();
        let (method, target) = match text.split_once(char::is_whitespace) {
            Some((method, target)) => (method.to_ascii_uppercase(), target.trim()),
            None => ("GET".to_owned(), text),
        };
        let target =
            target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")).unwrap_or(target);
        let (host, path) = match target.find('/') {
            Some(0) => (None, target),
            Some(slash) => (Some(&target[..slash]), &target[slash..]),
            None if target.is_empty() => (None, "/"),
            None => (Some(target), "/"),
        };
        let path = path.split(['?', '#']).next().unwrap_or("/").to_owned();
        Self { method, host: host.map(|host| routing::host_name(host).into_owned()), path }
    }
}

impl Why {
    /// Who would answer a request.
    pub(super) async fn of_route(&self, asked: &str, app: Option<&AppName>) -> Result<Story> {
        let wanted = Wanted::parse(asked);
        let host = match (&wanted.host, app) {
            (Some(host), _) => host.clone(),
            (None, Some(app)) => format!("{app}.{}", self.rules.addresses.domain),
            (None, None) => self.any_host(&wanted),
        };
        let answer = self.answer(&wanted, &host);
        let facts = self.like(&wanted, &answer).await?;
        let last =
            match facts.iter().rev().find(|fact| matches!(&fact.what, What::Call(call) if call.failed())) {
                Some(fact) => self.worst(std::slice::from_ref(fact)).await?.0,
                None => None,
            };
        let shown = format!(
            "{} {}{}",
            wanted.method,
            wanted.host.as_deref().map(|host| format!("http://{host}")).unwrap_or_default(),
            wanted.path
        );
        Ok(question::route(&shown, &answer, &facts, last.as_ref()))
    }

    /// A host on which somebody may have meant the request: of the app that answers it, else of the only or default one.
    fn any_host(&self, wanted: &Wanted) -> String {
        let table = self.live.load();
        let found = routing::find(&table, &self.rules, &wanted.method, "", &wanted.path);
        if !matches!(&found, Err(fault) if fault.code() == Code::HostUnknown) {
            return String::new();
        }
        let mut apps: Vec<&Arc<LiveApp>> = table.apps().values().collect();
        apps.sort_by(|a, b| a.name.cmp(&b.name));
        let host = |app: &Arc<LiveApp>| format!("{}.{}", app.name, self.rules.addresses.domain);
        let answers = |app: &&&Arc<LiveApp>| {
            matches!(
                routing::find(&table, &self.rules, &wanted.method, &host(app), &wanted.path),
                Ok(Choice::Function(_) | Choice::Events(..))
            )
        };
        apps.iter().find(answers).map(|app| host(app)).unwrap_or_default()
    }

    fn answer(&self, wanted: &Wanted, host: &str) -> RouteAnswer {
        let table = self.live.load();
        let app = routing::app(&table, &self.rules, host);
        match routing::find(&table, &self.rules, &wanted.method, host, &wanted.path) {
            Ok(Choice::Function(found)) => {
                let (revision, function) = (&found.revision, found.pool.code().name.clone());
                let (route, shadowed) = match &found.route {
                    Some(_) => written(revision, wanted, host, &function),
                    None => (None, Vec::new()),
                };
                let (app, revision) = (revision.app.clone(), revision.number);
                RouteAnswer::Function { app, revision, function, route, shadowed }
            }
            Ok(Choice::Events(revision, topic, route)) => {
                RouteAnswer::Events { app: revision.app.clone(), topic, route }
            }
            Ok(Choice::NotAllowed(_, allowed) | Choice::Options(allowed)) => match app {
                Some(app) => RouteAnswer::Method { app: app.name.clone(), allowed },
                None => nobody(&Fault::new(Code::HostUnknown, "no app answers"), None),
            },
            Ok(Choice::Call(_)) => {
                nobody(&Fault::new(Code::AsyncCallNotFound, "it reads an asynchronous call"), None)
            }
            Err(fault) => nobody(&fault, app),
        }
    }

    /// Recent requests of that kind.
    async fn like(&self, wanted: &Wanted, answer: &RouteAnswer) -> Result<Vec<Fact>> {
        let about = match answer {
            RouteAnswer::Function { app, function, .. } => About::Function(app.clone(), function.clone()),
            RouteAnswer::Events { topic, .. } => About::Topic(topic.clone()),
            RouteAnswer::Method { app, .. } | RouteAnswer::Nobody { app: Some(app), .. } => {
                About::App(app.clone())
            }
            RouteAnswer::Nobody { app: None, .. } => About::Everything,
        };
        let mut facts = self.find_kinds(about, &["call", "refused", "published"], RECENT).await?;
        facts.retain(|fact| match &fact.what {
            What::Call(call) => call.method == wanted.method && call.path == wanted.path,
            What::Refused(refused) => refused.method == wanted.method && refused.path == wanted.path,
            What::Published(_) => matches!(answer, RouteAnswer::Events { .. }),
            _ => false,
        });
        Ok(facts)
    }

    /// Why events of a topic do not arrive.
    pub(super) async fn of_topic(&self, topic: &TopicName, kind: Option<&str>) -> Result<Story> {
        let known = self.bus.log().topics().await?;
        let events = known.iter().find(|(name, _)| name == topic).map(|(_, state)| state.next - state.first);
        let topics: Vec<TopicName> =
            known.into_iter().map(|(name, _)| name).filter(|name| !name.is_own()).collect();
        let mut tried = Vec::new();
        for info in self.delivery.list().await.into_iter().filter(|info| info.spec.topic == *topic) {
            let event = kind.map(|kind| Event::new("?", "?", kind));
            let left_out = event.and_then(|event| explain(&info.spec, &event)).filter(by_type);
            tried.push(TopicTried { info, left_out });
        }
        let facts = self.find_kinds(About::Topic(topic.clone()), &["published"], RECENT).await?;
        let of_kind = |fact: &Fact| matches!(&fact.what, What::Published(event) if kind.is_none_or(|kind| event.kind == kind));
        let facts: Vec<Fact> = facts.into_iter().filter(of_kind).collect();
        Ok(question::topic((topic, kind), events, &tried, (&topics, &self.subscribed()), &facts))
    }

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
                let fault = Fault::new(Code::ScheduleNotFound, format!("there is no schedule `{asked}`"));
                Err(match nearest(name, all.iter().filter(wanted).map(|info| info.name.as_str())) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("`hob cron ls` lists them"),
                })
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
                let table = self.live.load();
                let all: Vec<String> = table
                    .apps()
                    .values()
                    .flat_map(|app| app.current.functions.keys().map(ToString::to_string))
                    .collect();
                let fault = Fault::new(Code::FunctionNotFound, format!("no app has a function `{asked}`"));
                Err(match nearest(name, all.iter().map(String::as_str)) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("`hob ls` lists them"),
                })
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
        let pool = live.as_ref().and_then(|app| app.current.functions.get(function).cloned());
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

    /// What a code means, and how it occurred lately.
    pub(super) async fn of_code(&self, code: Code) -> Result<Story> {
        let query = FactQuery::newest(About::Code(code.text().to_owned()), RECENT);
        let facts = self.telemetry.find(FactQuery { failed: true, ..query.clone() }).await?;
        let last = self.newest_failure(query).await?;
        Ok(question::code(code, &facts, last.as_ref()))
    }
}

/// With a type alone in mind, only a clause about the type tells anything.
fn by_type(reason: &hob_core::fact::SkipReason) -> bool {
    match reason {
        hob_core::fact::SkipReason::Filter { clause, wanted, .. } => {
            clause.ends_with(".type") || wanted.contains("type") || matches!(clause.as_str(), "any" | "all")
        }
        _ => true,
    }
}

fn nobody(fault: &Fault, app: Option<&Arc<LiveApp>>) -> RouteAnswer {
    let routes = app.map(|app| app.current.spec.routes.iter().map(|route| route.route.clone()).collect());
    RouteAnswer::Nobody {
        code: fault.code(),
        message: fault.message().to_owned(),
        hint: fault.hint_text().map(str::to_owned),
        app: app.map(|app| app.name.clone()),
        routes: routes.unwrap_or_default(),
    }
}

/// The route that won, as it was written, and those that match too.
fn written(
    revision: &LiveRevision,
    wanted: &Wanted,
    host: &str,
    winner: &FunctionName,
) -> (Option<String>, Vec<(String, FunctionName)>) {
    let matches = |route: &&RouteSpec| {
        let alone = Table::new(std::slice::from_ref(*route), &[]);
        alone.is_ok_and(|table| {
            matches!(table.find(&wanted.method, host, false, &wanted.path), Match::Function { .. })
        })
    };
    let all: Vec<&RouteSpec> = revision.spec.routes.iter().filter(matches).collect();
    let won = match Table::new(&revision.spec.routes, &[]) {
        Ok(table) => match table.find(&wanted.method, host, false, &wanted.path) {
            Match::Function { path, .. } => all
                .iter()
                .find(|route| route.function == *winner && route.route.ends_with(path))
                .map(|route| route.route.clone()),
            _ => None,
        },
        Err(_) => None,
    };
    let others = all.into_iter().filter(|route| Some(&route.route) != won.as_ref());
    let others = others.map(|route| (route.route.clone(), route.function.clone())).collect();
    (won, others)
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
