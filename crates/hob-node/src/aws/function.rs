//! Functions: created, changed, shown, listed and deleted (Lambda API reference, "CreateFunction" and its relatives).
//!
//! **How.** A function is an app of one function, made by the deploy that every app has: it serves when the answer
//! says so, or nothing has changed. The archive's files are artifacts like all others.

use super::answer::{Answered, Refusal, json, nothing};
use super::find::not_found;
use super::page::page;
use super::records::Stored;
use super::{Ask, Handled, Lambda, Operation, layer, operation};
use crate::clock::now_ms;
use crate::live::{LiveApp, LiveRevision};
use hob_core::aws::asynchronous;
use hob_core::aws::error::Exception;
use hob_core::aws::function::{self, Create, DeadLetterConfig, Settings, Shown, UpdateCode};
use hob_core::aws::name::{LATEST, Reference, version};
use hob_core::aws::record::{About, Record};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::event::base64;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{AWS_ARCHIVE_BYTES_MAX, AWS_MEMORY_MIB, AWS_TIMEOUT_S};
use hob_core::manifest::{self, Written};
use hob_core::name::FunctionName;
use hob_core::spec::{AppSpec, AsyncSpec, FunctionSpec, PackageFile};
use hob_core::trigger::Triggers;
use hob_core::watch::Watch;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        body_bytes_max: AWS_ARCHIVE_BYTES_MAX,
        ..operation("CreateFunction", "POST", "/2015-03-31/functions", create)
    },
    operation("ListFunctions", "GET", "/2015-03-31/functions", list),
    operation("GetFunction", "GET", "/2015-03-31/functions/{}", get),
    operation("DeleteFunction", "DELETE", "/2015-03-31/functions/{}", delete),
    operation("GetFunctionConfiguration", "GET", "/2015-03-31/functions/{}/configuration", configuration),
    operation("UpdateFunctionConfiguration", "PUT", "/2015-03-31/functions/{}/configuration", configure),
    Operation {
        body_bytes_max: AWS_ARCHIVE_BYTES_MAX,
        ..operation("UpdateFunctionCode", "PUT", "/2015-03-31/functions/{}/code", update)
    },
];

/// Time of a call and memory of an instance, unless the request says otherwise (Lambda API reference).
const TIMEOUT_S: u64 = 3;
const MEMORY_MIB: u64 = 128;
/// Functions of a page, unless the request wants fewer.
const PAGE: usize = 50;

/// A function that is there, with what is stored of it.
pub(super) struct Known {
    pub(super) app: Arc<LiveApp>,
    pub(super) function: FunctionName,
    pub(super) stored: Stored,
}

impl Known {
    /// Its record; of an app that another tool has deployed, an empty one.
    pub(super) fn record(&self) -> Record {
        self.stored.record.clone().unwrap_or_else(|| Record::new(self.app.name.as_str()))
    }

    /// What was said of the content of a revision.
    pub(super) fn about(&self, revision: &LiveRevision) -> About {
        let said = self.stored.record.as_ref().and_then(|record| record.about.get(&revision.digest));
        said.cloned().unwrap_or_else(|| said_by_nobody(revision))
    }

