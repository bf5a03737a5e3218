//! What belongs to a function besides its code: tags, the number of its instances, its address.
//!
//! **How.** All but tags are settings of the app, so a change is a deploy, and a rollback takes it back.

use super::answer::{Answered, Refusal, json, nothing};
use super::function::Known;
use super::page::page;
use super::{Ask, Handled, Lambda, Operation, operation};
use crate::clock::now_ms;
use hob_core::aws::name::{self, LATEST, Reference, arn};
use hob_core::aws::record::Record;
use hob_core::code::Code;
use hob_core::event::timestamp;
use hob_core::fault::Fault;
use hob_core::limit::{INSTANCES_CEILING, INSTANCES_DEFAULT_PROCESS};
use hob_core::name::FunctionName;
use hob_core::spec::{AppSpec, RouteSpec};
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
    operation("CreateFunctionUrlConfig", "POST", URL, create_url),
    operation("GetFunctionUrlConfig", "GET", URL, url),
    operation("UpdateFunctionUrlConfig", "PUT", URL, update_url),
    operation("DeleteFunctionUrlConfig", "DELETE", URL, delete_url),
    operation("ListFunctionUrlConfigs", "GET", "/2021-10-31/functions/{}/urls", urls),
];

const URL: &str = "/2021-10-31/functions/{}/url";
/// Addresses of a page, unless the request wants fewer.
const PAGE: usize = 50;
/// The route of a function that has an address.
const EVERYTHING: &str = "/*";

/// What a change of a function is given.
pub(super) struct Change<'a> {
    pub(super) spec: &'a mut AppSpec,
    pub(super) record: &'a mut Record,
    function: FunctionName,
}

impl Lambda {
    /// Changes the settings of what is current, and deploys it.
    pub(super) async fn change(
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

    /// Where the function of an app answers, or one of its aliases, and since when; `None`: it has no address.
    fn address(&self, known: &Known, alias: Option<&str>) -> Option<(String, u64)> {
        let (app, addresses) = (&known.app, &self.control.why.rules.addresses);
        match alias {
            None => {
                let mut routes = app.current.spec.routes.iter();
                routes.find(|route| route.function == known.function)?;
                Some((format!("{}/", addresses.app(&app.name)), app.current.created_ms))
            }
            Some(alias) => {
                let since_ms = *known.record().urls.get(alias)?;
                let label = FunctionName::new(alias).ok()?;
                Some((format!("{}/", addresses.function(&label, &app.name)), since_ms))
            }
        }
    }
}

/// Hob has one such setting of a function, which is that of what is current.
pub(super) fn only_latest(reference: &Reference) -> Answered<()> {
    match reference.qualifier.as_deref() {
        None | Some(LATEST) => Ok(()),
        Some(other) => Err(Refusal::value(format!(
            "this is a setting of the function in Hob, not of `{other}`: leave the qualifier out"
        ))),
    }
}

pub(super) fn named(ask: &Ask) -> Answered<Reference> {
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

/// The alias that a request means; `None`: the function.
fn alias_of(reference: &Reference) -> Option<String> {
    reference.qualifier.clone().filter(|qualifier| qualifier != LATEST)
}

fn create_url(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: UrlConfig = ask.json()?;
        asked.check()?;
        let reference = named(&ask)?;
        let alias = alias_of(&reference);
        let known = match alias.clone() {
            None => {
                let changed = lambda.change(reference, |change| {
                    let function = change.function;
                    if change.spec.routes.iter().any(|route| route.function == function) {
                        let what = format!("function `{}` has an address already", change.record.name);
                        return Err(Fault::new(Code::LambdaConflict, what).into());
                    }
                    change.spec.routes.push(RouteSpec { route: EVERYTHING.to_owned(), function });
                    change.spec.functions.values_mut().for_each(|spec| spec.private = false);
                    Ok(())
                });
                changed.await?
            }
            Some(alias) => {
                let opened =
                    lambda.change_record(&reference, move |record, _| Ok(record.open_url(&alias, now_ms())?));
                opened.await?.0
            }
        };
        json(StatusCode::CREATED, &lambda.shown_url(&known, &ask.region, alias.as_deref())?)
    })
}

fn update_url(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: UrlConfig = ask.json()?;
        asked.check()?;
        let reference = named(&ask)?;
        let known = lambda.known_alone(&reference).await?;
        json(StatusCode::OK, &lambda.shown_url(&known, &ask.region, alias_of(&reference).as_deref())?)
    })
}

fn delete_url(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        match alias_of(&reference) {
            None => {
                let changed = lambda.change(reference, |change| {
                    let (routes, function) = (&mut change.spec.routes, change.function);
                    if !routes.iter().any(|route| route.function == function) {
                        return Err(has_no_url(change.record).into());
                    }
                    routes.retain(|route| route.function != function);
                    change.spec.functions.values_mut().for_each(|spec| spec.private = true);
                    Ok(())
                });
                changed.await?;
            }
            Some(alias) => {
                let closed = lambda.change_record(&reference, move |record, _| {
                    let gone = record.urls.remove(&alias);
                    gone.map(drop).ok_or_else(|| has_no_url(record).into())
                });
                closed.await?;
            }
        }
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}

fn url(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        let known = lambda.known(&reference).await?;
        json(StatusCode::OK, &lambda.shown_url(&known, &ask.region, alias_of(&reference).as_deref())?)
    })
}

fn urls(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let known = lambda.known(&Reference::read(ask.part(0), None)?).await?;
        let record = known.record();
        let each = std::iter::once(None).chain(record.urls.keys().map(|alias| Some(alias.as_str())));
        let all: BTreeMap<String, Value> = each
            .filter_map(|alias| {
                let shown = lambda.shown_url(&known, &ask.region, alias).ok()?;
                Some((alias.unwrap_or_default().to_owned(), shown))
            })
            .collect();
        json(StatusCode::OK, &page("FunctionUrlConfigs", all, &ask, PAGE)?)
    })
}

fn has_no_url(record: &Record) -> Fault {
    record.has_no("setting", "FunctionUrlConfig")
}

impl Lambda {
    /// `FunctionUrlConfig`. What a function streams is streamed, so every address has that mode.
    fn shown_url(&self, known: &Known, region: &str, alias: Option<&str>) -> Answered<Value> {
        let record = known.record();
        let (address, since_ms) = self.address(known, alias).ok_or_else(|| has_no_url(&record))?;
        let since = timestamp(since_ms);
        Ok(json!({
            "FunctionUrl": address,
            "FunctionArn": arn(region, &record.name, alias),
            "AuthType": "NONE",
            "CreationTime": since,
            "LastModifiedTime": since,
            "InvokeMode": "RESPONSE_STREAM",
        }))
    }
}
