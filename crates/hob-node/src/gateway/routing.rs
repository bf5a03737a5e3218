//! From a request's host, method and path to the pool of a function.
//!
//! **How.** The host decides the app and revision: `<app>.<domain>`, `<function>--<app>.<domain>`,
//! `rev-<n>--<app>.<domain>`, `<alias>--<app>.<domain>` where an alias has an address, a host that a route names, or else the default app. Then the revision's
//! routes decide the function. The path is taken as it came: nothing is decoded and `..` means nothing,
//! so `/a%2Fb` and `/a/../b` match only what is written so, and the function sees the same text.
//!
//! **Not here:** patterns and their order ([`hob_core::route`]).

use crate::apps::Addresses;
use crate::live::{LiveApp, LiveRevision, LiveTable};
use crate::versions::{Versions, pool_of};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName, RevisionNumber, TopicName};
use hob_core::near::nearest;
use hob_core::route::{self, Address, Match};
use hob_runtime::pool::Pool;
use std::borrow::Cow;
use std::sync::Arc;

/// What choosing depends on besides the table.
#[derive(Clone)]
pub(crate) struct Rules {
    /// The app for hosts that name none; `None`: the only one.
    pub(crate) default_app: Option<AppName>,
    /// How addresses are written.
    pub(crate) addresses: Addresses,
    /// Which aliases have one.
    pub(crate) versions: Arc<Versions>,
}

/// Who answers a request.
pub(crate) struct Found {
    /// The revision; holding it keeps it alive.
    pub(crate) revision: Arc<LiveRevision>,
    /// The function's instances.
    pub(crate) pool: Arc<Pool>,
    /// The pattern that matched.
    pub(crate) route: Option<String>,
}

/// The outcome of a look-up that is no fault.
pub(crate) enum Choice {
    /// This function answers.
    Function(Found),
    /// It brings events for this topic; the route as the manifest has it.
    Events(Arc<LiveRevision>, TopicName, String),
    /// It asks for an asynchronous call: what follows [`crate::calls::PATH`].
    Call(String),
    /// Nobody is asked: `OPTIONS` on a path that has no route for it (RFC 9110, 9.3.7). These are allowed.
    Options(String),
    /// The path is not answered for the method: `HOB-0402`, and what is allowed (RFC 9110, 15.5.6).
    NotAllowed(Fault, String),
}

/// The host of `authority` as it is compared: lower case, without port and final dot.
pub(crate) fn host_name(authority: &str) -> Cow<'_, str> {
    let host = match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => &authority[..colon],
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// The app that a host belongs to.
pub(crate) fn app<'a>(table: &'a LiveTable, rules: &Rules, host: &str) -> Option<&'a Arc<LiveApp>> {
    match route::address(host, &rules.addresses.domain) {
        Address::App(app) | Address::Function(_, app) | Address::Revision(_, app) => table.app(app.as_str()),
        Address::Other => table.app_of_host(host).or_else(|| match &rules.default_app {
            Some(name) => table.app(name.as_str()),
            None => table.only(),
        }),
    }
}

/// Chooses who answers. `host` is as [`host_name`] gives it.
///
/// # Errors
/// `HOB-0401`, `HOB-0408`, `HOB-0352` or `HOB-0353`: what is missing, and what there is.
pub(crate) fn find(table: &LiveTable, rules: &Rules, method: &str, host: &str, path: &str) -> Result<Choice> {
    match route::address(host, &rules.addresses.domain) {
        Address::App(app) => {
            let app = table.app(app.as_str()).ok_or_else(|| unknown_host(table, rules, host))?;
            by_route(&app.current, method, host, false, path)
        }
        Address::Function(function, app) => {
            let app = table.app(app.as_str()).ok_or_else(|| unknown_host(table, rules, host))?;
            match rules.versions.behind(&app.name, function.as_str()) {
                Some(version) if !app.current.functions.contains_key(&function) => by_version(app, version),
                _ => by_name(app, &function),
            }
        }
        Address::Revision(number, app) => {
            let app = table.app(app.as_str()).ok_or_else(|| unknown_host(table, rules, host))?;
            let revision = app.kept.get(&number).ok_or_else(|| {
                let what = format!("app `{}` has no revision {number} any more, or not yet", app.name);
                Fault::new(Code::RevisionNotFound, what).hint(format!("hob show {}", app.name))
            })?;
            by_route(revision, method, host, false, path)
        }
        Address::Other => {
            if let Some(app) = table.app_of_host(host) {
                return by_route(&app.current, method, host, true, path);
            }
            let app = match &rules.default_app {
                Some(name) => table.app(name.as_str()),
                None => table.only(),
            };
            let app = app.ok_or_else(|| unknown_host(table, rules, host))?;
            by_route(&app.current, method, host, false, path)
        }
    }
}

