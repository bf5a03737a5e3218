//! Event source mappings: subscriptions of a function's app to topics (Lambda API reference, "CreateEventSourceMapping").
//!
//! **How.** A mapping is a trigger of the app whose name is the mapping's UUID, so it is stored, delivered, retried and
//! explained as every subscription is. A function with contract `lambda` gets its events as SQS or SNS would bring them, in
//! batches of the size that the mapping says. What a mapping was created with and no trigger holds is in the record.

use super::answer::{Answered, Refusal, json};
use super::page::page;
use super::{Ask, Handled, Lambda, Operation, operation};
use crate::bus::position::Key;
use crate::identity;
use crate::live::LiveApp;
use hob_core::aws::criteria::Criteria;
use hob_core::aws::name::{self, LATEST, Reference, arn, topic_arn};
use hob_core::aws::record::{Record, uuid};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::Fault;
use hob_core::filter::Filter;
use hob_core::limit::{
    DELIVERY_ATTEMPTS_DEFAULT, SUBSCRIPTION_CONCURRENCY_CEILING, SUBSCRIPTION_CONCURRENCY_DEFAULT,
};
use hob_core::name::TriggerName;
use hob_core::spec::{AppSpec, FunctionSpec};
use hob_core::trigger::{BatchSpec, DeliveryMode, DeliverySpec, RetrySpec, StartAt, SubscriptionSpec};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    operation("CreateEventSourceMapping", "POST", "/2015-03-31/event-source-mappings", create),
    operation("ListEventSourceMappings", "GET", "/2015-03-31/event-source-mappings", list),
    operation("GetEventSourceMapping", "GET", "/2015-03-31/event-source-mappings/{}", get),
    operation("UpdateEventSourceMapping", "PUT", "/2015-03-31/event-source-mappings/{}", update),
    operation("DeleteEventSourceMapping", "DELETE", "/2015-03-31/event-source-mappings/{}", delete),
];

/// Mappings of a page, unless the request wants fewer.
const PAGE: usize = 100;
/// How events are gathered, unless the request says otherwise.
const BATCH: BatchSpec = BatchSpec { events: 10, window_ms: 0, partial: false };
/// The contract whose settings say what an event becomes.
const CONTRACT: &str = "lambda";
const EVENTS: &str = "events";
const PARTIAL_FAILURES: &str = "ReportBatchItemFailures";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    event_source_arn: Option<String>,
    function_name: Option<String>,
    enabled: Option<bool>,
    batch_size: Option<u32>,
    maximum_batching_window_in_seconds: Option<u32>,
    starting_position: Option<String>,
    starting_position_timestamp: Option<f64>,
    scaling_config: Option<Scaling>,
    function_response_types: Option<Vec<String>>,
    filter_criteria: Option<Criteria>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Scaling {
    maximum_concurrency: Option<u32>,
}

impl Wanted {
    /// Refuses what Hob does not have.
    fn check(&self) -> Answered<()> {
        hob_core::aws::function::check_rest(&self.rest)?;
        let within = |name: &str, value: Option<u32>, least: u32, most: u32| match value {
            Some(value) if !(least..=most).contains(&value) => {
                Err(Refusal::value(format!("`{name}` is {value}: use {least} to {most}")))
            }
            _ => Ok(()),
        };
        within("BatchSize", self.batch_size, 1, 10_000)?;
        within("MaximumBatchingWindowInSeconds", self.maximum_batching_window_in_seconds, 0, 300)?;
        let concurrency = self.scaling_config.as_ref().and_then(|scaling| scaling.maximum_concurrency);
        within("MaximumConcurrency", concurrency, 2, SUBSCRIPTION_CONCURRENCY_CEILING)?;
        match self.function_response_types.iter().flatten().find(|kind| *kind != PARTIAL_FAILURES) {
            Some(other) => Err(Refusal::value(format!("`{other}` is no type of a function's response"))),
            None => Ok(()),
        }
    }

