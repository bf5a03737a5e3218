//! Whether a JavaScript module has the handlers that the app's triggers ask for.
//!
//! **Why.** A schedule on a module without `scheduled` would fail at its first run, which may be at night. What a module
//! exports is known at the deploy, so it is said then.
//!
//! **How.** A route asks for `fetch`, a schedule for `scheduled`, a subscription for `queue`. An event may also be a request for
//! `fetch`, which can answer it with another event: that of a topic always, that of a schedule where it names a path. [`check`] compares with what the evaluated module exports;
//! [`check_text`] sees the text alone, and refuses only what cannot be in it.
//!
//! **Not here:** evaluating the module (`hob-runtime`).

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::name::FunctionName;
use crate::spec::AppSpec;
use crate::trigger::DeliverySpec;

/// The handlers that there are, and what a module says to have each.
const HANDLERS: [(&str, &str); 3] = [
    ("fetch", "async fetch(request, env, ctx) { return new Response(\"hello\") }"),
    ("scheduled", "async scheduled(event, env, ctx) { … }"),
    ("queue", "async queue(batch, env, ctx) { … }"),
];
/// The route that an app or a Worker has without saying so: it asks for nothing where something else calls the module.
const EVERYTHING: &str = "/*";
/// The path of an event that names none.
const ROOT: &str = "/";

/// Compares with the handlers that a function's module exports; `file` is its name.
///
/// # Errors
/// `HOB-0341` with the trigger, the handler that is missing, what there is, and what to write.
pub fn check(spec: &AppSpec, function: &FunctionName, file: &str, exported: &[String]) -> Result<()> {
    let there: Vec<&str> = HANDLERS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| exported.iter().any(|one| one == name))
        .collect();
    let names: Vec<String> = there.iter().map(|name| format!("`{name}`")).collect();
    let known = format!("exports {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") });
    missing(spec, function, |name| there.contains(&name))
        .map_or(Ok(()), |(what, name)| Err(refusal(file, &what, name, &known)))
}

/// The same by the module's text, in which the name of every handler stands that it can have.
///
/// # Errors
/// As [`check`].
pub fn check_text(spec: &AppSpec, function: &FunctionName, file: &str, text: &str) -> Result<()> {
    // A function as default export is `fetch` by any name.
    let named = |name: &str| name == "fetch" && !text.contains("export default {") || text.contains(name);
    missing(spec, function, named)
        .map_or(Ok(()), |(what, name)| Err(refusal(file, &what, name, "does not name it anywhere")))
}

/// The first thing that calls a function and finds no handler: what it is, and the handler.
fn missing(
    spec: &AppSpec,
    function: &FunctionName,
    has: impl Fn(&str) -> bool,
) -> Option<(String, &'static str)> {
    let lacks = |delivery: &DeliverySpec, name: &str| {
        let as_request = (name == "queue" || delivery.path != ROOT) && has("fetch");
        delivery.function == *function && !has(name) && !as_request
    };
    let schedule = spec.triggers.schedules.iter().find(|(_, one)| lacks(&one.delivery, "scheduled"));
    if let Some((name, one)) = schedule {
        return Some((format!("schedule `{name}` (`{}`)", one.expression), "scheduled"));
    }
    let subscription = spec.triggers.subscriptions.iter().find(|(_, one)| lacks(&one.delivery, "queue"));
    if let Some((name, one)) = subscription {
        return Some((format!("subscription `{name}` (topic `{}`)", one.topic), "queue"));
    }
    let triggered = spec.triggers.deliveries().any(|delivery| delivery.function == *function);
    let asks = |route: &str| !triggered || route != EVERYTHING;
    let route = spec.routes.iter().find(|route| route.function == *function && asks(&route.route));
    route.filter(|_| !has("fetch")).map(|route| (format!("route `{}`", route.route), "fetch"))
}

fn refusal(file: &str, what: &str, name: &str, known: &str) -> Fault {
    let message = format!("{what} calls handler `{name}` of `{file}`, which {known}");
    let write = HANDLERS.iter().find(|(known, _)| *known == name).map_or("", |(_, write)| write);
    let path = match name {
        "scheduled" => ", give the schedule a `path` to have it as a request for `fetch`,",
        _ => "",
    };
    Fault::new(Code::ScriptHandler, message)
        .at(file)
        .hint(format!("write `{write}` into the default export{path} or take the trigger away"))
}

