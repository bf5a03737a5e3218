//! Versions and aliases (Lambda developer guide, "Manage Lambda function versions" and "Create an alias").

use super::answer::{Answered, Refusal, json, nothing};
use super::function::{Known, changed_meanwhile};
use super::page::page;
use super::{Ask, Handled, Lambda, Operation, operation};
use hob_core::aws::alias::Alias;
use hob_core::aws::error::Exception;
use hob_core::aws::name::{LATEST, Reference, arn, check_alias};
use hob_core::aws::record::{Record, Version, uuid};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::Fault;
use hob_core::spec::{AsyncSpec, FunctionSpec, ScaleSpec};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    operation("PublishVersion", "POST", "/2015-03-31/functions/{}/versions", publish),
    operation("ListVersionsByFunction", "GET", "/2015-03-31/functions/{}/versions", list),
    operation("CreateAlias", "POST", "/2015-03-31/functions/{}/aliases", create_alias),
    operation("ListAliases", "GET", "/2015-03-31/functions/{}/aliases", list_aliases),
    operation("GetAlias", "GET", "/2015-03-31/functions/{}/aliases/{}", get_alias),
    operation("UpdateAlias", "PUT", "/2015-03-31/functions/{}/aliases/{}", update_alias),
    operation("DeleteAlias", "DELETE", "/2015-03-31/functions/{}/aliases/{}", delete_alias),
];

/// Versions or aliases of a page, unless the request wants fewer.
const PAGE: usize = 50;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Publish {
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
}

/// What `CreateAlias` and `UpdateAlias` have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SetAlias {
    name: Option<String>,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<Routing>,
    revision_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Routing {
    #[serde(default)]
    additional_version_weights: BTreeMap<String, f64>,
}

fn publish(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: Publish = ask.json_or_default()?;
        let reference = Reference::read(ask.part(0), None)?;
        let (app, _) = reference.app()?;
        let _turn = lambda.records.turn(&app)?;
        let mut known = lambda.known_alone(&reference).await?;
        known.check_expected(asked.revision_id.as_deref())?;
        let sha256 = known.about(&known.app.current).code_sha256;
        if let Some(expected) = asked.code_sha256.filter(|expected| *expected != sha256) {
            let what = format!("`CodeSha256` is `{expected}`, and the code's is `{sha256}`");
            return Err(Refusal::new(Exception::PreconditionFailed, Fault::new(Code::LambdaConflict, what)));
        }
        json(StatusCode::CREATED, &lambda.publish(&mut known, &ask.region, asked.description).await?)
    })
}

fn list(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = Reference::read(ask.part(0), None)?;
        let known = lambda.known(&reference).await?;
        let mut all = BTreeMap::from([(String::new(), known.latest(&ask.region, Some(LATEST))?)]);
        for number in known.record().versions.keys() {
            all.insert(format!("{number:010}"), known.version(&ask.region, *number)?);
        }
        json(StatusCode::OK, &page("Versions", all, &ask, PAGE)?)
    })
}

/// What makes another version of a function: not what AWS keeps beside versions.
fn of_version(spec: &FunctionSpec) -> FunctionSpec {
    let dead_letter = spec.asynchronous.dead_letter.clone();
    FunctionSpec {
        private: true,
        scale: ScaleSpec { max: 0, ..spec.scale.clone() },
        asynchronous: AsyncSpec { dead_letter, ..AsyncSpec::default() },
        ..spec.clone()
    }
}

impl Lambda {
    /// Gives what is current a number; its revision is kept from then on.
    pub(super) async fn publish(
        &self,
        known: &mut Known,
        region: &str,
        description: Option<String>,
    ) -> Answered<Value> {
        let current = Arc::clone(&known.app.current);
        let mut about = known.about(&current);
        about.description = description.unwrap_or(about.description);
        let settings = serde_json::to_vec(&of_version(known.spec(&current)?)).map_err(Fault::internal)?;
        let (mut record, function) = (known.record(), Digest::of(&settings));
        let number = record.publish(Version { revision: current.number, function, about })?;
        // First it is kept, then it has a name: a kill in between leaves one revision more than needed.
        self.control.apps.pin(&known.app.name, record.pins()).await?;
        known.stored.record = Some(record);
        self.records.store(&known.app.name, &mut known.stored).await?;
        known.version(region, number)
    }

    /// Removes a version; its revision is kept no longer than others.
    pub(super) async fn unpublish(&self, mut known: Known, number: u32) -> Answered<()> {
        let mut record = known.record();
        record.unpublish(number)?;
        let pins = record.pins();
        self.versions.know(&known.app.name, &record);
        known.stored.record = Some(record);
        self.records.store(&known.app.name, &mut known.stored).await?;
        self.control.apps.pin(&known.app.name, pins).await?;
        Ok(())
    }

