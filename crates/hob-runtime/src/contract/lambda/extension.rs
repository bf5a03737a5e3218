//! The extensions of one instance (extensions API 2020-01-01): who registered, and who is to be told what.
//!
//! **How.** External extensions are programs of the package's `extensions` folder, started before the
//! runtime; internal ones register from inside the runtime and may only hear of calls. A call is over when
//! the runtime and all who hear of calls have asked again.
//!
//! **Not here:** starting them (`instance`), what telemetry they get (`telemetry`).

use super::refusal::Refusal;
use hob_core::limit::LAMBDA_EXTENSIONS_MAX;
use http::HeaderMap;
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// The header with which an extension says who it is.
pub(super) const IDENTIFIER: &str = "lambda-extension-identifier";

/// The extensions of an instance.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    /// Programs that were started and have not registered yet.
    expected: Vec<String>,
    known: Vec<Extension>,
    runtime_asked: bool,
    next: u64,
}

#[derive(Debug)]
struct Extension {
    id: String,
    /// Whether it is a program of its own.
    external: bool,
    invoke: bool,
    shutdown: bool,
    /// Whether it has asked for an event at all.
    asked: bool,
    poll: Option<oneshot::Sender<Value>>,
    events: VecDeque<Value>,
}

/// What an extension is told when it has registered.
#[derive(Debug)]
pub(super) struct Registered {
    /// By which it is known from now on.
    pub(super) id: String,
}

impl Extensions {
    /// None yet; the instance waits for these programs.
    pub(super) fn expecting(expected: Vec<String>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// The runtime has asked for an event.
    pub(super) fn runtime_asked(&mut self) {
        self.runtime_asked = true;
    }

    /// Whether the runtime and every extension have asked for an event.
    pub(super) fn all_asked(&self) -> bool {
        self.runtime_asked && self.expected.is_empty() && self.known.iter().all(|one| one.asked)
    }

    /// Whether somebody wants to hear of calls.
    pub(super) fn listen(&self) -> bool {
        self.known.iter().any(|one| one.invoke)
    }

    /// Whether all who hear of calls are done with the last one.
    pub(super) fn idle(&self) -> bool {
        self.known.iter().filter(|one| one.invoke).all(|one| one.poll.is_some())
    }

    /// Whether every one of them waits for an event.
    pub(super) fn wait(&self) -> bool {
        self.known.iter().all(|one| one.poll.as_ref().is_some_and(|poll| !poll.is_closed()))
    }

    /// How many programs, and how many others, there are.
    pub(super) fn count(&self) -> (usize, usize) {
        let external = self.known.iter().filter(|one| one.external).count();
        (external + self.expected.len(), self.known.len() - external)
    }

    /// Takes a new one.
    ///
    /// # Errors
    /// As Lambda: an event that does not exist or is not for it, a name that is taken, too many.
    pub(super) fn register(&mut self, name: &str, events: &[String]) -> Result<Registered, Refusal> {
        let refuse = |kind, why| Err(Refusal::Extension(kind, why));
        let (mut invoke, mut shutdown) = (false, false);
        for event in events {
            match event.as_str() {
                "INVOKE" => invoke = true,
                "SHUTDOWN" => shutdown = true,
                _ => return refuse("Extension.InvalidEventType", "the events are INVOKE and SHUTDOWN"),
            }
        }
        let expected = self.expected.iter().position(|one| one == name);
        if name.is_empty() {
            return refuse("Extension.InvalidExtensionName", "Lambda-Extension-Name says nothing");
        }
        if shutdown && expected.is_none() {
            return refuse("Extension.InvalidEventType", "SHUTDOWN is for external extensions");
        }
        if self.known.len() >= LAMBDA_EXTENSIONS_MAX {
            return refuse("Extension.TooManyExtensions", "an instance has 10 extensions at most");
        }
        if let Some(at) = expected {
            self.expected.swap_remove(at);
        }
        self.next += 1;
        let id = super::session::show_id(super::unlikely(self.next));
        self.known.push(Extension {
            id: id.clone(),
            external: expected.is_some(),
            invoke,
            shutdown,
            asked: false,
            poll: None,
            events: VecDeque::new(),
        });
        Ok(Registered { id })
    }

    /// One asks for an event.
    ///
    /// # Errors
    /// When nobody is known by this id.
    pub(super) fn next(&mut self, id: &str) -> Result<oneshot::Receiver<Value>, Refusal> {
        let one = self.known(id)?;
        one.asked = true;
        let (poll, given) = oneshot::channel();
        match one.events.pop_front() {
            Some(event) => drop(poll.send(event)),
            None => one.poll = Some(poll),
        }
        Ok(given)
    }

    /// Whether an extension is known by this id.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn check(&mut self, id: &str) -> Result<(), Refusal> {
        self.known(id).map(drop)
    }

    fn known(&mut self, id: &str) -> Result<&mut Extension, Refusal> {
        let known = self.known.iter_mut().find(|one| one.id == id);
        known.ok_or(Refusal::Extension(
            "Extension.UnknownExtensionIdentifier",
            "no extension has this identifier",
        ))
    }

    /// Tells of a call; its headers are those that the runtime gets.
    pub(super) fn invoke(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let event = json!({
            "eventType": "INVOKE",
            "deadlineMs": text("lambda-runtime-deadline-ms").parse::<u64>().unwrap_or_default(),
            "requestId": text("lambda-runtime-aws-request-id"),
            "invokedFunctionArn": text("lambda-runtime-invoked-function-arn"),
            "tracing": { "type": "X-Amzn-Trace-Id", "value": text("lambda-runtime-trace-id") },
        });
        self.tell(&event, |one| one.invoke);
    }

    /// Tells that the instance ends; why is one of `SPINDOWN`, `TIMEOUT` and `FAILURE`.
    pub(super) fn shut_down(&mut self, why: &str, deadline_ms: u64) {
        let event = json!({ "eventType": "SHUTDOWN", "shutdownReason": why, "deadlineMs": deadline_ms });
        self.tell(&event, |one| one.shutdown);
    }

    fn tell(&mut self, event: &Value, who: impl Fn(&Extension) -> bool) {
        for one in self.known.iter_mut().filter(|one| who(one)) {
            let unsent = match one.poll.take() {
                Some(poll) => poll.send(event.clone()).err(),
                None => Some(event.clone()),
            };
            one.events.extend(unsent);
        }
    }
}
