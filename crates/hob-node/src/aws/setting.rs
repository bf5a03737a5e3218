//! What belongs to a function besides its code: tags, the number of its instances, its address, and what becomes of its
//! asynchronous calls.
//!
//! **How.** All but tags are settings of the app, so a change is a deploy, and a rollback takes it back.

use super::answer::{Answered, Refusal, json, nothing};
use super::find::not_found;
use super::function::Known;
use super::{Ask, Handled, Lambda, Operation, operation};
use crate::clock::now_ms;
use hob_core::aws::asynchronous::{self, EventInvoke};
use hob_core::aws::name::{self, LATEST, Reference, arn, topic_arn};
use hob_core::aws::record::Record;
use hob_core::code::Code;
use hob_core::event::timestamp;
use hob_core::fault::Fault;
use hob_core::limit::{INSTANCES_CEILING, INSTANCES_DEFAULT_PROCESS};
use hob_core::name::{AppName, FunctionName, TopicName};
use hob_core::spec::{AppSpec, AsyncSpec, FunctionAddress, RouteSpec};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    operation("TagResource", "POST", "/2017-03-31/tags/{}", tag),
    operation("ListTags", "GET", "/2017-03-31/tags/{}", tags),
    operation("UntagResource", "DELETE", "/2017-03-31/tags/{}", untag),
    operation("PutFunctionConcurrency", "PUT", "/2017-10-31/functions/{}/concurrency", reserve),
    operation("DeleteFunctionConcurrency", "DELETE", "/2017-10-31/functions/{}/concurrency", unreserve),
    operation("GetFunctionConcurrency", "GET", "/2019-09-30/functions/{}/concurrency", reserved),
    operation("PutFunctionEventInvokeConfig", "PUT", EVENT_INVOKE, put_event_invoke),
    operation("UpdateFunctionEventInvokeConfig", "POST", EVENT_INVOKE, update_event_invoke),
    operation("GetFunctionEventInvokeConfig", "GET", EVENT_INVOKE, event_invoke),
    operation("DeleteFunctionEventInvokeConfig", "DELETE", EVENT_INVOKE, delete_event_invoke),
    operation(
        "ListFunctionEventInvokeConfigs",
        "GET",
        "/2019-09-25/functions/{}/event-invoke-config/list",
        list_event_invoke,
    ),
    operation("CreateFunctionUrlConfig", "POST", URL, create_url),
    operation("GetFunctionUrlConfig", "GET", URL, url),
    operation("UpdateFunctionUrlConfig", "PUT", URL, update_url),
    operation("DeleteFunctionUrlConfig", "DELETE", URL, delete_url),
    operation("ListFunctionUrlConfigs", "GET", "/2021-10-31/functions/{}/urls", urls),
];

const EVENT_INVOKE: &str = "/2019-09-25/functions/{}/event-invoke-config";
const URL: &str = "/2021-10-31/functions/{}/url";
/// The route of a function that has an address.
const EVERYTHING: &str = "/*";

/// What a change of a function is given.
struct Change<'a> {
    spec: &'a mut AppSpec,
    record: &'a mut Record,
    function: FunctionName,
}

impl Lambda {
    /// Changes the settings of what is current, and deploys it.
    async fn change(
        &self,
        reference: Reference,
        change: impl FnOnce(Change<'_>) -> Answered<()> + Send,
    ) -> Answered<Known> {
        only_latest(&reference)?;
        let (app, _) = reference.app()?;
        let _turn = self.records.turn(&app)?;
        let mut known = self.known_alone(&reference).await?;
        let about = known.about(&known.app.current);
        let (mut spec, mut record) = (AppSpec::clone(&known.app.current.spec), known.record());
        change(Change { spec: &mut spec, record: &mut record, function: known.function.clone() })?;
        known.stored.record = Some(record);
        known.app = self.deploy(&mut known.stored, spec, about).await?;
        Ok(known)
    }

    /// Where the function of an app answers, if it has an address.
    fn address(&self, known: &Known) -> Answered<Option<String>> {
        let routes = &known.app.current.spec.routes;
        if !routes.iter().any(|route| route.function == known.function) {
            return Ok(None);
        }
        Ok(Some(format!("{}/", self.control.apps.get(&known.app.name)?.url)))
    }
}

/// Hob has one such setting of a function, which is that of what is current.
fn only_latest(reference: &Reference) -> Answered<()> {
    match reference.qualifier.as_deref() {
        None | Some(LATEST) => Ok(()),
        Some(other) => Err(Refusal::value(format!(
            "this is a setting of the function in Hob, not of `{other}`: leave the qualifier out"
        ))),
    }
}

fn named(ask: &Ask) -> Answered<Reference> {
    Ok(Reference::read(ask.part(0), ask.query("Qualifier").as_deref())?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tags {
    tags: BTreeMap<String, String>,
}

impl Lambda {
    async fn change_tags(
        &self,
        ask: &Ask,
        change: impl FnOnce(&mut BTreeMap<String, String>) + Send,
    ) -> Answered {
        let reference = named(ask)?;
        let (app, _) = reference.app()?;
        let _turn = self.records.turn(&app)?;
        let mut known = self.known_alone(&reference).await?;
        let mut record = known.record();
        change(&mut record.tags);
        known.stored.record = Some(record);
        self.records.store(&app, &mut known.stored).await?;
        Ok(nothing(StatusCode::NO_CONTENT))
    }
}

fn tag(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: Tags = ask.json()?;
        lambda.change_tags(&ask, move |tags| tags.extend(asked.tags)).await
    })
}

fn untag(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let query = ask.head.uri.query().unwrap_or_default().to_owned();
        let gone: Vec<String> = name::parameters(&query, "tagKeys").collect();
        lambda.change_tags(&ask, move |tags| tags.retain(|name, _| !gone.contains(name))).await
    })
}