    /// Changes the aliases of a function.
    async fn change_alias(
        &self,
        ask: &Ask,
        change: impl FnOnce(&mut Record) -> Answered<Value> + Send,
    ) -> Answered<Value> {
        let reference = Reference::read(ask.part(0), None)?;
        Ok(self.change_record(&reference, |record, _| change(record)).await?.1)
    }

    /// Changes what is stored of a function beside its app; and what `change`, which also sees what is known of it, says.
    pub(super) async fn change_record<T: Send>(
        &self,
        reference: &Reference,
        change: impl FnOnce(&mut Record, &Known) -> Answered<T> + Send,
    ) -> Answered<(Known, T)> {
        let (app, _) = reference.app()?;
        let _turn = self.records.turn(&app)?;
        let mut known = self.known_alone(reference).await?;
        let mut record = known.record();
        let said = change(&mut record, &known)?;
        known.stored.record = Some(record.clone());
        self.records.store(&app, &mut known.stored).await?;
        self.versions.know(&app, &record);
        Ok((known, said))
    }
}

fn create_alias(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: SetAlias = ask.json()?;
        let name = asked.name.ok_or_else(|| Refusal::value("there is no `Name`"))?;
        check_alias(&name)?;
        let alias = Alias {
            version: asked.function_version.ok_or_else(|| Refusal::value("there is no `FunctionVersion`"))?,
            description: asked.description.unwrap_or_default(),
            weights: asked
                .routing_config
                .map(|routing| routing.additional_version_weights)
                .unwrap_or_default(),
        };
        let region = ask.region.clone();
        let changed = lambda.change_alias(&ask, move |record| {
            if record.aliases.contains_key(&name) {
                let what = format!("function `{}` has an alias `{name}` already", record.name);
                return Err(Fault::new(Code::LambdaConflict, what).hint("update it instead").into());
            }
            record.set_alias(&name, alias.clone())?;
            Ok(shown(record, &region, &name, &alias))
        });
        json(StatusCode::CREATED, &changed.await?)
    })
}

fn update_alias(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: SetAlias = ask.json()?;
        let (region, name) = (ask.region.clone(), ask.part(1).to_owned());
        let changed = lambda.change_alias(&ask, move |record| {
            let before = record.aliases.get(&name).cloned().ok_or_else(|| record.has_no("alias", &name))?;
            if asked.revision_id.is_some_and(|expected| expected != revision_id(&before)) {
                return Err(changed_meanwhile());
            }
            let weights = asked.routing_config.map(|routing| routing.additional_version_weights);
            let alias = Alias {
                version: asked.function_version.unwrap_or(before.version),
                description: asked.description.unwrap_or(before.description),
                weights: weights.unwrap_or(before.weights),
            };
            record.set_alias(&name, alias.clone())?;
            Ok(shown(record, &region, &name, &alias))
        });
        json(StatusCode::OK, &changed.await?)
    })
}

fn delete_alias(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let name = ask.part(1).to_owned();
        let changed = lambda.change_alias(&ask, move |record| {
            record.remove_alias(&name)?;
            Ok(Value::Null)
        });
        changed.await?;
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}

fn get_alias(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let record = lambda.known(&Reference::read(ask.part(0), None)?).await?.record();
        let name = ask.part(1);
        let alias = record.aliases.get(name).ok_or_else(|| record.has_no("alias", name))?;
        json(StatusCode::OK, &shown(&record, &ask.region, name, alias))
    })
}

fn list_aliases(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let record = lambda.known(&Reference::read(ask.part(0), None)?).await?.record();
        let of = ask.query("FunctionVersion");
        let wanted =
            record.aliases.iter().filter(|(_, alias)| of.as_ref().is_none_or(|of| *of == alias.version));
        let all =
            wanted.map(|(name, alias)| (name.clone(), shown(&record, &ask.region, name, alias))).collect();
        json(StatusCode::OK, &page("Aliases", all, &ask, PAGE)?)
    })
}

fn revision_id(alias: &Alias) -> String {
    uuid(&Digest::of(serde_json::to_string(alias).unwrap_or_default().as_bytes()))
}

fn shown(record: &Record, region: &str, name: &str, alias: &Alias) -> Value {
    let mut shown = json!({
        "AliasArn": arn(region, &record.name, Some(name)),
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": revision_id(alias),
    });
    if !alias.weights.is_empty() {
        shown["RoutingConfig"] = json!({ "AdditionalVersionWeights": alias.weights });
    }
    shown
}
