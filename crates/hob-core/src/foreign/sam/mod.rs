//! AWS SAM: `template.yaml` with `AWS::Serverless::Function` and what calls it.
//!
//! **How.** Parameters, mappings and conditions are answered first ([`intrinsic`]); then each function is
//! translated, with queues, topics and buses as topics of Hob. Resources that Hob has not are warned about.
//!
//! **Not here:** what Lambda functions have in common ([`super::lambda`]).

mod event;
mod function;
mod intrinsic;

use super::fields::{Fields, Reason, met, refuse, warn};
use super::naming;
use super::note::Notes;
use super::tree::Node;
use super::{Dialect, Given};
use crate::fault::Result;
use crate::manifest::{Manifest, Topic, Written};
use crate::name::{FunctionName, TopicName};
use intrinsic::Resolver;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The row of SAM.
pub(super) const DIALECT: Dialect = Dialect {
    name: "aws-sam",
    title: "AWS SAM",
    files: &["template.yaml", "template.yml"],
    summary: "Functions, HTTP API and function URLs, schedules, SQS, SNS and EventBridge as topics, environment, globals, parameters, conditions",
    example: &[
        (
            "template.yaml",
            "AWSTemplateFormatVersion: '2010-09-09'\n\
             Transform: AWS::Serverless-2016-10-31\n\
             Resources:\n\
             \x20 Hello:\n\
             \x20   Type: AWS::Serverless::Function\n\
             \x20   Properties:\n\
             \x20     CodeUri: hello/\n\
             \x20     Handler: app.handler\n\
             \x20     Runtime: python3.12\n\
             \x20     Events:\n\
             \x20       Get:\n\
             \x20         Type: HttpApi\n\
             \x20         Properties: {Path: /hello, Method: get}\n",
        ),
        (
            "hello/app.py",
            "def handler(event, context):\n    return {\"statusCode\": 200, \"body\": \"hello\"}\n",
        ),
    ],
    recognise,
    translate,
};

/// What all resources say besides `Type` and `Properties`.
const RESOURCE: &[Reason] = &[
    met("Metadata"),
    met("DeletionPolicy"),
    met("UpdateReplacePolicy"),
    met("DependsOn"),
    met("Connectors"),
];

const ROOT: &[Reason] = &[
    met("AWSTemplateFormatVersion"),
    met("Description"),
    met("Metadata"),
    met("Parameters"),
    met("Mappings"),
    met("Conditions"),
    warn("Outputs", "there is no stack that could have outputs; `hob show` has the addresses"),
    warn("Rules", "parameters are not checked by rules"),
    warn("Hooks", "there are no hooks of CloudFormation"),
];

const API: &[Reason] = &[
    met("Name"),
    met("Description"),
    met("StageName"),
    met("OpenApiVersion"),
    met("EndpointConfiguration"),
    warn("CorsConfiguration", "CORS is the function's to answer; Hob adds no headers"),
    warn("Cors", "CORS is the function's to answer; Hob adds no headers"),
    warn("Domain", "write the host into the function's `route`"),
    warn("Tags", "Hob has no tags"),
    warn("AccessLogSettings", "Hob keeps a record of every call; see `hob logs` and `hob trace`"),
    warn("TracingEnabled", "Hob traces every call, whatever is written here"),
    warn("MethodSettings", "there are no settings of single methods"),
    warn("DefaultRouteSettings", "there are no limits of single routes; `scale.max` bounds a function"),
    refuse("DefinitionBody", "routes in an OpenAPI document are not read; write `Events` at the functions"),
    refuse("DefinitionUri", "routes in an OpenAPI document are not read; write `Events` at the functions"),
];

const QUEUE: &[Reason] = &[
    warn("VisibilityTimeout", "an event is delivered again when the call fails or is over its `timeout`"),
    warn("DelaySeconds", "events are delivered at once"),
    met("ContentBasedDeduplication"),
    met("FifoQueue"),
    met("SqsManagedSseEnabled"),
    warn("Tags", "Hob has no tags"),
];

fn recognise(documents: &[Node]) -> bool {
    let [root] = documents else { return false };
    let transforms = |node: &Node| match node.list() {
        Some(items) => items.iter().filter_map(Node::text).any(|text| text.starts_with("AWS::Serverless")),
        None => node.text().is_some_and(|text| text.starts_with("AWS::Serverless")),
    };
    root.get("Transform").is_some_and(transforms)
        || (root.get("AWSTemplateFormatVersion").is_some() && root.get("Resources").is_some())
}

