//! Who answers a request that somebody has in mind, and why not somebody else.

use super::Cause;
use super::text::{count, names};
use super::tree::step;
use crate::code::{Code, Owner};
use crate::fact::Fact;
use crate::name::{AppName, FunctionName, RevisionNumber, TopicName};
use crate::wire::{Story, Verdict};

/// Facts that a path shows.
const SHOWN: usize = 12;

/// Who would answer a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAnswer {
    /// A function.
    Function {
        /// The app.
        app: AppName,
        /// Its revision.
        revision: RevisionNumber,
        /// The function.
        function: FunctionName,
        /// The route that matches, as the manifest has it; `None`: the function's own address.
        route: Option<String>,
        /// Other routes that match too and are less exact, with their functions.
        shadowed: Vec<(String, FunctionName)>,
    },
    /// The bus.
    Events {
        /// The app whose route it is.
        app: AppName,
        /// The topic.
        topic: TopicName,
        /// The route.
        route: String,
    },
    /// An asynchronous call is looked up.
    Call,
    /// The gateway itself, with the methods that there are (`OPTIONS`).
    Options {
        /// The app.
        app: AppName,
        /// Methods that the path is answered for.
        allowed: String,
    },
    /// Nobody, for this method.
    Method {
        /// The app.
        app: AppName,
        /// Methods that the path is answered for.
        allowed: String,
    },
    /// Nobody: the function is there, but answers other functions only.
    Private {
        /// The app.
        app: AppName,
        /// The function.
        function: FunctionName,
    },
    /// Nobody: what the gateway would say.
    Nobody {
        /// Its code.
        code: Code,
        /// Its words.
        message: String,
        /// What mends it.
        hint: Option<String>,
        /// The app, if it came that far.
        app: Option<AppName>,
        /// Routes of the app.
        routes: Vec<String>,
        /// Why the app is not there that the host names, where that is known.
        absent: Option<Cause>,
    },
}

/// What is known besides who answers.
#[derive(Clone, Debug, Default)]
pub struct RouteEvidence<'a> {
    /// Requests like it, oldest first.
    pub facts: &'a [Fact],
    /// The cause of the newest one that did not go well, how many did not, and how many there are.
    pub failed: Option<(Cause, usize, usize)>,
    /// Why the revision that answers may surprise.
    pub surprise: Option<Cause>,
    /// A WebSocket or another protocol is asked for, which only some functions can speak: what that one is.
    pub upgrade: Option<String>,
}

/// Who answers a request, and why not somebody else.
pub fn route(asked: &str, answer: &RouteAnswer, evidence: &RouteEvidence<'_>) -> Story {
    let mut story = of_answer(asked, answer, evidence).story(format!("request {asked}"));
    story.path = evidence.facts.iter().rev().take(SHOWN).rev().map(step).collect();
    story.next = match answer {
        RouteAnswer::Function { app, function, .. } => {
            vec![format!("hob why --function {app}/{function}"), format!("hob show {app}")]
        }
        RouteAnswer::Events { topic, .. } => vec![format!("hob why --topic {topic}")],
        RouteAnswer::Method { app, .. }
        | RouteAnswer::Options { app, .. }
        | RouteAnswer::Private { app, .. }
        | RouteAnswer::Nobody { app: Some(app), .. } => vec![format!("hob show {app}")],
        RouteAnswer::Call => vec!["hob why CALL-ID".to_owned()],
        RouteAnswer::Nobody { app: None, .. } => vec!["hob ls".to_owned()],
    };
    story
}

fn of_answer(asked: &str, answer: &RouteAnswer, evidence: &RouteEvidence<'_>) -> Cause {
    match answer {
        RouteAnswer::Function { .. } => of_function(asked, answer, evidence),
        RouteAnswer::Events { app, topic, route } => {
            let what = format!(
                "`{asked}` publishes to topic `{topic}`, by route `{route}` of {app}; no function answers it"
            );
            match &evidence.failed {
                Some((cause, failed, of)) => {
                    let of = count(*of as u64, "such request");
                    cause.clone().and(&format!(" ({failed} of {of} lately; it publishes to `{topic}`)"))
                }
                None => Cause::new(Verdict::Good, what)
                    .fix(format!("if a function should answer, give its `route` this path; who gets the events: hob why --topic {topic}")),
            }
        }
        RouteAnswer::Call => Cause::new(Verdict::Good, format!("`{asked}` reads how an asynchronous call is; the node answers it"))
            .fix("ask about the call by its id: hob why ID"),
        RouteAnswer::Options { app, allowed } => {
            Cause::new(Verdict::Good, format!("`{asked}` is answered by the node itself with `Allow: {allowed}`, since no route of {app} takes OPTIONS"))
                .fix("to answer it yourself, for CORS for example, write OPTIONS into the `route` of the function")
                .owner(Owner::Caller)
        }
        other => refusal(asked, other).unwrap_or_else(|| Cause::new(Verdict::Unknown, asked.to_owned())),
    }
}

