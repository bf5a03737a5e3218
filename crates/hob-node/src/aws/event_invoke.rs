//! What becomes of asynchronous calls: of a function, and of one version or alias (Lambda API reference,
//! "PutFunctionEventInvokeConfig" and its relatives).
//!
//! **How.** That of the function is a setting of its app, so a change is a deploy. That of a version or alias is in the
//! function's record, and an accepted call takes it along: who changes it later does not change what was promised.

use super::answer::{Answered, json, nothing};
use super::function::Known;
use super::page::page;
use super::setting::{named, only_latest};
use super::{Ask, Handled, Lambda, Operation, operation};
use crate::clock::now_ms;
use hob_core::aws::asynchronous::{self, Configured, Destinations, EventInvoke};
use hob_core::aws::name::{self, LATEST, Reference, arn, topic_arn};
use hob_core::aws::record::Record;
use hob_core::fault::Fault;
use hob_core::name::{AppName, FunctionName, TopicName};
use hob_core::spec::{AsyncSpec, FunctionAddress};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    operation("PutFunctionEventInvokeConfig", "PUT", PATH, put),
    operation("UpdateFunctionEventInvokeConfig", "POST", PATH, update),
    operation("GetFunctionEventInvokeConfig", "GET", PATH, get),
    operation("DeleteFunctionEventInvokeConfig", "DELETE", PATH, delete),
    operation(
        "ListFunctionEventInvokeConfigs",
        "GET",
        "/2019-09-25/functions/{}/event-invoke-config/list",
        list,
    ),
];

const PATH: &str = "/2019-09-25/functions/{}/event-invoke-config";
/// Configs of a page, unless the request wants fewer.
const PAGE: usize = 50;

/// Where a record goes: to a topic, or to a function.
#[derive(Clone)]
enum Goes {
    Nowhere,
    Topic(TopicName),
    Function(FunctionAddress),
}

/// What a request asks for, with destinations that are there.
struct Asked {
    asked: EventInvoke,
    /// Nothing stays of what was there before.
    anew: bool,
    success: Goes,
    failure: Goes,
}

impl Asked {
    /// The settings after those of `before`; dead letters are no part of them.
    fn after(&self, before: &AsyncSpec) -> Answered<AsyncSpec> {
        let dead_letter = before.dead_letter.clone();
        let before = if self.anew { asynchronous::default() } else { before.clone() };
        let mut next = AsyncSpec { retry: self.asked.retry(&before.retry)?, dead_letter, ..before };
        if self.anew || self.asked.destination_config.is_some() {
            (next.on_success, next.call_on_success) = parts(&self.success);
            (next.on_failure, next.call_on_failure) = parts(&self.failure);
        }
        Ok(next)
    }
}

fn parts(goes: &Goes) -> (Option<TopicName>, Option<FunctionAddress>) {
    match goes {
        Goes::Nowhere => (None, None),
        Goes::Topic(topic) => (Some(topic.clone()), None),
        Goes::Function(address) => (None, Some(address.clone())),
    }
}

/// The version or alias that a request means; `None`: the function.
fn qualifier(reference: &Reference) -> Option<&str> {
    reference.qualifier.as_deref().filter(|qualifier| *qualifier != LATEST)
}

fn has_none(record: &Record) -> Fault {
    record.has_no("setting", "EventInvokeConfig")
}

impl Lambda {
    async fn set_event_invoke(&self, ask: &Ask, anew: bool) -> Answered {
        let reference = named(ask)?;
        let asked: EventInvoke = ask.json_or_default()?;
        let Destinations { on_success, on_failure } = asked.destination_config.clone().unwrap_or_default();
        let success = self.goes(on_success.and_then(|one| one.destination))?;
        let failure = self.goes(on_failure.and_then(|one| one.destination))?;
        let asked = Asked { asked, anew, success, failure };
        let known = match qualifier(&reference).map(str::to_owned) {
            None => {
                let changed = self.change(reference.clone(), move |change| {
                    if !anew && change.record.asynchronous_ms.is_none() {
                        return Err(has_none(change.record).into());
                    }
                    change.record.asynchronous_ms = Some(now_ms());
                    for spec in change.spec.functions.values_mut() {
                        spec.asynchronous = asked.after(&spec.asynchronous)?;
                    }
                    Ok(())
                });
                changed.await?
            }
            Some(qualifier) => {
                let changed = self.change_record(&reference, move |record, _| {
                    record.check_there(&qualifier)?;
                    let before = record.asynchronous.get(&qualifier);
                    if !anew && before.is_none() {
                        return Err(has_none(record).into());
                    }
                    let before = before.map_or_else(asynchronous::default, |before| before.spec.clone());
                    let configured = Configured { modified_ms: now_ms(), spec: asked.after(&before)? };
                    record.asynchronous.insert(qualifier, configured);
                    Ok(())
                });
                changed.await?.0
            }
        };
        json(StatusCode::OK, &shown(&known, &ask.region, &reference)?)
    }