#[cfg(test)]
mod tests {
    use super::{check, check_text};
    use crate::manifest;
    use crate::name::{AppName, FunctionName};
    use crate::spec::{AppSpec, PackageFile};
    use std::collections::BTreeMap;

    fn app(triggers: &str) -> AppSpec {
        let text = format!("[functions.worker]\nrun = \"worker.js\"\n{triggers}");
        let manifest = manifest::parse(&text, "hob.toml").unwrap();
        let seen = manifest::Detected {
            host: "wasm".to_owned(),
            contract: "javascript".to_owned(),
            run: vec!["worker.js".to_owned()],
        };
        let file = PackageFile { digest: crate::digest::Digest::of(b""), size: 1, executable: false };
        let package = BTreeMap::from([("worker.js".to_owned(), file)]);
        let function = manifest::resolve("hob.toml", &manifest.functions[0], Some(&seen), package).unwrap();
        manifest::assemble(&manifest, AppName::new("app").unwrap(), vec![function]).unwrap()
    }

    #[test]
    fn every_trigger_finds_its_handler_or_is_refused() {
        let schedule = "[[on]]\nname = \"nightly\"\nschedule = \"0 3 * * *\"\ncall = \"worker\"\n";
        let topic = "[[on]]\nname = \"orders\"\ntopic = \"orders\"\ncall = \"worker\"\n";
        let (routed, path) =
            (format!("route = \"/*\"\n{schedule}"), format!("{schedule}path = \"/night\"\n"));
        for (triggers, exported, missing) in [
            ("", &["fetch"][..], ""),
            (
                "",
                &["scheduled"],
                "route `/*` calls handler `fetch` of `worker.js`, which exports `scheduled`",
            ),
            (schedule, &["scheduled"], ""),
            (
                schedule,
                &["fetch"],
                "schedule `nightly` (`0 3 * * *`) calls handler `scheduled` of `worker.js`, which exports `fetch`",
            ),
            (schedule, &["fetch", "queue"], "which exports `fetch`, `queue`"),
            (&path, &["fetch"], ""),
            (&path, &["queue"], "calls handler `scheduled`"),
            (topic, &["queue"], ""),
            (topic, &["scheduled"], "subscription `orders` (topic `orders`) calls handler `queue`"),
            (topic, &["fetch"], ""),
            (&routed, &["scheduled"], ""),
            ("route = \"/api/*\"\n", &["queue"], "route `/api/*` calls handler `fetch`"),
            (&format!("route = \"/api/*\"\n{topic}"), &["queue"], "route `/api/*` calls handler `fetch`"),
        ] {
            let (spec, worker) = (app(triggers), FunctionName::new("worker").unwrap());
            let exported: Vec<String> = exported.iter().map(|&name| name.to_owned()).collect();
            let listed: Vec<String> = exported.iter().map(|name| format!("async {name}() {{}}")).collect();
            let text = format!("export default {{ {} }}", listed.join(", "));
            let exact = check(&spec, &worker, "worker.js", &exported);
            let seen = check_text(&spec, &worker, "worker.js", &text);
            assert_eq!(exact.is_ok(), seen.is_ok(), "{triggers} {text}");
            match exact {
                Ok(()) => assert_eq!(missing, "", "{triggers} {exported:?}"),
                Err(fault) => {
                    assert_eq!((fault.code().text(), fault.place()), ("HOB-0341", Some("worker.js")));
                    assert!(!missing.is_empty() && fault.message().contains(missing), "{triggers}: {fault}");
                }
            }
        }
        let (spec, worker) = (app(""), FunctionName::new("worker").unwrap());
        assert!(check_text(&spec, &worker, "worker.js", "export default () => new Response()").is_ok());
        assert!(
            check_text(&spec, &worker, "worker.js", "export { app as default }").is_ok(),
            "it may be anywhere"
        );
    }
}