fn tags(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let known = lambda.known(&named(&ask)?).await?;
        json(StatusCode::OK, &json!({ "Tags": known.record().tags }))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Reserve {
    reserved_concurrent_executions: u32,
}

fn reserve(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let Reserve { reserved_concurrent_executions: most } = ask.json()?;
        if !(1..=INSTANCES_CEILING).contains(&most) {
            let what = format!("`ReservedConcurrentExecutions` is {most}: use 1 to {INSTANCES_CEILING}");
            return Err(Refusal::value(what));
        }
        let changed = lambda.change(named(&ask)?, move |change| {
            change.record.reserved = Some(most);
            change.spec.functions.values_mut().for_each(|spec| spec.scale.max = most);
            Ok(())
        });
        changed.await?;
        json(StatusCode::OK, &json!({ "ReservedConcurrentExecutions": most }))
    })
}

fn unreserve(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let changed = lambda.change(named(&ask)?, |change| {
            change.record.reserved = None;
            change.spec.functions.values_mut().for_each(|spec| spec.scale.max = INSTANCES_DEFAULT_PROCESS);
            Ok(())
        });
        changed.await?;
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}

fn reserved(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reserved = lambda.known(&named(&ask)?).await?.record().reserved;
        let shown =
            reserved.map_or_else(|| json!({}), |most| json!({ "ReservedConcurrentExecutions": most }));
        json(StatusCode::OK, &shown)
    })
}

fn put_event_invoke(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move { lambda.set_event_invoke(&ask, true).await })
}

fn update_event_invoke(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move { lambda.set_event_invoke(&ask, false).await })
}

/// Where a record goes: to a topic, or to a function.
enum Goes {
    Nowhere,
    Topic(TopicName),
    Function(FunctionAddress),
}

impl Lambda {
    async fn set_event_invoke(&self, ask: &Ask, anew: bool) -> Answered {
        let asked: EventInvoke = ask.json_or_default()?;
        let destinations = asked.destination_config.clone();
        let kept = !anew && destinations.is_none();
        let destinations = destinations.unwrap_or_default();
        let success = self.goes(destinations.on_success.and_then(|one| one.destination))?;
        let failure = self.goes(destinations.on_failure.and_then(|one| one.destination))?;
        let changed = self.change(named(ask)?, move |change| {
            change.record.asynchronous_ms = Some(now_ms());
            for spec in change.spec.functions.values_mut() {
                let before = if anew { asynchronous::default() } else { spec.asynchronous.clone() };
                let mut next = AsyncSpec { retry: asked.retry(&before.retry)?, ..before };
                if !kept {
                    (next.on_success, next.call_on_success) = parts(&success);
                    (next.on_failure, next.call_on_failure) = parts(&failure);
                }
                spec.asynchronous = next;
            }
            Ok(())
        });
        let known = changed.await?;
        json(StatusCode::OK, &shown_event_invoke(&known, &ask.region)?)
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

fn parts(goes: &Goes) -> (Option<TopicName>, Option<FunctionAddress>) {
    match goes {
        Goes::Nowhere => (None, None),
        Goes::Topic(topic) => (Some(topic.clone()), None),
        Goes::Function(address) => (None, Some(address.clone())),
    }
}

/// The config as it is shown.
fn shown_event_invoke(known: &Known, region: &str) -> Answered<Map<String, Value>> {
    let record = known.record();
    let missing = || record.has_no("setting", "EventInvokeConfig");
    let modified_ms = record.asynchronous_ms.ok_or_else(missing)?;
    let spec = &known.spec(&known.app.current)?.asynchronous;
    let own = arn(region, &record.name, Some(LATEST));
    let mut shown = asynchronous::shown(&own, modified_ms, &spec.retry);
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
    Ok(shown)
}

/// How a function is named: by its app where that has its name.
fn called(app: &AppName, function: &FunctionName) -> String {
    if app.as_str() == function.as_str() { app.to_string() } else { format!("{function}--{app}") }
}

fn event_invoke(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        only_latest(&reference)?;
        json(StatusCode::OK, &shown_event_invoke(&lambda.known(&reference).await?, &ask.region)?)
    })
}