/// One resource, with its functions answered.
struct Resource {
    id: String,
    line: usize,
    kind: String,
    properties: Node,
}

/// What functions refer to.
#[derive(Default)]
struct Surroundings {
    functions: BTreeMap<String, FunctionName>,
    topics: BTreeMap<String, TopicName>,
    /// By queue: attempts until the dead letter, and its topic.
    redrive: BTreeMap<String, (Option<Written<u32>>, Option<Written<TopicName>>)>,
    ordered: Vec<String>,
    /// Kinds of API whose callers are checked unless a route says otherwise.
    guarded: BTreeSet<String>,
}

fn translate(documents: &[Node], given: &Given, notes: &mut Notes) -> Result<Manifest> {
    let empty = Node::map_at(1, Vec::new());
    let root = documents.first().unwrap_or(&empty);
    let file = notes.file().to_owned();
    let mut resolver = Resolver::of(root, &file, given);
    let mut fields = Fields::of(root, "", notes);
    let globals = fields.take("Globals").map(|entry| resolver.resolve(&entry.value)).transpose()?;
    let resources = resources(&mut fields, &mut resolver, notes)?;
    fields.take("Transform");
    fields.end(&[ROOT], notes);

    let mut manifest = Manifest::default();
    let mut around = surroundings(&resources, &mut manifest, notes);
    let mut shared = globals.as_ref().map(|globals| Fields::of(globals, "Globals", notes));
    let function_defaults =
        shared.as_mut().and_then(|shared| shared.take("Function")).map(|entry| &entry.value);
    for key in ["Api", "HttpApi"] {
        if let Some(fields) = shared.as_mut().and_then(|shared| shared.fields(key, notes)) {
            if api(fields, notes) {
                around.guarded.insert(key.to_owned());
            }
        }
    }
    for resource in resources
        .iter()
        .filter(|one| matches!(one.kind.as_str(), "AWS::Serverless::Api" | "AWS::Serverless::HttpApi"))
    {
        let path = format!("Resources.{}.Properties", resource.id);
        if api(Fields::of(&resource.properties, &path, notes), notes) {
            around.guarded.insert(resource.kind.rsplit(':').next().unwrap_or_default().to_owned());
        }
    }
    if let Some(shared) = shared {
        shared.end(&[], notes);
    }
    for resource in &resources {
        let path = format!("Resources.{}", resource.id);
        match resource.kind.as_str() {
            "AWS::Serverless::Function" => {
                let context = function::Context { around: &around, defaults: function_defaults, path: &path };
                function::translate(&context, resource, &mut manifest, notes);
            }
            "AWS::Serverless::Api"
            | "AWS::Serverless::HttpApi"
            | "AWS::SQS::Queue"
            | "AWS::SNS::Topic"
            | "AWS::Events::EventBus" => {}
            "AWS::Lambda::Function" | "AWS::Serverless::Application" => {
                let why =
                    format!("a function has to be an `AWS::Serverless::Function`, not `{}`", resource.kind);
                notes.refuse(resource.line, &path, why);
            }
            kind => notes.warn(resource.line, &path, format!("Hob makes no `{kind}`")),
        }
        notes.about(None);
    }
    Ok(manifest)
}

/// The resources whose condition holds.
fn resources(
    fields: &mut Fields<'_>,
    resolver: &mut Resolver<'_>,
    notes: &mut Notes,
) -> Result<Vec<Resource>> {
    let mut all = Vec::new();
    let Some(mut resources) = fields.fields("Resources", notes) else { return Ok(all) };
    for entry in resources.others() {
        let path = format!("Resources.{}", entry.key);
        let mut own = Fields::of(&entry.value, &path, notes);
        if let Some(condition) = own.text("Condition", notes) {
            match resolver.condition(&condition.value, 0) {
                Some(false) => continue,
                Some(true) => {}
                None => {
                    let why = format!("condition `{}` is not known", condition.value);
                    notes.refuse(condition.line, &format!("{path}.Condition"), why);
                }
            }
        }
        let kind = own.text("Type", notes).map(|kind| kind.value).unwrap_or_default();
        let none = Node::map_at(entry.line, Vec::new());
        let properties = resolver.resolve(own.take("Properties").map_or(&none, |entry| &entry.value))?;
        own.end(&[RESOURCE], notes);
        all.push(Resource { id: entry.key.clone(), line: entry.line, kind, properties });
    }
    Ok(all)
}

