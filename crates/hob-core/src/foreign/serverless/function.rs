//! One function of a `serverless.yml`.

use super::{API, NO_IAM, PROVIDER, event};
use crate::foreign::cloudformation::Topics;
use crate::foreign::fields::{Fields, Reason, met, refuse, texts, warn, wrong};
use crate::foreign::lambda::{self, Code};
use crate::foreign::naming;
use crate::foreign::note::Notes;
use crate::foreign::secret::Environment;
use crate::foreign::tree::{Entry, Node};
use crate::manifest::{Function, Manifest, Written};
use std::collections::BTreeMap;
use std::time::Duration;

const FUNCTION: &[Reason] = &[
    met("name"),
    met("description"),
    met("tracing"),
    met("versionFunction"),
    met("dependsOn"),
    met("runtimeManagement"),
    warn("role", NO_IAM),
    warn("iamRoleStatements", NO_IAM),
    warn("iamRoleStatementsName", NO_IAM),
    warn("tags", "Hob has no tags"),
    warn("vpc", "there is no VPC; `egress` says what may be reached"),
    warn("architecture", "the function runs on the node's processor, so build it for that one"),
    warn("ephemeralStorageSize", "the function has its working folder; its size is not bounded by this"),
    warn("kmsKeyArn", "variables are kept as they are, without a key of AWS"),
    warn("logRetentionInDays", "what the function prints is kept by Hob; see `hob logs`"),
    warn("disableLogs", "what the function prints is kept by Hob; see `hob logs`"),
    warn("logs", "what the function prints is kept by Hob; see `hob logs`"),
    warn("snapStart", "there are no snapshots; `scale.provisioned` keeps instances ready"),
    warn("maximumConcurrency", "write `scale.max`"),
    refuse("fileSystemConfig", "there is no EFS to mount"),
    refuse("image", "Hob does not run container images"),
    refuse("condition", "a condition of CloudFormation decides whether this function is there"),
];

/// What `provider` and `package` say for every function.
pub(super) struct Shared {
    pub(super) topics: Topics,
    runtime: Option<Written<String>>,
    timeout: Option<Written<u32>>,
    memory: Option<Written<u32>>,
    environment: Environment,
    environment_line: usize,
    package: Package,
    /// Folders and archives of the layers of the manifest, by the resource that each would be.
    layers: BTreeMap<String, String>,
    /// Layers of functions that name none.
    provided: Option<Entry>,
    /// Events of HTTP APIs have the old form.
    pub(super) payload: Option<Written<String>>,
}

impl Shared {
    pub(super) fn of(
        provider: Option<&Node>,
        root: &mut Fields<'_>,
        (topics, layers): (Topics, BTreeMap<String, String>),
        notes: &mut Notes,
    ) -> Self {
        let empty = Node::map_at(1, Vec::new());
        let text = provider.filter(|provider| provider.text().is_some());
        let mut fields = Fields::of(provider.filter(|_| text.is_none()).unwrap_or(&empty), "provider", notes);
        let name = fields.text("name", notes).map(|name| (name.value, name.line));
        let name = name.or_else(|| text.and_then(|node| Some((node.text()?.to_owned(), node.line))));
        if let Some((name, line)) = name.filter(|(name, _)| name != "aws") {
            notes.refuse(
                line,
                "provider.name",
                format!("Hob reads the manifests of provider `aws`, not `{name}`"),
            );
        }
        let mut environment = Environment::default();
        let entry = fields.take("environment");
        if let Some(entry) = entry {
            texts(entry, "provider.environment", &mut environment, notes);
        }
        let mut payload = None;
        for key in ["httpApi", "apiGateway"] {
            if let Some(mut api) = fields.fields(key, notes) {
                payload = payload.or_else(|| api.text("payload", notes));
                api.end(&[API], notes);
            }
        }
        let shared = Self {
            topics,
            runtime: fields.text("runtime", notes),
            timeout: fields.number("timeout", notes),
            memory: fields.number("memorySize", notes),
            environment,
            environment_line: entry.map_or(0, |entry| entry.line),
            package: root
                .take("package")
                .map_or_else(Package::default, |entry| package(entry, "package", notes)),
            layers,
            provided: fields.take("layers").cloned(),
            payload,
        };
        fields.end(&[PROVIDER], notes);
        shared
    }
}