    /// How events are gathered where they were gathered so `before`.
    fn batch(&self, before: BatchSpec) -> BatchSpec {
        let window_ms = self.maximum_batching_window_in_seconds.map(|seconds| u64::from(seconds) * 1000);
        let partial = self.function_response_types.as_ref().map(|kinds| !kinds.is_empty());
        BatchSpec {
            events: self.batch_size.unwrap_or(before.events),
            window_ms: window_ms.unwrap_or(before.window_ms),
            partial: partial.unwrap_or(before.partial),
        }
    }

    /// The patterns as they were sent, and what they mean to the bus; `None`: the request says nothing of them.
    fn filters(&self) -> Answered<Option<(Vec<String>, Vec<Filter>)>> {
        let Some(criteria) = &self.filter_criteria else { return Ok(None) };
        let patterns = criteria.filters.iter().filter_map(|one| one.pattern.clone()).collect();
        Ok(Some((patterns, criteria.filters()?)))
    }

    fn concurrency(&self) -> Option<u32> {
        self.scaling_config.as_ref()?.maximum_concurrency
    }

    fn start(&self) -> Answered<StartAt> {
        match self.starting_position.as_deref() {
            None | Some("LATEST") => Ok(StartAt::Now),
            Some("TRIM_HORIZON") => Ok(StartAt::Beginning),
            Some("AT_TIMESTAMP") => {
                let seconds =
                    self.starting_position_timestamp.filter(|seconds| (0.0..1e11).contains(seconds));
                let seconds =
                    seconds.ok_or_else(|| Refusal::value("there is no `StartingPositionTimestamp`"))?;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
                Ok(StartAt::Time((seconds * 1000.0) as u64))
            }
            Some(other) => Err(Refusal::value(format!("`StartingPosition` is `{other}`"))),
        }
    }
}

/// A mapping that is there.
struct Mapping {
    app: Arc<LiveApp>,
    name: TriggerName,
    spec: SubscriptionSpec,
}

impl Mapping {
    fn key(&self) -> Key {
        Key::new(&self.app.name, &self.name)
    }
}

/// Whether a trigger's name is that of a mapping.
fn is_mapping(name: &TriggerName) -> bool {
    let parts: Vec<usize> = name.as_str().split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && name.as_str().bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn mappings(app: &Arc<LiveApp>) -> impl Iterator<Item = Mapping> + '_ {
    let all = app.current.spec.triggers.subscriptions.iter().filter(|(name, _)| is_mapping(name));
    all.map(|(name, spec)| Mapping { app: Arc::clone(app), name: name.clone(), spec: spec.clone() })
}

impl Lambda {
    fn mapping(&self, id: &str) -> Answered<Mapping> {
        let table = Arc::clone(&self.control.live.load());
        let found = table.acting().values().flat_map(mappings).find(|mapping| mapping.name.as_str() == id);
        found.ok_or_else(|| {
            let shown: String = id.chars().take(60).collect();
            Fault::new(Code::SubscriptionNotFound, format!("there is no event source mapping `{shown}`"))
                .into()
        })
    }

    /// Changes the triggers of an app, and deploys it.
    async fn change_triggers(
        &self,
        reference: &Reference,
        change: impl FnOnce(&mut AppSpec, &mut Record) -> Answered<()> + Send,
    ) -> Answered<Arc<LiveApp>> {
        let (app, _) = reference.app()?;
        let _turn = self.records.turn(&app)?;
        let mut known = self.known_alone(reference).await?;
        let about = known.about(&known.app.current);
        let (mut spec, mut record) = (AppSpec::clone(&known.app.current.spec), known.record());
        change(&mut spec, &mut record)?;
        known.stored.record = Some(record);
        self.deploy(&mut known.stored, spec, about).await
    }

