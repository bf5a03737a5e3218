//! One `AWS::Serverless::Function`.

use super::Surroundings;
use super::event;
use crate::foreign::cloudformation::Resource;
use crate::foreign::fields::{Fields, Reason, met, refuse, texts, warn};
use crate::foreign::lambda::{self, Code};
use crate::foreign::naming;
use crate::foreign::note::Notes;
use crate::foreign::secret::Environment;
use crate::foreign::tree::{Entry, Node, Value};
use crate::manifest::{Function, Manifest, Written};
use crate::name::TopicName;
use std::time::Duration;

/// What a function is translated in.
pub(super) struct Context<'a> {
    pub(super) around: &'a Surroundings,
    /// `Globals.Function`.
    pub(super) defaults: Option<&'a Node>,
    /// `Resources.<id>`.
    pub(super) path: &'a str,
}

const NO_IAM: &str = "there is no IAM: the function has the rights of the credentials that it is given";
const WHOLE: &str = "Hob moves the whole app at once; `hob rollback` moves it back";

const FUNCTION: &[Reason] = &[
    met("FunctionName"),
    met("Description"),
    met("Tracing"),
    met("VersionDescription"),
    met("RuntimeManagementConfig"),
    warn("Policies", NO_IAM),
    warn("Role", NO_IAM),
    warn("PermissionsBoundary", NO_IAM),
    warn("AssumeRolePolicyDocument", NO_IAM),
    warn("VpcConfig", "there is no VPC; `egress` says what may be reached"),
    warn("Tags", "Hob has no tags"),
    warn("AutoPublishAlias", WHOLE),
    warn("AutoPublishAliasAllProperties", WHOLE),
    warn("AutoPublishCodeSha256", WHOLE),
    warn("DeploymentPreference", WHOLE),
    warn("Architectures", "the function runs on the node's processor, so build it for that one"),
    warn("EphemeralStorage", "the function has its working folder; its size is not bounded by this"),
    warn("SnapStart", "there are no snapshots; `scale.provisioned` keeps instances ready"),
    warn("KmsKeyArn", "variables are kept as they are, without a key of AWS"),
    warn("CodeSigningConfigArn", "packages are known by their SHA-256, not by a signature"),
    warn("LoggingConfig", "what the function prints is kept by Hob; see `hob logs`"),
    warn("RecursiveLoop", "Hob always stops events that cause each other too often"),
    refuse("FileSystemConfigs", "there is no EFS to mount"),
    refuse("InlineCode", "write the code into a file and name its folder with `CodeUri`"),
    refuse("ImageUri", "Hob does not run container images"),
    refuse("ImageConfig", "Hob does not run container images"),
];

pub(super) fn translate(
    context: &Context<'_>,
    resource: &Resource,
    manifest: &mut Manifest,
    notes: &mut Notes,
) {
    let name = context.around.functions[&resource.id].clone();
    notes.about(Some(&name));
    let path = format!("{}.Properties", context.path);
    let merged = match context.defaults {
        Some(defaults) => merge(defaults, &resource.properties),
        None => resource.properties.clone(),
    };
    let mut fields = Fields::of(&merged, &path, notes);
    let mut function = Function { line: resource.line, ..Function::new(name.clone()) };
    code(&mut fields, &mut function, notes);
    settings(&mut fields, &mut function, notes);
    layers(&mut fields, context, &mut function, notes);
    asynchronous(&mut fields, context, &mut function, notes);
    // Without a function URL only its routes lead to it.
    function.private = Some(Written { value: true, line: resource.line });
    if let Some(mut url) = fields.fields("FunctionUrlConfig", notes) {
        address(&mut url, &mut function, notes);
        url.end(
            &[&[met("InvokeMode"), warn("Cors", "CORS is the function's to answer; Hob adds no headers")]],
            notes,
        );
    }
    if let Some(mut events) = fields.fields("Events", notes) {
        for entry in events.others() {
            event::translate(context.around, entry, &events.path(&entry.key), &mut function, manifest, notes);
        }
    }
    fields.end(&[FUNCTION], notes);
    if !manifest.functions.iter().any(|other| other.name == name) {
        manifest.functions.push(function);
    }
}

fn code(fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let image = fields.text("PackageType", notes).filter(|kind| kind.value != "Zip");
    let inline = fields.take("InlineCode");
    let uri = fields.take("ImageUri").map(|entry| entry.line);
    let image = uri.or_else(|| image.map(|kind| kind.line));
    let path = match fields.take("CodeUri") {
        Some(entry) if entry.value.text().is_some() || entry.value.first_unknown().is_some() => {
            match entry.value.text() {
                Some(text) => Some(Written { value: text.to_owned(), line: entry.line }),
                None => {
                    let why = entry
                        .value
                        .first_unknown()
                        .map_or_else(String::new, |(_, unknown)| unknown.why.clone());
                    notes.refuse(entry.line, &fields.path("CodeUri"), why);
                    None
                }
            }
        }
        Some(entry) => {
            notes.refuse(entry.line, &fields.path("CodeUri"), "code in a bucket is at AWS; name a folder");
            None
        }
        None => None,
    };
    let code = Code { runtime: fields.text("Runtime", notes), handler: fields.text("Handler", notes), path };
    match (image, inline) {
        (Some(line), _) => notes.refuse(line, &fields.path("ImageUri"), "Hob does not run container images"),
        (None, Some(entry)) => {
            let why = "write the code into a file and name its folder with `CodeUri`";
            notes.refuse(entry.line, &fields.path("InlineCode"), why);
        }
        (None, None) => {
            lambda::start(function, &code, &fields.path("CodeUri").replace(".CodeUri", ""), notes)
        }
    }
}