    /// Its settings in a revision.
    pub(super) fn spec<'a>(&self, revision: &'a LiveRevision) -> Answered<&'a FunctionSpec> {
        let spec = revision.spec.functions.get(&self.function);
        spec.ok_or_else(|| Fault::internal("a function has no settings").into())
    }

    /// What is shown of it now; `qualifier` is what stands behind the name in the ARN.
    pub(super) fn latest(&self, region: &str, qualifier: Option<&str>) -> Answered<Value> {
        let (name, current) = (self.record().name, &self.app.current);
        let (about, spec) = (self.about(current), self.spec(current)?);
        let content = current.digest;
        Ok(Shown { name: &name, region, version: LATEST, qualifier, content, spec, about: &about }
            .configuration())
    }

    /// What is shown of a version.
    pub(super) fn version(&self, region: &str, number: u32) -> Answered<Value> {
        let record = self.record();
        let text = number.to_string();
        let version = record.versions.get(&number).ok_or_else(|| record.has_no("version", &text))?;
        let revision = self.app.kept.get(&version.revision);
        let revision = revision.ok_or_else(|| Fault::internal("the revision of a version is not kept"))?;
        let shown = Shown {
            name: &record.name,
            region,
            version: &text,
            qualifier: Some(&text),
            content: revision.digest,
            spec: self.spec(revision)?,
            about: &version.about,
        };
        Ok(shown.configuration())
    }

    /// Refuses a change that expects something else than what is there.
    pub(super) fn check_expected(&self, revision_id: Option<&str>) -> Answered<()> {
        let current = &self.app.current;
        match revision_id {
            Some(expected) if expected != self.about(current).revision_id(current.digest) => {
                Err(changed_meanwhile())
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn changed_meanwhile() -> Refusal {
    let fault =
        Fault::new(Code::LambdaConflict, "the `RevisionId` is not the current one: somebody has changed it");
    Refusal::new(Exception::PreconditionFailed, fault.hint("get it again, then decide again"))
}

/// What is said of an app that another tool has deployed.
fn said_by_nobody(revision: &LiveRevision) -> About {
    let package = revision.spec.functions.values().flat_map(|function| function.package.values());
    About {
        code_sha256: base64::encode(revision.digest.bytes()),
        code_bytes: package.map(|file| file.size).sum(),
        modified_ms: revision.created_ms,
        ..About::default()
    }
}

impl Lambda {
    /// Finds a function with what is stored of it.
    pub(super) async fn known(&self, reference: &Reference) -> Answered<Known> {
        let (app, function) = self.app(reference)?;
        let stored = self.records.load(&app.name).await?;
        Ok(Known { app, function, stored })
    }

    /// The same for a change: only of an app of one function, since all of an app changes at once.
    pub(super) async fn known_alone(&self, reference: &Reference) -> Answered<Known> {
        let known = self.known(reference).await?;
        let functions = known.app.current.spec.functions.len();
        if functions == 1 {
            return Ok(known);
        }
        let what =
            format!("`{}` belongs to an app of {functions} functions, which change together", reference.name);
        Err(Fault::new(Code::AwsRequest, what)
            .hint(format!("deploy app `{}` with `hob deploy`", known.app.name))
            .into())
    }

    /// Deploys a function's app. What is said of it is stored before, so that it is there as soon as the revision is.
    pub(super) async fn deploy(
        &self,
        stored: &mut Stored,
        spec: AppSpec,
        about: About,
    ) -> Answered<Arc<LiveApp>> {
        let (app, digest) = (spec.app.clone(), spec.digest());
        let record = stored.record.get_or_insert_with(|| Record::new(app.as_str()));
        let mut kept: BTreeSet<Digest> = BTreeSet::from([digest]);
        if let Some(live) = self.control.live.load().app(app.as_str()) {
            kept.extend(live.kept.values().map(|revision| revision.digest));
        }
        record.about.insert(digest, about);
        record.forget(&kept);
        self.records.store(&app, stored).await?;
        self.control.apps.deploy(spec, Arc::new(|_| ())).await?;
        let table = self.control.live.load();
        table.app(app.as_str()).cloned().ok_or_else(|| Fault::internal("a deployed app is not live").into())
    }
}

/// The settings of a function as they would be in a manifest, with every default of one.
fn resolved(
    name: &FunctionName,
    about: &About,
    (timeout_s, memory_mib): (u64, u64),
    env: BTreeMap<String, String>,
    package: BTreeMap<String, PackageFile>,
) -> Result<FunctionSpec> {
    fn written<T>(value: T) -> Option<Written<T>> {
        Some(Written { value, line: 0 })
    }
    let mut function = manifest::Function::new(name.clone());
    function.host = written("process".to_owned());
    function.contract = written("lambda".to_owned());
    function.run = written(function::command(&about.runtime, &about.handler)?);
    function.timeout = written(Duration::from_secs(timeout_s));
    function.memory = written(memory_mib << 20);
    function.env = written(env);
    function.private = written(true);
    let settings = [("handler", &about.handler), ("runtime", &about.runtime)];
    let settings = settings.map(|(key, value)| (key.to_owned(), Value::from(value.as_str())));
    function.settings =
        written(Map::from_iter(settings)).map(|all| ("lambda".to_owned(), all)).into_iter().collect();
    let mut spec = manifest::resolve("", &function, None, package)?.spec;
    let target_arn = about.dead_letter.clone().unwrap_or_default();
    let dead_letter = DeadLetterConfig { target_arn }.topic()?;
    spec.asynchronous = AsyncSpec { dead_letter, ..asynchronous::default() };
    Ok(spec)
}

/// The ARN of a config as it is kept.
fn target(config: Option<&DeadLetterConfig>) -> Option<String> {
    config.map(|config| config.target_arn.clone()).filter(|arn| !arn.is_empty())
}

fn in_range(name: &str, value: u64, range: std::ops::RangeInclusive<u64>) -> Answered<u64> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (range.start(), range.end());
    Err(Refusal::value(format!("`{name}` is {value}: use {least} to {most}")))
}

/// Variables that a function may set: as AWS restricts their names.
fn variables(settings: &Settings) -> Answered<Option<BTreeMap<String, String>>> {
    let Some(environment) = &settings.environment else { return Ok(None) };
    let fine = |name: &str| {
        let all = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        all && name.len() >= 2 && name.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    match environment.variables.keys().find(|name| !fine(name)) {
        Some(name) => Err(Refusal::value(format!("`{name}` is no name of a variable"))),
        None => Ok(Some(environment.variables.clone())),
    }
}

fn create(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let Create { function_name, code, publish, tags, settings } = ask.json()?;
        let reference = Reference::read(&function_name, None)?;
        if reference.qualifier.is_some() {
            return Err(Refusal::value("a function is created without a version or alias in its name"));
        }
        let (app, named) = reference.app()?;
        if named.is_some() {
            return Err(Refusal::value(format!("`{}` names a function of another app", reference.name)));
        }
        function::check_rest(&settings.rest)?;
        let _turn = lambda.records.turn(&app)?;
        if lambda.control.live.load().app(app.as_str()).is_some() {
            let fault =
                Fault::new(Code::LambdaConflict, format!("Function already exist: {}", reference.name));
            return Err(Refusal::new(Exception::ResourceConflict, fault.hint("update it instead")));
        }
        let archive = function::archive(&code)?;
        let about = About {
            runtime: settings.runtime.clone().ok_or_else(|| Refusal::value("there is no `Runtime`"))?,
            role: settings.role.clone().unwrap_or_default(),
            handler: settings.handler.clone().unwrap_or_else(|| "bootstrap".to_owned()),
            description: settings.description.clone().unwrap_or_default(),
            code_sha256: base64::encode(Digest::of(&archive).bytes()),
            code_bytes: archive.len() as u64,
            modified_ms: now_ms(),
            layers: settings.layers.clone().unwrap_or_default(),
            dead_letter: target(settings.dead_letter_config.as_ref()),
        };
        let numbers = (
            in_range("Timeout", settings.timeout.unwrap_or(TIMEOUT_S), AWS_TIMEOUT_S)?,
            in_range("MemorySize", settings.memory_size.unwrap_or(MEMORY_MIB), AWS_MEMORY_MIB)?,
        );
        let env = variables(&settings)?.unwrap_or_default();
        let function = FunctionName::new(app.as_str())?;
        // Whether it can be run is said before anything is stored.
        function::command(&about.runtime, &about.handler)?;
        let mut package = lambda.unpack(archive).await?;
        if !about.layers.is_empty() {
            lambda.lay(&mut package, &about.layers).await?;
        }
        let spec = resolved(&function, &about, numbers, env, package)?;
        let spec = AppSpec {
            app: app.clone(),
            functions: BTreeMap::from([(function.clone(), spec)]),
            routes: Vec::new(),
            triggers: Triggers::default(),
            watch: Watch::default(),
        };
        // What an app of this name has left behind is not the new one's.
        let mut stored = lambda.records.load(&app).await?;
        stored.record = Some(Record { tags, ..Record::new(&reference.name) });
        let deployed = lambda.deploy(&mut stored, spec, about).await;
        if deployed.is_err() {
            stored.record = None;
            lambda.records.store(&app, &mut stored).await?;
        }
        let mut known = Known { app: deployed?, function, stored };
        lambda.versions.know(&app, &known.record());
        let shown = match publish {
            true => lambda.publish(&mut known, &ask.region, None).await?,
            false => known.latest(&ask.region, None)?,
        };
        json(StatusCode::CREATED, &shown)
    })
}

fn update(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: UpdateCode = ask.json()?;
        let reference = Reference::read(ask.part(0), None)?;
        let (app, _) = reference.app()?;
        let _turn = lambda.records.turn(&app)?;
        let mut known = lambda.known_alone(&reference).await?;
        let about = made_here(&known)?;
        known.check_expected(asked.revision_id.as_deref())?;
        let archive = function::archive(&asked.code)?;
        let about = About {
            code_sha256: base64::encode(Digest::of(&archive).bytes()),
            code_bytes: archive.len() as u64,
            modified_ms: now_ms(),
            ..about
        };
        let mut package = lambda.unpack(archive).await?;
        if asked.dry_run {
            return json(StatusCode::OK, &known.latest(&ask.region, None)?);
        }
        let mut spec = AppSpec::clone(&known.app.current.spec);
        if !about.layers.is_empty() {
            // The layers stay what they were when the function was given them.
            package.retain(|path, _| !path.starts_with(layer::OPT));
            let before = spec.functions.values().flat_map(|function| &function.package);
            let kept = before.filter(|(path, _)| path.starts_with(layer::OPT));
            package.extend(kept.map(|(path, file)| (path.clone(), *file)));
        }
        for function in spec.functions.values_mut() {
            function.package.clone_from(&package);
        }
        known.app = lambda.deploy(&mut known.stored, spec, about).await?;
        let shown = match asked.publish {
            true => lambda.publish(&mut known, &ask.region, None).await?,
            false => known.latest(&ask.region, None)?,
        };
        json(StatusCode::OK, &shown)
    })
}