/// Why nobody answers; `None` when somebody does.
pub fn refusal(asked: &str, answer: &RouteAnswer) -> Option<Cause> {
    Some(match answer {
        RouteAnswer::Method { app, allowed } => {
            let method = asked.split_whitespace().next().unwrap_or("GET");
            Cause::new(Verdict::Bad, format!("the path of `{asked}` has a route in {app}, but not for method {method}: it takes {allowed}"))
                .fix(format!("use {allowed}, or add {method} to the `route` in `hob.toml`"))
                .owner(Owner::Caller)
                .code(Code::MethodNotAllowed.text())
        }
        RouteAnswer::Private { app, function } => {
            Cause::new(Verdict::Bad, format!("`{function}` of {app} is private: it answers other functions, not requests from outside"))
                .fix(format!("take `private = true` out of `[functions.{function}]`, or call it from a function: http://{function}.{app}.internal/"))
                .owner(Owner::Caller)
                .code(Code::FunctionNotFound.text())
        }
        RouteAnswer::Nobody { absent: Some(absent), code, .. } => {
            let code = absent.code.clone().unwrap_or_else(|| code.text().to_owned());
            Cause { verdict: Verdict::Bad, ..absent.clone() }
                .after(&format!("nobody answers `{asked}`: ")).code(code)
        }
        RouteAnswer::Nobody { code, message, hint, routes, .. } => {
            let listed = match (routes.is_empty(), code) {
                (true, _) | (_, Code::FunctionNotFound) => String::new(),
                _ => format!("; its routes are {}", names(routes.iter().map(String::as_str))),
            };
            Cause::new(Verdict::Bad, format!("nobody answers `{asked}`: {message}{listed}"))
                .fix(hint.clone().unwrap_or_else(|| "add a `route` to the function in `hob.toml`".to_owned()))
                .owner(Owner::Caller)
                .code(code.text())
        }
        _ => return None,
    })
}

fn of_function(asked: &str, answer: &RouteAnswer, evidence: &RouteEvidence<'_>) -> Cause {
    let RouteAnswer::Function { app, revision, function, route, shadowed } = answer else {
        return Cause::new(Verdict::Unknown, asked.to_owned());
    };
    let by = match route {
        Some(route) => format!("by route `{route}`"),
        None => "by its own address".to_owned(),
    };
    let reason = format!("`{asked}` is answered by `{function}` of {app} revision {revision}, {by}");
    if let Some((cause, failed, of)) = &evidence.failed {
        let (of, were) = (count(*of as u64, "such request"), if *failed == 1 { "was" } else { "were" });
        return cause.clone().and(&format!(
            " ({failed} of {of} {were} so; `{function}` of {app} revision {revision} answers {by})"
        ));
    }
    if let Some(needs) = &evidence.upgrade {
        return Cause::new(Verdict::Bad, format!("{reason}; {needs}"))
            .fix(format!(
                "switch protocols in a server of contract `http`: `contract = \"http\"` for `{function}`"
            ))
            .owner(Owner::Caller);
    }
    if let Some(surprise) = &evidence.surprise {
        return surprise.clone().and(&format!("; `{function}` answers {by}"));
    }
    let Some((first, other)) = shadowed.first() else { return Cause::new(Verdict::Good, reason) };
    Cause::new(Verdict::Good, format!("{reason}{}", less_exact(shadowed)))
        .fix(unshadow(first, other, function))
        .owner(Owner::Caller)
}

/// Routes that match too, as the end of a sentence.
pub(super) fn less_exact(shadowed: &[(String, FunctionName)]) -> String {
    let others = shadowed.iter().map(|(route, function)| format!("`{route}` of `{function}`"));
    format!("; {} matches too, but the more exact route wins", others.collect::<Vec<_>>().join(", "))
}

/// What lets another function answer.
pub(super) fn unshadow(route: &str, other: &FunctionName, function: &FunctionName) -> String {
    format!(
        "if `{other}` should answer, make its route `{route}` more exact, or take the path out of `{function}`'s route"
    )
}

#[cfg(test)]
mod tests;