fn list_event_invoke(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let known = lambda.known(&named(&ask)?).await?;
        let all: Vec<Map<String, Value>> = shown_event_invoke(&known, &ask.region).into_iter().collect();
        json(StatusCode::OK, &json!({ "FunctionEventInvokeConfigs": all }))
    })
}

fn delete_event_invoke(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let changed = lambda.change(named(&ask)?, |change| {
            if change.record.asynchronous_ms.take().is_none() {
                return Err(change.record.has_no("setting", "EventInvokeConfig").into());
            }
            change.spec.functions.values_mut().for_each(|spec| spec.asynchronous = asynchronous::default());
            Ok(())
        });
        changed.await?;
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UrlConfig {
    auth_type: Option<String>,
    invoke_mode: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl UrlConfig {
    /// Refuses what Hob's gateway does not do for a function.
    fn check(&self) -> Answered<()> {
        if self.auth_type.as_deref().is_some_and(|kind| kind != "NONE") {
            return Err(Refusal::value(
                "`AuthType` is not `NONE`: whoever reaches Hob's gateway may call the function",
            ));
        }
        if !matches!(self.invoke_mode.as_deref(), None | Some("BUFFERED" | "RESPONSE_STREAM")) {
            return Err(Refusal::value("`InvokeMode` is `BUFFERED` or `RESPONSE_STREAM`"));
        }
        Ok(hob_core::aws::function::check_rest(&self.rest)?)
    }
}

fn create_url(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: UrlConfig = ask.json()?;
        asked.check()?;
        let changed = lambda.change(named(&ask)?, |change| {
            let function = change.function;
            if change.spec.routes.iter().any(|route| route.function == function) {
                let what = format!("function `{}` has an address already", change.record.name);
                return Err(Fault::new(Code::LambdaConflict, what).into());
            }
            change.spec.routes.push(RouteSpec { route: EVERYTHING.to_owned(), function });
            change.spec.functions.values_mut().for_each(|spec| spec.private = false);
            Ok(())
        });
        let known = changed.await?;
        json(StatusCode::CREATED, &lambda.shown_url(&known, &ask.region)?)
    })
}

fn update_url(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: UrlConfig = ask.json()?;
        asked.check()?;
        let known = lambda.known_alone(&named(&ask)?).await?;
        json(StatusCode::OK, &lambda.shown_url(&known, &ask.region)?)
    })
}

fn delete_url(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let changed = lambda.change(named(&ask)?, |change| {
            let (routes, function) = (&mut change.spec.routes, change.function);
            if !routes.iter().any(|route| route.function == function) {
                return Err(change.record.has_no("setting", "FunctionUrlConfig").into());
            }
            routes.retain(|route| route.function != function);
            change.spec.functions.values_mut().for_each(|spec| spec.private = true);
            Ok(())
        });
        changed.await?;
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}

fn url(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        if only_latest(&reference).is_err() {
            return Err(not_found(&reference));
        }
        let known = lambda.known(&reference).await?;
        json(StatusCode::OK, &lambda.shown_url(&known, &ask.region)?)
    })
}

fn urls(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let known = lambda.known(&named(&ask)?).await?;
        let all: Vec<Value> = lambda.shown_url(&known, &ask.region).into_iter().collect();
        json(StatusCode::OK, &json!({ "FunctionUrlConfigs": all }))
    })
}

impl Lambda {
    /// `FunctionUrlConfig`. What a function streams is streamed, so every address has that mode.
    fn shown_url(&self, known: &Known, region: &str) -> Answered<Value> {
        let record = known.record();
        let address = self.address(known)?.ok_or_else(|| record.has_no("setting", "FunctionUrlConfig"))?;
        let since = timestamp(known.app.current.created_ms);
        Ok(json!({
            "FunctionUrl": address,
            "FunctionArn": arn(region, &record.name, None),
            "AuthType": "NONE",
            "CreationTime": since,
            "LastModifiedTime": since,
            "InvokeMode": "RESPONSE_STREAM",
        }))
    }
}