fn configure(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: Settings = ask.json()?;
        function::check_rest(&asked.rest)?;
        let reference = Reference::read(ask.part(0), None)?;
        let (app, _) = reference.app()?;
        let _turn = lambda.records.turn(&app)?;
        let mut known = lambda.known_alone(&reference).await?;
        let before = made_here(&known)?;
        known.check_expected(asked.revision_id.as_deref())?;
        let env = variables(&asked)?;
        let about = About {
            runtime: asked.runtime.unwrap_or(before.runtime),
            role: asked.role.unwrap_or(before.role),
            handler: asked.handler.unwrap_or(before.handler),
            description: asked.description.unwrap_or(before.description),
            layers: asked.layers.clone().unwrap_or(before.layers),
            dead_letter: match &asked.dead_letter_config {
                Some(config) => target(Some(config)),
                None => before.dead_letter,
            },
            modified_ms: now_ms(),
            ..before
        };
        let mut spec = AppSpec::clone(&known.app.current.spec);
        for (name, function) in &mut spec.functions {
            let (timeout_s, memory_mib) = (function.timeout_ms.div_ceil(1000), function.memory_bytes >> 20);
            let numbers = (
                in_range("Timeout", asked.timeout.unwrap_or(timeout_s), AWS_TIMEOUT_S)?,
                in_range("MemorySize", asked.memory_size.unwrap_or(memory_mib), AWS_MEMORY_MIB)?,
            );
            let env = env.clone().unwrap_or_else(|| function.env.clone());
            if asked.layers.is_some() {
                lambda.lay(&mut function.package, &about.layers).await?;
            }
            let fresh = resolved(name, &about, numbers, env, function.package.clone())?;
            let mut settings = std::mem::take(&mut function.settings);
            settings.extend(fresh.settings);
            *function = FunctionSpec {
                run: fresh.run,
                env: fresh.env,
                timeout_ms: fresh.timeout_ms,
                memory_bytes: fresh.memory_bytes,
                settings,
                asynchronous: AsyncSpec {
                    dead_letter: fresh.asynchronous.dead_letter,
                    ..function.asynchronous.clone()
                },
                ..function.clone()
            };
        }
        known.app = lambda.deploy(&mut known.stored, spec, about).await?;
        json(StatusCode::OK, &known.latest(&ask.region, None)?)
    })
}