/// A version, or what is current, which an alias's address means.
fn by_version(app: &LiveApp, version: Option<(RevisionNumber, u32)>) -> Result<Choice> {
    let found = match version {
        Some((number, version)) => app.kept.get(&number).map(|kept| (kept, pool_of(kept, version))),
        None => {
            let function = app.current.spec.functions.keys().next();
            Some((&app.current, function.and_then(|function| app.current.functions.get(function))))
        }
    };
    let Some((revision, Some(pool))) = found else {
        let what = format!("the version that this alias of app `{}` names is not there", app.name);
        return Err(Fault::new(Code::RevisionNotFound, what).hint(format!("hob show {}", app.name)));
    };
    let (revision, pool) = (Arc::clone(revision), Arc::clone(pool));
    Ok(Choice::Function(Found { revision, pool, route: None }))
}

fn by_name(app: &LiveApp, function: &FunctionName) -> Result<Choice> {
    let pool = app.current.functions.get(function).filter(|pool| !pool.code().spec.private);
    let pool = pool.ok_or_else(|| {
        let what = format!("app `{}` has no function `{function}` that answers from outside", app.name);
        let open = app.current.spec.functions.iter().filter(|(_, spec)| !spec.private);
        let fault = Fault::new(Code::FunctionNotFound, what);
        match nearest(function.as_str(), open.map(|(name, _)| name.as_str())) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("hob ls {}", app.name)),
        }
    })?;
    let (revision, pool) = (Arc::clone(&app.current), Arc::clone(pool));
    Ok(Choice::Function(Found { revision, pool, route: None }))
}

fn by_route(
    revision: &Arc<LiveRevision>,
    method: &str,
    host: &str,
    custom_host: bool,
    path: &str,
) -> Result<Choice> {
    match revision.routes.find(method, host, custom_host, path) {
        Match::Function { function, path } => {
            let pool = revision.functions.get(function).ok_or_else(|| {
                Fault::internal(format!("route `{path}` names function `{function}`, which has no pool"))
            })?;
            let (revision, pool) = (Arc::clone(revision), Arc::clone(pool));
            Ok(Choice::Function(Found { revision, pool, route: Some(path.to_owned()) }))
        }
        Match::Events { topic, written } => {
            Ok(Choice::Events(Arc::clone(revision), topic.clone(), written.to_owned()))
        }
        Match::Method { allowed } if method == "OPTIONS" => Ok(Choice::Options(allow(&allowed))),
        Match::Method { allowed } => {
            let (what, allow) = (format!("`{path}` is not answered for method `{method}`"), allow(&allowed));
            let fault = Fault::new(Code::MethodNotAllowed, what).hint(format!("use {allow}"));
            Ok(Choice::NotAllowed(fault, allow))
        }
        Match::Nothing { nearest } => {
            let fault = Fault::new(
                Code::RouteNotFound,
                format!("no route of app `{}` matches `{path}`", revision.app),
            );
            Err(match nearest {
                Some(route) => fault.hint(format!("the nearest route is `{route}`")),
                None => fault.hint(format!("hob show {} lists its routes", revision.app)),
            })
        }
    }
}

/// The methods for an `Allow` header: what the routes take, and what the gateway itself answers.
fn allow(allowed: &[&str]) -> String {
    let mut methods = allowed.to_vec();
    if !methods.contains(&"OPTIONS") {
        methods.push("OPTIONS");
    }
    methods.join(", ")
}

fn unknown_host(table: &LiveTable, rules: &Rules, host: &str) -> Fault {
    let mut addresses: Vec<String> = table.apps().keys().map(|app| rules.addresses.app(app)).collect();
    addresses.sort_unstable();
    let near = host.strip_suffix(rules.addresses.domain.as_str()).map(|name| name.trim_end_matches('.'));
    let near = near.and_then(|name| nearest(name, table.apps().keys().map(AppName::as_str)));
    let near = near.and_then(|near| table.apps().keys().find(|app| app.as_str() == near));
    let hint = match (near, addresses.as_slice()) {
        (Some(app), _) => format!("did you mean {}?", rules.addresses.app(app)),
        (None, []) => "deploy an app: hob deploy".to_owned(),
        // A node with a thousand apps does not list them all to everybody.
        (None, some) => format!("there is {}", some[..some.len().min(5)].join(", ")),
    };
    Fault::new(Code::HostUnknown, format!("no app answers to host `{host}`")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::host_name;

    #[test]
    fn hosts_are_compared_without_case_port_and_final_dot() {
        for (authority, host) in [
            ("Desk.Localhost:8080", "desk.localhost"),
            ("desk.localhost.", "desk.localhost"),
            ("desk.localhost.:80", "desk.localhost"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1", "127.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(host_name(authority), host);
        }
    }
}
