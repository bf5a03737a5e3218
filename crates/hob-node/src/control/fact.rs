//! The operation that lists facts.

use super::{Ask, Control, Handled, Operation, Payload, query, stream};
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::fact::{About, Fact, FactQuery, What};
use hob_core::fault::{Fault, Result};
use hob_core::limit::FACTS_LISTED_MAX;
use hob_core::near::nearest;
use hob_core::trace::TraceId;
use hob_core::wire::FactsQuery;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Facts that are listed unless somebody says otherwise.
const LISTED: u64 = 100;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "facts.list",
    method: Some("GET"),
    path: "/v1/facts",
    summary: "Lists what the node decided and did, oldest first, and goes on with new facts if asked to.",
    needs: Need::Space(Scope::Observe),
    query: Some(<FactsQuery as schemars::JsonSchema>::json_schema),
    request: Payload::None,
    response: Payload::Lines(|schemas| schemas.subschema_for::<Fact>()),
    status: 200,
    handle: list,
}];

fn list(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: FactsQuery = query::read(ask.request.uri())?;
        let follow = asked.follow.then(|| control.telemetry.follow());
        let wanted = wanted(asked)?;
        let kept = control.telemetry.find(wanted.clone()).await?;
        let (lines, response) = stream::lines();
        control.tasks.start("fact reader", async move {
            for fact in kept {
                if !lines.send(&fact).await {
                    return;
                }
            }
            if let Some(new) = follow {
                tokio::select! {
                    () = go_on(&lines, &wanted, new) => {}
                    () = lines.closed() => {}
                }
            }
        });
        Ok(response)
    })
}

/// Writes new facts until the client goes or the node stops.
async fn go_on(lines: &stream::Lines, wanted: &FactQuery, mut new: Receiver<Arc<Fact>>) {
    loop {
        match new.recv().await {
            Ok(fact) if wanted.wants(&fact) => {
                if !lines.send(&*fact).await {
                    return;
                }
            }
            Ok(_) => {}
            // A reader that is too slow finds the rest when it asks again.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// What a query asks for.
///
/// # Errors
/// `HOB-0704` for names that do not go together, and for what is none.
pub(crate) fn wanted(asked: FactsQuery) -> Result<FactQuery> {
    let refuse = |what: String, hint: &str| Fault::new(Code::ControlRequest, what).hint(hint.to_owned());
    let FactsQuery { trace, app, function, trigger, topic, sequence, kind, failed, since_ms, limit, .. } =
        asked;
    let about = match (trace, app, function, trigger, topic, sequence) {
        (Some(text), None, None, None, None, None) => {
            About::Trace(TraceId::parse(&text).ok_or_else(|| {
                refuse(format!("`{text}` is no trace id"), "a trace id has 32 hexadecimal digits")
            })?)
        }
        (None, Some(app), Some(function), None, None, None) => About::Function(app, function),
        (None, Some(app), None, Some(trigger), None, None) => About::Trigger(app, trigger),
        (None, Some(app), None, None, None, None) => About::App(app),
        (None, None, None, None, Some(topic), Some(sequence)) => About::Event(topic, sequence),
        (None, None, None, None, Some(topic), None) => About::Topic(topic),
        (None, None, None, None, None, None) => About::Everything,
        _ => {
            return Err(refuse(
                "facts are asked for by a trace, an app, a function or trigger of an app, or a topic"
                    .to_owned(),
                "name one of them; a function or trigger with its app, a sequence with its topic",
            ));
        }
    };
    let kinds = kind.map(|kind| word(&kind)).transpose()?.into_iter().collect();
    let limit = usize::try_from(limit.unwrap_or(LISTED)).unwrap_or(usize::MAX).min(FACTS_LISTED_MAX);
    Ok(FactQuery { about, kinds, failed, since_ms: since_ms.unwrap_or(0), until_ms: 0, limit })
}

fn word(kind: &str) -> Result<&'static str> {
    What::WORDS.into_iter().find(|word| *word == kind).ok_or_else(|| {
        let fault = Fault::new(Code::ControlRequest, format!("there is no kind of fact `{kind}`"));
        match nearest(kind, What::WORDS) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("use one of {}", What::WORDS.join(", "))),
        }
    })
}