/// What was said of what is current, where this API has made it.
fn made_here(known: &Known) -> Answered<About> {
    let about = known.about(&known.app.current);
    if !about.runtime.is_empty() {
        return Ok(about);
    }
    let what = format!("app `{}` was deployed by Hob's own tools", known.app.name);
    Err(Fault::new(Code::AwsRequest, what).hint("deploy it again with `hob deploy`").into())
}

fn configuration(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &lambda.shown(&ask).await?.1) })
}

fn get(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (known, shown) = lambda.shown(&ask).await?;
        let record = known.record();
        let mut all = json!({ "Configuration": shown, "Code": { "RepositoryType": "Hob" } });
        if !record.tags.is_empty() {
            all["Tags"] = json!(record.tags);
        }
        if let Some(reserved) = record.reserved {
            all["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
        }
        json(StatusCode::OK, &all)
    })
}

impl Lambda {
    /// What is shown of the function, version or alias that a request names.
    async fn shown(&self, ask: &Ask) -> Answered<(Known, Value)> {
        let reference = Reference::read(ask.part(0), ask.query("Qualifier").as_deref())?;
        let known = self.known(&reference).await?;
        let shown = match reference.qualifier.as_deref() {
            None => known.latest(&ask.region, None)?,
            Some(LATEST) => known.latest(&ask.region, Some(LATEST))?,
            Some(text) => {
                let record = known.record();
                let aliased = record.aliases.get(text).map(|alias| alias.version.clone());
                let number = aliased.as_deref().unwrap_or(text);
                let mut shown = match version(number) {
                    Some(number) => known.version(&ask.region, number)?,
                    None if number == LATEST => known.latest(&ask.region, None)?,
                    None => return Err(not_found(&reference)),
                };
                shown["FunctionArn"] = hob_core::aws::name::arn(&ask.region, &record.name, Some(text)).into();
                shown
            }
        };
        Ok((known, shown))
    }
}