pub(super) fn translate(
    shared: &Shared,
    path: &str,
    entry: &Entry,
    manifest: &mut Manifest,
    notes: &mut Notes,
) {
    let name = naming::function(&entry.key, entry.line, path, notes);
    notes.about(Some(&name));
    let mut fields = Fields::of(&entry.value, path, notes);
    let mut function = Function { line: entry.line, ..Function::new(name.clone()) };
    let own = fields.take("package").map(|entry| package(entry, &fields.path("package"), notes));
    let own = own.unwrap_or_default();
    let code = Code {
        runtime: fields.text("runtime", notes).or_else(|| shared.runtime.clone()),
        handler: fields.text("handler", notes),
        path: own.artifact.clone().or_else(|| shared.package.artifact.clone()),
    };
    if let Some(image) = fields.take("image") {
        notes.refuse(image.line, &fields.path("image"), "Hob does not run container images");
    } else {
        lambda::start(&mut function, &code, path, notes);
    }
    if code.path.is_none() {
        function.files = shared.package.files(own, notes);
    }
    layers(shared, &mut fields, &mut function, notes);
    settings(shared, &mut fields, &mut function, notes);
    asynchronous(shared, &mut fields, &mut function, notes);
    // Without a function URL only its routes lead to it.
    function.private = Some(Written { value: true, line: entry.line });
    url(&mut fields, &mut function, notes);
    if let Some(events) = fields.take("events") {
        let setting = fields.path("events");
        match events.value.list() {
            Some(items) => {
                for (at, item) in items.iter().enumerate() {
                    event::translate(shared, item, (&setting, at), &mut function, manifest, notes);
                }
            }
            None if events.value.is_null() => {}
            None => wrong(&events.value, &setting, "a list", notes),
        }
    }
    fields.end(&[FUNCTION], notes);
    if manifest.functions.iter().any(|other| other.name == name) {
        notes.refuse(entry.line, path, format!("two functions would be named `{name}`"));
    } else {
        manifest.functions.push(function);
    }
}

fn settings(shared: &Shared, fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let timeout = fields.number("timeout", notes).or_else(|| shared.timeout.clone());
    let memory = fields.number("memorySize", notes).or_else(|| shared.memory.clone());
    function.timeout = timeout.as_ref().map(lambda::seconds);
    function.memory = memory.as_ref().map(lambda::megabytes);
    let (mut variables, mut line) = (shared.environment.clone(), shared.environment_line);
    if let Some(entry) = fields.take("environment") {
        texts(entry, &fields.path("environment"), &mut variables, notes);
        line = entry.line;
    }
    if line > 0 {
        variables.give(function, line, notes);
    }
    match fields.number("reservedConcurrency", notes) {
        Some(Written { value: 0, line }) => {
            let why = "0 means that nobody may call it; leave the function out";
            notes.refuse(line, &fields.path("reservedConcurrency"), why);
        }
        most => function.scale.max = most,
    }
    function.scale.min = fields.number("provisionedConcurrency", notes);
}

fn asynchronous(shared: &Shared, fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let into = &mut function.asynchronous;
    let topic = |node: &Node, line: usize, setting: &str, notes: &mut Notes| match shared.topics.named(node) {
        Ok(value) => Some(Written { value, line }),
        Err(why) => {
            notes.warn(line, setting, why);
            None
        }
    };
    if let Some(entry) = fields.take("onError") {
        into.on_failure = topic(&entry.value, entry.line, &fields.path("onError"), notes);
    }
    if let Some(mut own) = fields.fields("destinations", notes) {
        for key in ["onSuccess", "onFailure"] {
            let Some(entry) = own.take(key) else { continue };
            let setting = own.path(key);
            // A bare name is another function.
            let node = entry.value.get("arn").unwrap_or(&entry.value);
            if node.text().is_some_and(|text| !text.contains(':')) {
                notes.warn(
                    entry.line,
                    &setting,
                    "a destination is a topic; let the other function subscribe to it",
                );
                continue;
            }
            let found = topic(node, entry.line, &setting, notes);
            match key {
                "onSuccess" => into.on_success = found,
                _ => into.on_failure = found,
            }
        }
        own.end(&[], notes);
    }
    into.retry.attempts = fields.number("maximumRetryAttempts", notes).as_ref().map(lambda::attempts);
    let age = fields.number("maximumEventAge", notes);
    into.retry.age = age.map(|age| Written { value: Duration::from_secs(age.value.into()), line: age.line });
}

