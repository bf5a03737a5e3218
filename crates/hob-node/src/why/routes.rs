//! What is known of a request that somebody would make, or made: who answers it, and how it went lately.

use super::{RECENT, Why};
use crate::gateway::routing::{self, Choice};
use crate::live::{LiveApp, LiveRevision};
use hob_core::code::Code;
use hob_core::fact::{About, Call, Fact, What};
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName};
use hob_core::route::{self, Address, Match, Table};
use hob_core::spec::RouteSpec;
use hob_core::why::change::{absent, surprise};
use hob_core::why::route::{RouteAnswer, RouteEvidence};
use hob_core::wire::Story;
use std::sync::Arc;

/// A request that somebody would make.
struct Wanted {
    method: String,
    host: Option<String>,
    path: String,
    /// Another protocol is asked for: `ws://…`.
    upgrade: bool,
}

impl Wanted {
    /// Reads `POST /x`, `/x`, `http://host/x`, `GET host/x` or `ws://host/x`.
    fn parse(text: &str) -> Self {
        let text = text.trim();
        let (method, target) = match text.split_once(char::is_whitespace) {
            Some((method, target)) => (method.to_ascii_uppercase(), target.trim()),
            None => ("GET".to_owned(), text),
        };
        let (scheme, target) = target.split_once("://").unwrap_or(("", target));
        let (host, path) = match target.find('/') {
            Some(0) => (None, target),
            Some(slash) => (Some(&target[..slash]), &target[slash..]),
            None if target.is_empty() => (None, "/"),
            None => (Some(target), "/"),
        };
        let path = path.split(['?', '#']).next().unwrap_or("/").to_owned();
        let upgrade = matches!(scheme, "ws" | "wss");
        Self { method, host: host.map(|host| routing::host_name(host).into_owned()), path, upgrade }
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
        let answer = self.answer_to(&wanted.method, &host, &wanted.path).await?;
        let facts = self.like(&wanted, &host, &answer).await?;
        let evidence = RouteEvidence {
            failed: self.failed_like(&facts).await?,
            surprise: self.surprise_of(&answer).await?,
            upgrade: self.cannot_switch(&wanted, &answer),
            facts: &facts,
        };
        let shown = format!(
            "{} {}{}",
            wanted.method,
            wanted.host.as_deref().map(|host| format!("http://{host}")).unwrap_or_default(),
            wanted.path
        );
        Ok(hob_core::why::route::route(&shown, &answer, &evidence))
    }

    /// The newest of these requests that did not go well, how many did not, and how many there are.
    async fn failed_like(&self, facts: &[Fact]) -> Result<Option<(hob_core::why::Cause, usize, usize)>> {
        let of = facts.iter().filter(|fact| matches!(fact.what, What::Call(_) | What::Published(_))).count();
        let failed = |fact: &&Fact| match &fact.what {
            What::Call(call) => call.failed() || call.status >= Some(400),
            What::Published(event) => event.failure.is_some(),
            _ => false,
        };
        let (count, newest) = (facts.iter().filter(failed).count(), facts.iter().rfind(failed));
        Ok(match newest.map(|fact| (fact, &fact.what)) {
            Some((fact, What::Call(call))) => Some((self.known_of(fact, call).await?.cause(call), count, of)),
            Some((_, What::Published(event))) => {
                event.failure.as_ref().map(|failure| (hob_core::why::cause::plain(failure), count, of))
            }
            _ => None,
        })
    }

    async fn surprise_of(&self, answer: &RouteAnswer) -> Result<Option<hob_core::why::Cause>> {
        let RouteAnswer::Function { app, revision, .. } = answer else { return Ok(None) };
        Ok(surprise(&self.changes(app).await?, *revision, u64::MAX))
    }

