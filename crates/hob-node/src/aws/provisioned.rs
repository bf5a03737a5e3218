//! Provisioned concurrency of versions and aliases (Lambda API reference, "PutProvisionedConcurrencyConfig" and its
//! relatives).
//!
//! **How.** What is wanted is in the function's record; [`crate::versions`] keeps it.

use super::answer::{Answered, Refusal, json, nothing};
use super::function::Known;
use super::page::page;
use super::setting::named;
use super::{Ask, Handled, Lambda, Operation, operation};
use crate::clock::now_ms;
use hob_core::aws::error::Exception;
use hob_core::aws::name::{LATEST, Reference, arn};
use hob_core::aws::provisioned::{There, Wanted};
use hob_core::aws::record::Record;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::scale::Circuit;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    operation("PutProvisionedConcurrencyConfig", "PUT", PATH, put),
    // `ListProvisionedConcurrencyConfigs` is the same with `?List=ALL`.
    operation("GetProvisionedConcurrencyConfig", "GET", PATH, get),
    operation("DeleteProvisionedConcurrencyConfig", "DELETE", PATH, delete),
];

const PATH: &str = "/2019-09-30/functions/{}/provisioned-concurrency";
/// Configs of a page, unless the request wants fewer.
const PAGE: usize = 50;

impl Lambda {
    /// What there is of a version or alias.
    fn there(&self, known: &Known, qualifier: &str) -> There {
        let record = known.record();
        let mut there = There::default();
        for number in record.versions_of(qualifier) {
            let Some(version) = record.versions.get(&number) else { continue };
            let pool = self.versions.pool(&known.app.name, version.revision, number);
            let stats = pool.map(|pool| pool.stats()).unwrap_or_default();
            there.instances += stats.instances;
            there.failing |= stats.outlook.circuit != Circuit::Closed;
        }
        there
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Put {
    provisioned_concurrent_executions: u32,
}

/// The version or alias of a request, which has to have one.
fn qualifier(reference: &Reference) -> Answered<String> {
    match reference.qualifier.as_deref() {
        Some(LATEST) => Err(Refusal::value(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
        )),
        Some(qualifier) => Ok(qualifier.to_owned()),
        None => Err(Refusal::value("there is no `Qualifier`: name a version or an alias")),
    }
}

fn missing(record: &Record, qualifier: &str) -> Refusal {
    let what = format!("No Provisioned Concurrency Config found for `{}:{qualifier}`", record.name);
    Refusal::new(Exception::ProvisionedNotFound, Fault::new(Code::LambdaNotFound, what))
}

/// How many instances the versions of a qualifier may have.
fn most(known: &Known, record: &Record, qualifier: &str) -> u32 {
    let versions =
        record.versions_of(qualifier).into_iter().filter_map(|number| record.versions.get(&number));
    let specs = versions.filter_map(|version| {
        let revision = known.app.kept.get(&version.revision)?;
        revision.spec.functions.get(&known.function)
    });
    specs.map(|spec| spec.scale.max).min().unwrap_or(u32::MAX)
}

fn put(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        let Put { provisioned_concurrent_executions: instances } = ask.json()?;
        let qualifier = qualifier(&reference)?;
        let wanted = Wanted { instances, modified_ms: now_ms() };
        let changed = lambda.change_record(&reference, |record, known| {
            let most = most(known, record, &qualifier);
            Ok(record.provision(&qualifier, wanted, most)?)
        });
        let (known, ()) = changed.await?;
        json(StatusCode::ACCEPTED, &wanted.shown(lambda.there(&known, &qualifier)))
    })
}

fn get(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        if ask.query("List").is_some_and(|list| list == "ALL") {
            return lambda.list_provisioned(&ask, &reference).await;
        }
        let qualifier = qualifier(&reference)?;
        let known = lambda.known(&reference).await?;
        let record = known.record();
        record.check_there(&qualifier)?;
        let wanted = record.provisioned.get(&qualifier).ok_or_else(|| missing(&record, &qualifier))?;
        json(StatusCode::OK, &wanted.shown(lambda.there(&known, &qualifier)))
    })
}

impl Lambda {
    async fn list_provisioned(&self, ask: &Ask, reference: &Reference) -> Answered {
        let known = self.known(reference).await?;
        let record = known.record();
        let each = record.provisioned.iter().map(|(qualifier, wanted)| {
            let mut shown = wanted.shown(self.there(&known, qualifier));
            shown["FunctionArn"] = arn(&ask.region, &record.name, Some(qualifier)).into();
            (qualifier.clone(), shown)
        });
        let all: BTreeMap<String, Value> = each.collect();
        json(StatusCode::OK, &page("ProvisionedConcurrencyConfigs", all, ask, PAGE)?)
    }
}

fn delete(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = named(&ask)?;
        let qualifier = qualifier(&reference)?;
        let changed = lambda.change_record(&reference, move |record, _| {
            record.check_there(&qualifier)?;
            match record.provisioned.remove(&qualifier) {
                Some(_) => Ok(()),
                None => Err(missing(record, &qualifier)),
            }
        });
        changed.await?;
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}