    fn goes(&self, arn: Option<String>) -> Answered<Goes> {
        let Some(arn) = arn.filter(|arn| !arn.is_empty()) else { return Ok(Goes::Nowhere) };
        if !arn.contains(":lambda:") {
            return Ok(Goes::Topic(name::topic(&arn)?));
        }
        let reference = Reference::read(&arn, None)?;
        only_latest(&reference)?;
        let (app, function) = self.app(&reference)?;
        Ok(Goes::Function(FunctionAddress { app: app.name.clone(), function }))
    }
}

/// The config of a function, version or alias as it is shown.
fn shown(known: &Known, region: &str, reference: &Reference) -> Answered<Value> {
    let record = known.record();
    let missing = || has_none(&record);
    let (own, modified_ms, spec) = match qualifier(reference) {
        None => {
            let modified_ms = record.asynchronous_ms.ok_or_else(missing)?;
            (LATEST, modified_ms, &known.spec(&known.app.current)?.asynchronous)
        }
        Some(qualifier) => {
            record.check_there(qualifier)?;
            let configured = record.asynchronous.get(qualifier).ok_or_else(missing)?;
            (qualifier, configured.modified_ms, &configured.spec)
        }
    };
    Ok(config(region, &record.name, own, modified_ms, spec))
}

/// `EventInvokeConfig`.
fn config(region: &str, function: &str, qualifier: &str, modified_ms: u64, spec: &AsyncSpec) -> Value {
    let mut shown = asynchronous::shown(&arn(region, function, Some(qualifier)), modified_ms, &spec.retry);
    let one = |topic: &Option<TopicName>, call: &Option<FunctionAddress>| {
        let topic = topic.as_ref().map(|topic| topic_arn(region, topic));
        let call = call.as_ref().map(|address| arn(region, &called(&address.app, &address.function), None));
        topic.or(call).map_or_else(|| json!({}), |arn| json!({ "Destination": arn }))
    };
    let destinations = json!({
        "OnSuccess": one(&spec.on_success, &spec.call_on_success),
        "OnFailure": one(&spec.on_failure, &spec.call_on_failure),
    });
    shown.insert("DestinationConfig".to_owned(), destinations);
    shown.into()
}

/// How a function is named: by its app where that has its name.
fn called(app: &AppName, function: &FunctionName) -> String {
    if app.as_str() == function.as_str() { app.to_string() } else { format!("{function}--{app}") }
}

fn put(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move { lambda.set_event_invoke(&ask, true).await })
}

fn update(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move { lambda.set_event_invoke(&ask, false).await })
}

fn get(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        json(StatusCode::OK, &shown(&lambda.known(&reference).await?, &ask.region, &reference)?)
    })
}

fn list(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let known = lambda.known(&Reference::read(ask.part(0), None)?).await?;
        let (record, spec) = (known.record(), &known.spec(&known.app.current)?.asynchronous);
        let of_function = record.asynchronous_ms.map(|modified_ms| (LATEST, modified_ms, spec));
        let others = record.asynchronous.iter().map(|(qualifier, configured)| {
            let Configured { modified_ms, spec } = configured;
            (qualifier.as_str(), *modified_ms, spec)
        });
        let all: BTreeMap<String, Value> = of_function
            .into_iter()
            .chain(others)
            .map(|(qualifier, modified_ms, spec)| {
                (qualifier.to_owned(), config(&ask.region, &record.name, qualifier, modified_ms, spec))
            })
            .collect();
        json(StatusCode::OK, &page("FunctionEventInvokeConfigs", all, &ask, PAGE)?)
    })
}

fn delete(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        match qualifier(&reference).map(str::to_owned) {
            None => {
                let changed = lambda.change(reference, |change| {
                    if change.record.asynchronous_ms.take().is_none() {
                        return Err(has_none(change.record).into());
                    }
                    for spec in change.spec.functions.values_mut() {
                        let dead_letter = spec.asynchronous.dead_letter.take();
                        spec.asynchronous = AsyncSpec { dead_letter, ..asynchronous::default() };
                    }
                    Ok(())
                });
                changed.await?;
            }
            Some(qualifier) => {
                let changed = lambda.change_record(&reference, move |record, _| {
                    record.check_there(&qualifier)?;
                    match record.asynchronous.remove(&qualifier) {
                        Some(_) => Ok(()),
                        None => Err(has_none(record).into()),
                    }
                });
                changed.await?;
            }
        }
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}