fn url(fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let Some(entry) = fields.take("url") else { return };
    match entry.value.boolean() {
        Some(false) => {}
        Some(true) => function.private = Some(Written { value: false, line: entry.line }),
        None => {
            let mut own = Fields::of(&entry.value, &fields.path("url"), notes);
            match own.take("authorizer") {
                Some(authorizer) => {
                    let why = "Hob checks no callers, so that everybody could call what only some may";
                    notes.refuse(authorizer.line, &own.path("authorizer"), why);
                }
                None => function.private = Some(Written { value: false, line: entry.line }),
            }
            own.end(
                &[&[
                    met("invokeMode"),
                    warn("cors", "CORS is the function's to answer; Hob adds no headers"),
                ]],
                notes,
            );
        }
    }
}

/// What `package` says.
#[derive(Clone, Debug, Default)]
struct Package {
    /// The archive that was made before.
    artifact: Option<Written<String>>,
    /// Which files belong to it, in their order; those with `!` are taken out.
    patterns: Vec<Written<String>>,
}

impl Package {
    /// The function's `files`: the patterns of all functions, then its own.
    fn files(&self, own: Self, notes: &mut Notes) -> Option<Written<Vec<String>>> {
        let all: Vec<Written<String>> = self.patterns.iter().cloned().chain(own.patterns).collect();
        let line = all.first()?.line;
        let other = |pattern: &&Written<String>| pattern.value.contains(['{', '[', '(']);
        if let Some(pattern) = all.iter().find(other) {
            let why = format!(
                "`{}` is no pattern of Hob, which has `*`, `?` and `**`; the whole folder is deployed, `files` chooses",
                pattern.value
            );
            notes.warn(pattern.line, "package.patterns", why);
            return None;
        }
        // The framework begins with everything.
        let mut value = vec!["**".to_owned()];
        for pattern in all {
            let (not, path) = match pattern.value.strip_prefix('!') {
                Some(path) => ("!", path),
                None => ("", pattern.value.as_str()),
            };
            let path = path.trim_start_matches("./");
            match (not, path) {
                ("!", "**" | "**/*") => value.clear(),
                _ => value.push(format!("{not}{path}")),
            }
        }
        Some(Written { value, line })
    }
}

fn package(entry: &Entry, path: &str, notes: &mut Notes) -> Package {
    let mut fields = Fields::of(&entry.value, path, notes);
    let artifact = fields.text("artifact", notes);
    let mut patterns = Vec::new();
    // The older keys: what is left out, then what is taken in all the same.
    for (key, not) in [("exclude", "!"), ("include", ""), ("patterns", "")] {
        for node in fields.take(key).and_then(|entry| entry.value.list()).unwrap_or_default() {
            match node.text() {
                Some(text) => patterns.push(Written { value: format!("{not}{text}"), line: node.line }),
                None => wrong(node, &fields.path(key), "a pattern", notes),
            }
        }
    }
    fields.end(&[&[met("individually"), met("excludeDevDependencies"), met("artifactsS3KeyDirname")]], notes);
    Package { artifact, patterns }
}

/// Layers of the manifest lie in its folder; others are at AWS.
fn layers(shared: &Shared, fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let setting = fields.path("layers");
    let Some(entry) = fields.take("layers").or(shared.provided.as_ref()) else { return };
    let mut paths = Vec::new();
    for item in entry.value.list().unwrap_or_default() {
        let resource = item.unknown().and_then(|unknown| unknown.resource.as_deref());
        match resource.and_then(|id| shared.layers.get(id)) {
            Some(path) => paths.push(path.clone()),
            None => notes.refuse(item.line, &setting, "a layer is at AWS; put its files beside the function"),
        }
    }
    lambda::layers(function, paths);
}