/// Names of functions and topics, before anything refers to them.
fn surroundings(resources: &[Resource], manifest: &mut Manifest, notes: &mut Notes) -> Surroundings {
    let mut around = Surroundings::default();
    for Resource { id, line, kind, properties } in resources {
        let own_name = |key: &str| properties.get(key).and_then(Node::text).map(naming::topic);
        let by_id = || naming::topic(id);
        match kind.as_str() {
            "AWS::Serverless::Function" => {
                let named = properties.get("FunctionName").and_then(Node::text);
                let setting = format!("Resources.{id}");
                let name = naming::function(named.unwrap_or(id), *line, &setting, notes);
                if around.functions.values().any(|other| *other == name) {
                    notes.refuse(*line, &setting, format!("two functions would be named `{name}`"));
                }
                around.functions.insert(id.clone(), name);
            }
            "AWS::SQS::Queue" => {
                around.topics.insert(id.clone(), own_name("QueueName").unwrap_or_else(by_id));
                if properties.get("FifoQueue").and_then(Node::boolean) == Some(true) {
                    around.ordered.push(id.clone());
                }
            }
            "AWS::SNS::Topic" => {
                around.topics.insert(id.clone(), own_name("TopicName").unwrap_or_else(by_id));
            }
            "AWS::Events::EventBus" => {
                around.topics.insert(id.clone(), own_name("Name").unwrap_or_else(by_id));
            }
            _ => {}
        }
    }
    for resource in resources.iter().filter(|resource| resource.kind == "AWS::SQS::Queue") {
        queue(resource, &mut around, manifest, notes);
    }
    for resource in resources
        .iter()
        .filter(|resource| matches!(resource.kind.as_str(), "AWS::SNS::Topic" | "AWS::Events::EventBus"))
    {
        let path = format!("Resources.{}.Properties", resource.id);
        let mut fields = Fields::of(&resource.properties, &path, notes);
        fields.take_any(&["TopicName", "Name"]);
        fields.end(&[&[met("DisplayName"), warn("Tags", "Hob has no tags")]], notes);
    }
    around
}

fn queue(resource: &Resource, around: &mut Surroundings, manifest: &mut Manifest, notes: &mut Notes) {
    let path = format!("Resources.{}.Properties", resource.id);
    let mut fields = Fields::of(&resource.properties, &path, notes);
    fields.take("QueueName");
    if let Some(kept) = fields.number("MessageRetentionPeriod", notes)
        && let Some(name) = around.topics.get(&resource.id)
    {
        let age = Some(Written { value: Duration::from_secs(kept.value.into()), line: kept.line });
        manifest.topics.push(Topic {
            name: name.clone(),
            line: kept.line,
            age,
            size: None,
            count: None,
            dedup: None,
        });
    }
    if let Some(mut redrive) = fields.fields("RedrivePolicy", notes) {
        let attempts = redrive.number("maxReceiveCount", notes);
        let dead = redrive.take("deadLetterTargetArn").and_then(|entry| {
            let found = super::lambda::topic(&entry.value, |id| around.topics.get(id).cloned());
            found
                .map(|value| Written { value, line: entry.line })
                .map_err(|why| notes.refuse(entry.line, &path, why))
                .ok()
        });
        redrive.end(&[], notes);
        around.redrive.insert(resource.id.clone(), (attempts, dead));
    }
    fields.end(&[QUEUE], notes);
}

/// An API, or what all APIs have in common: its routes stand at the functions. True when callers are checked.
fn api(mut fields: Fields<'_>, notes: &mut Notes) -> bool {
    let refused = notes.refused();
    if let Some(auth) = fields.take("Auth") {
        let mut own = Fields::of(&auth.value, &fields.path("Auth"), notes);
        for key in ["DefaultAuthorizer", "ApiKeyRequired", "EnableIamAuthorizer", "ResourcePolicy"] {
            if let Some(entry) = own.take(key).filter(|entry| entry.value.boolean() != Some(false)) {
                let why = "Hob checks no callers, so that everybody could call what only some may";
                notes.refuse(entry.line, &own.path(key), why);
            }
        }
        own.end(
            &[&[warn("Authorizers", "Hob checks no callers"), met("AddDefaultAuthorizerToCorsPreflight")]],
            notes,
        );
    }
    let guarded = notes.refused() > refused;
    fields.end(&[API], notes);
    guarded
}