fn settings(fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    function.timeout = fields.number("Timeout", notes).as_ref().map(lambda::seconds);
    function.memory = fields.number("MemorySize", notes).as_ref().map(lambda::megabytes);
    if let Some(mut environment) = fields.fields("Environment", notes) {
        if let Some(entry) = environment.take("Variables") {
            let mut variables = Environment::default();
            texts(entry, &environment.path("Variables"), &mut variables, notes);
            variables.give(function, entry.line, notes);
        }
        environment.end(&[], notes);
    }
    match fields.number("ReservedConcurrentExecutions", notes) {
        Some(Written { value: 0, line }) => {
            notes.refuse(
                line,
                &fields.path("ReservedConcurrentExecutions"),
                "0 means that nobody may call it; leave the function out",
            );
        }
        most => function.scale.max = most,
    }
    if let Some(mut kept) = fields.fields("ProvisionedConcurrencyConfig", notes) {
        function.scale.min = kept.number("ProvisionedConcurrentExecutions", notes);
        kept.end(&[], notes);
    }
}

/// Layers of the template lie in its folder; others are at AWS.
fn layers(fields: &mut Fields<'_>, context: &Context<'_>, function: &mut Function, notes: &mut Notes) {
    let Some(entry) = fields.take("Layers") else { return };
    let mut paths = Vec::new();
    for item in entry.value.list().unwrap_or_default() {
        let resource = item.unknown().and_then(|unknown| unknown.resource.as_deref());
        match resource.and_then(|id| context.around.layers.get(id)) {
            Some(path) => paths.push(path.clone()),
            None => {
                let why = "a layer is at AWS; put its files beside the function";
                notes.refuse(item.line, &fields.path("Layers"), why);
            }
        }
    }
    lambda::layers(function, paths);
}

fn address(url: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    match url.text("AuthType", notes) {
        Some(kind) if kind.value == "NONE" => {
            function.private = Some(Written { value: false, line: kind.line })
        }
        Some(kind) => {
            let why = "Hob checks no callers, so that everybody could call what only some may";
            notes.refuse(kind.line, &url.path("AuthType"), why);
        }
        None => notes.refuse(url.line, &url.path("AuthType"), "it is needed"),
    }
}

fn asynchronous(fields: &mut Fields<'_>, context: &Context<'_>, function: &mut Function, notes: &mut Notes) {
    let (name, into) = (&function.name, &mut function.asynchronous);
    if let Some(mut dead) = fields.fields("DeadLetterQueue", notes) {
        dead.take("Type");
        let path = dead.path("TargetArn");
        into.on_failure = dead.take("TargetArn").and_then(|entry| target(entry, &path, context, notes));
        dead.end(&[], notes);
    }
    let Some(mut config) = fields.fields("EventInvokeConfig", notes) else { return };
    into.retry.attempts = config.number("MaximumRetryAttempts", notes).as_ref().map(lambda::attempts);
    let age = config.number("MaximumEventAgeInSeconds", notes);
    into.retry.age = age.map(|age| Written { value: Duration::from_secs(age.value.into()), line: age.line });
    if let Some(mut destinations) = config.fields("DestinationConfig", notes) {
        for key in ["OnSuccess", "OnFailure"] {
            let Some(mut own) = destinations.fields(key, notes) else { continue };
            if own.text("Type", notes).is_some_and(|kind| kind.value == "Lambda") {
                let line = own.line;
                own.take("Destination");
                notes.warn(
                    line,
                    &own.path("Type"),
                    "a destination is a topic; let the other function subscribe to it",
                );
                continue;
            }
            // SAM makes a queue or topic where none is named.
            let made = format!("{name}.{}", if key == "OnSuccess" { "on-success" } else { "on-failure" });
            let topic = match own.take("Destination") {
                None => Some(Written { value: naming::topic(&made), line: own.line }),
                Some(entry) => target(entry, &own.path("Destination"), context, notes),
            };
            own.end(&[], notes);
            match key {
                "OnSuccess" => into.on_success = topic,
                _ => into.on_failure = topic,
            }
        }
        destinations.end(&[], notes);
    }
    config.end(&[], notes);
}

fn target(entry: &Entry, path: &str, context: &Context<'_>, notes: &mut Notes) -> Option<Written<TopicName>> {
    match context.around.topics.named(&entry.value) {
        Ok(value) => Some(Written { value, line: entry.line }),
        Err(why) => {
            notes.warn(entry.line, path, why);
            None
        }
    }
}

/// `Globals` below a resource's own: maps are joined, lists put one after the other (SAM, section Globals).
fn merge(defaults: &Node, own: &Node) -> Node {
    match (&defaults.value, &own.value) {
        (Value::Map(all), Value::Map(entries)) => {
            let mut joined: Vec<Entry> = Vec::new();
            for entry in entries {
                let default = all.iter().find(|one| one.key == entry.key).map(|one| &one.value);
                let value =
                    default.map_or_else(|| entry.value.clone(), |default| merge(default, &entry.value));
                joined.push(Entry { value, ..entry.clone() });
            }
            joined
                .extend(all.iter().filter(|one| !entries.iter().any(|entry| entry.key == one.key)).cloned());
            Node::map_at(own.line, joined)
        }
        (Value::List(first), Value::List(then)) => {
            Node { value: Value::List(first.iter().chain(then).cloned().collect()), ..own.clone() }
        }
        _ => own.clone(),
    }
}