    /// The mapping as it is shown; `state` where something is under way.
    async fn shown_mapping(&self, mapping: &Mapping, region: &str, state: Option<&str>) -> Answered<Value> {
        let Mapping { app, spec, .. } = mapping;
        let record = self.records.load(&app.name).await?.record;
        let record = record.unwrap_or_else(|| Record::new(app.name.as_str()));
        let state = match state {
            Some(state) => state,
            None => match self.control.delivery.get(&mapping.key()).await {
                Ok(info) if info.paused => "Disabled",
                _ => "Enabled",
            },
        };
        let batch = spec.delivery.batch.unwrap_or(BatchSpec { events: 1, ..BATCH });
        let partial: &[&str] = if batch.partial { &[PARTIAL_FAILURES] } else { &[] };
        let mut shown = json!({
            "UUID": mapping.name.as_str(),
            "BatchSize": batch.events,
            "MaximumBatchingWindowInSeconds": batch.window_ms / 1000,
            "EventSourceArn": topic_arn(region, &spec.topic),
            "FunctionArn": arn(region, &record.name, None),
            "LastModified": app.current.created_ms / 1000,
            "State": state,
            "StateTransitionReason": "USER_INITIATED",
            "FunctionResponseTypes": partial,
            "ScalingConfig": { "MaximumConcurrency": spec.delivery.concurrency },
        });
        if let Some(patterns) = record.patterns.get(mapping.name.as_str()) {
            let filters: Vec<Value> = patterns.iter().map(|text| json!({ "Pattern": text })).collect();
            shown["FilterCriteria"] = json!({ "Filters": filters });
        }
        Ok(shown)
    }
}

fn create(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: Wanted = ask.json()?;
        asked.check()?;
        let text =
            asked.function_name.as_deref().ok_or_else(|| Refusal::value("there is no `FunctionName`"))?;
        let reference = Reference::read(text, None)?;
        if !matches!(reference.qualifier.as_deref(), None | Some(LATEST)) {
            return Err(Refusal::value(
                "events go to what is current in Hob: leave the version or alias out",
            ));
        }
        let source = asked.event_source_arn.as_deref();
        let source = source.ok_or_else(|| Refusal::value("there is no `EventSourceArn`"))?;
        let (topic, start) = (name::topic(source)?, asked.start()?);
        let shape = if source.contains(":sns:") { "sns" } else { "sqs" };
        let id = TriggerName::new(&uuid(&Digest::of(&identity::invocation().0.to_be_bytes())))?;
        let (_, function) = lambda.app(&reference)?;
        let delivery = DeliverySpec {
            function,
            path: "/".to_owned(),
            mode: DeliveryMode::Binary,
            concurrency: asked.concurrency().unwrap_or(SUBSCRIPTION_CONCURRENCY_DEFAULT),
            retry: RetrySpec::of(DELIVERY_ATTEMPTS_DEFAULT),
            dead_letter: topic.dead(),
            publish: None,
            on_success: None,
            on_failure: None,
            batch: Some(asked.batch(BATCH)),
        };
        let (patterns, filters) = asked.filters()?.unwrap_or_default();
        let spec = SubscriptionSpec { topic, filters, delivery, order_by: None, rate: None, start };
        let (name, subscription) = (id.clone(), spec.clone());
        let app = lambda.change_triggers(&reference, move |app, record| {
            let known = app
                .triggers
                .subscriptions
                .iter()
                .find(|(name, known)| is_mapping(name) && known.topic == subscription.topic);
            if let Some((name, known)) = known {
                let what =
                    format!("mapping `{name}` of this function to topic `{}` is there already", known.topic);
                return Err(Fault::new(Code::LambdaConflict, what).hint("update it instead").into());
            }
            app.functions.values_mut().for_each(|function| set_shape(function, &name, Some(shape)));
            record.set_patterns(name.as_str(), patterns);
            app.triggers.subscriptions.insert(name, subscription);
            Ok(())
        });
        let mapping = Mapping { app: app.await?, name: id, spec };
        if asked.enabled == Some(false) {
            lambda.control.delivery.pause(&mapping.key()).await?;
        }
        json(StatusCode::ACCEPTED, &lambda.shown_mapping(&mapping, &ask.region, None).await?)
    })
}