    /// Why the function that answers cannot switch to another protocol, if one is asked for.
    fn cannot_switch(&self, wanted: &Wanted, answer: &RouteAnswer) -> Option<String> {
        let RouteAnswer::Function { app, revision, function, .. } = answer else { return None };
        let live = self.live.load().revision(app, *revision)?;
        let contract = &live.spec.functions.get(function)?.contract;
        (wanted.upgrade && contract != "http").then(|| {
            format!("a WebSocket is asked for, and only servers of contract `http` can switch protocols: `{function}` has `{contract}`")
        })
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

    /// Who answers such a request now.
    pub(super) async fn answer_to(&self, method: &str, host: &str, path: &str) -> Result<RouteAnswer> {
        let mut answer = self.answer(method, host, path);
        if let RouteAnswer::Nobody { code: Code::HostUnknown, absent: gone, .. } = &mut answer
            && let Address::App(app) | Address::Function(_, app) | Address::Revision(_, app) =
                route::address(host, &self.rules.addresses.domain)
        {
            *gone = absent(&app, &self.changes(&app).await?);
        }
        Ok(answer)
    }

    fn answer(&self, method: &str, host: &str, path: &str) -> RouteAnswer {
        if path.starts_with(crate::calls::PATH) {
            return RouteAnswer::Call;
        }
        let table = self.live.load();
        let app = routing::app(&table, &self.rules, host);
        match routing::find(&table, &self.rules, method, host, path) {
            Ok(Choice::Function(found)) => {
                let (revision, function) = (&found.revision, found.pool.code().name.clone());
                let (route, shadowed) = match &found.route {
                    Some(_) => written(revision, (method, host, path), &function),
                    None => (None, Vec::new()),
                };
                let (app, revision) = (revision.app.clone(), revision.number);
                RouteAnswer::Function { app, revision, function, route, shadowed }
            }
            Ok(Choice::Events(revision, topic, route)) => {
                RouteAnswer::Events { app: revision.app.clone(), topic, route }
            }
            Ok(Choice::Call(_)) => RouteAnswer::Call,
            Ok(choice @ (Choice::NotAllowed(..) | Choice::Options(_))) => match (app, choice) {
                (Some(app), Choice::NotAllowed(_, allowed)) => {
                    RouteAnswer::Method { app: app.name.clone(), allowed }
                }
                (Some(app), Choice::Options(allowed)) => {
                    RouteAnswer::Options { app: app.name.clone(), allowed }
                }
                _ => nobody(&Fault::new(Code::HostUnknown, "no app answers"), None),
            },
            Err(fault) => match (app, route::address(host, &self.rules.addresses.domain)) {
                (Some(app), Address::Function(function, _))
                    if app.current.functions.contains_key(&function) =>
                {
                    RouteAnswer::Private { app: app.name.clone(), function }
                }
                (app, _) => nobody(&fault, app),
            },
        }
    }

    /// Routes that match a call's request too, as far as its revision still answers.
    pub(super) fn shadowed(&self, call: &Call) -> Vec<(String, FunctionName)> {
        let revision = self.live.load().revision(&call.app, call.revision);
        let (Some(revision), Some(host), Some(_)) = (revision, &call.host, &call.route) else {
            return Vec::new();
        };
        let host = routing::host_name(host);
        written(&revision, (&call.method, &host, &call.path), &call.function).1
    }

    /// Recent requests of that kind.
    async fn like(&self, wanted: &Wanted, host: &str, answer: &RouteAnswer) -> Result<Vec<Fact>> {
        let about = match answer {
            RouteAnswer::Function { app, function, .. } => About::Function(app.clone(), function.clone()),
            RouteAnswer::Events { topic, .. } => About::Topic(topic.clone()),
            RouteAnswer::Method { app, .. }
            | RouteAnswer::Options { app, .. }
            | RouteAnswer::Private { app, .. }
            | RouteAnswer::Nobody { app: Some(app), .. } => About::App(app.clone()),
            RouteAnswer::Nobody { app: None, .. } | RouteAnswer::Call => About::Everything,
        };
        let kinds: &[&'static str] = match answer {
            RouteAnswer::Function { .. } => &["call"],
            RouteAnswer::Events { .. } => &["published"],
            _ => &["refused"],
        };
        let mut facts = self.find_kinds(about, kinds, RECENT).await?;
        facts.retain(|fact| match &fact.what {
            What::Call(call) => call.method == wanted.method && call.path == wanted.path,
            What::Refused(refused) => {
                refused.method == wanted.method
                    && refused.path == wanted.path
                    && (wanted.host.is_none() || refused.host == host)
            }
            What::Published(_) => true,
            _ => false,
        });
        Ok(facts)
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
        absent: None,
    }
}

/// The route that won, as it was written, and those that match too.
fn written(
    revision: &LiveRevision,
    (method, host, path): (&str, &str, &str),
    winner: &FunctionName,
) -> (Option<String>, Vec<(String, FunctionName)>) {
    let matches = |route: &&RouteSpec| {
        let alone = Table::new(std::slice::from_ref(*route), &[]);
        alone.is_ok_and(|table| matches!(table.find(method, host, false, path), Match::Function { .. }))
    };
    let all: Vec<&RouteSpec> = revision.spec.routes.iter().filter(matches).collect();
    let won = match Table::new(&revision.spec.routes, &[]) {
        Ok(table) => match table.find(method, host, false, path) {
            Match::Function { path: pattern, .. } => all
                .iter()
                .find(|route| route.function == *winner && route.route.ends_with(pattern))
                .map(|route| route.route.clone()),
            _ => None,
        },
        Err(_) => None,
    };
    let others = all.into_iter().filter(|route| Some(&route.route) != won.as_ref());
    let others = others.map(|route| (route.route.clone(), route.function.clone())).collect();
    (won, others)
}