fn list(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let records = lambda.records.all().await?;
        let with_versions = ask.query("FunctionVersion").is_some_and(|which| which == "ALL");
        let table = Arc::clone(&lambda.control.live.load());
        let mut all: BTreeMap<String, Value> = BTreeMap::new();
        for app in table.apps().values() {
            let functions = &app.current.spec.functions;
            for function in functions.keys() {
                let mut stored = Stored::default();
                stored.record = match functions.len() {
                    1 => records.get(&app.name).cloned(),
                    _ => Some(Record::new(&format!("{function}--{}", app.name))),
                };
                let known = Known { app: Arc::clone(app), function: function.clone(), stored };
                let (record, qualifier) = (known.record(), with_versions.then_some(LATEST));
                all.insert(record.name.clone(), known.latest(&ask.region, qualifier)?);
                for number in record.versions.keys().filter(|_| with_versions) {
                    let shown = known.version(&ask.region, *number)?;
                    all.insert(format!("{}:{number:010}", record.name), shown);
                }
            }
        }
        json(StatusCode::OK, &page("Functions", all, &ask, PAGE)?)
    })
}

fn delete(lambda: Arc<Lambda>, ask: Ask) -> Handled {
    Box::pin(async move {
        let reference = Reference::read(ask.part(0), ask.query("Qualifier").as_deref())?;
        let (app, _) = reference.app()?;
        let _turn = lambda.records.turn(&app)?;
        let known = lambda.known_alone(&reference).await?;
        match reference.qualifier.as_deref() {
            None => lambda.control.apps.remove(&app).await?,
            Some(text) => match version(text) {
                Some(number) => lambda.unpublish(known, number).await?,
                None => {
                    return Err(Refusal::value(format!(
                        "`{text}` cannot be deleted: name a version, or the function"
                    )));
                }
            },
        }
        Ok(nothing(StatusCode::NO_CONTENT))
    })
}