/// What the events of a mapping become for a function of the contract that can choose.
fn set_shape(function: &mut FunctionSpec, mapping: &TriggerName, shape: Option<&str>) {
    if function.contract != CONTRACT {
        return;
    }
    let events = function.settings.entry(EVENTS).or_insert_with(|| json!({}));
    if let Some(events) = events.as_object_mut() {
        match shape {
            Some(shape) => drop(events.insert(mapping.to_string(), shape.into())),
            None => drop(events.remove(mapping.as_str())),
        }
    }
    if function.settings.get(EVENTS).is_some_and(|events| *events == json!({})) {
        function.settings.remove(EVENTS);
    }
}

fn list(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let of_app = match ask.query("FunctionName") {
            Some(text) => Some(lambda.app(&Reference::read(&text, None)?)?.0.name.clone()),
            None => None,
        };
        let of_topic = ask.query("EventSourceArn").map(|text| name::topic(&text)).transpose()?;
        let table = Arc::clone(&lambda.control.live.load());
        let mut all = BTreeMap::new();
        for mapping in table.acting().values().flat_map(mappings) {
            let wanted = of_app.as_ref().is_none_or(|app| *app == mapping.app.name)
                && of_topic.as_ref().is_none_or(|topic| *topic == mapping.spec.topic);
            if wanted {
                let shown = lambda.shown_mapping(&mapping, &ask.region, None).await?;
                all.insert(mapping.name.to_string(), shown);
            }
        }
        json(StatusCode::OK, &page("EventSourceMappings", all, &ask, PAGE)?)
    })
}

fn get(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let mapping = lambda.mapping(ask.part(0))?;
        json(StatusCode::OK, &lambda.shown_mapping(&mapping, &ask.region, None).await?)
    })
}

fn update(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: Wanted = ask.json()?;
        asked.check()?;
        let mut mapping = lambda.mapping(ask.part(0))?;
        if let Some(text) = &asked.function_name
            && lambda.app(&Reference::read(text, None)?)?.0.name != mapping.app.name
        {
            return Err(Refusal::value("a mapping stays with its function: delete it and create another"));
        }
        let filters = asked.filters()?;
        let before = mapping.spec.delivery.batch.unwrap_or(BATCH);
        let batch = Some(asked.batch(before)).filter(|batch| *batch != before);
        let concurrency = asked.concurrency();
        if concurrency.is_some() || filters.is_some() || batch.is_some() {
            let (reference, name) = (Reference::read(mapping.app.name.as_str(), None)?, mapping.name.clone());
            let changed = lambda.change_triggers(&reference, move |app, record| {
                let Some(spec) = app.triggers.subscriptions.get_mut(&name) else { return Ok(()) };
                spec.delivery.concurrency = concurrency.unwrap_or(spec.delivery.concurrency);
                spec.delivery.batch = batch.or(spec.delivery.batch);
                if let Some((patterns, filters)) = filters {
                    spec.filters = filters;
                    record.set_patterns(name.as_str(), patterns);
                }
                Ok(())
            });
            changed.await?;
            mapping = lambda.mapping(ask.part(0))?;
        }
        match asked.enabled {
            Some(true) => lambda.control.delivery.resume(&mapping.key()).await?,
            Some(false) => lambda.control.delivery.pause(&mapping.key()).await?,
            None => {}
        }
        json(StatusCode::ACCEPTED, &lambda.shown_mapping(&mapping, &ask.region, None).await?)
    })
}

fn delete(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let mapping = lambda.mapping(ask.part(0))?;
        let shown = lambda.shown_mapping(&mapping, &ask.region, Some("Deleting")).await?;
        let (reference, name) = (Reference::read(mapping.app.name.as_str(), None)?, mapping.name.clone());
        let changed = lambda.change_triggers(&reference, move |app, record| {
            app.triggers.subscriptions.remove(&name);
            record.set_patterns(name.as_str(), Vec::new());
            app.functions.values_mut().for_each(|function| set_shape(function, &name, None));
            Ok(())
        });
        changed.await?;
        json(StatusCode::ACCEPTED, &shown)
    })
}
