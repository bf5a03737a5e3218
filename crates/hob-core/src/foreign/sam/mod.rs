//! AWS SAM: `template.yaml` with `AWS::Serverless::Function` and what calls it.
//!
//! **How.** Parameters, mappings and conditions are answered first ([`intrinsic`]); then each function is
//! translated, with queues, topics and buses as topics of Hob. Resources that Hob has not are warned about.
//!
//! **Not here:** what Lambda functions have in common ([`super::lambda`]).

mod event;
mod function;

use super::cloudformation::{Resolver, Resource, Topics, resources};
use super::fields::{Fields, Reason, met, refuse, warn};
use super::naming;
use super::note::Notes;
use super::tree::Node;
use super::{Dialect, Given};
use crate::fault::Result;
use crate::manifest::Manifest;
use crate::name::FunctionName;
use std::collections::{BTreeMap, BTreeSet};

/// The row of SAM.
pub(super) const DIALECT: Dialect = Dialect {
    name: "aws-sam",
    title: "AWS SAM",
    files: &["template.yaml", "template.yml"],
    summary: "Functions, HTTP API and function URLs, schedules, SQS, SNS and EventBridge as topics, environment, secrets, layers, globals, parameters, conditions",
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
    mark: "AWS::Serverless",
    recognise,
    translate,
};

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

const LAYER: &[Reason] = &[
    met("LayerName"),
    met("Description"),
    met("CompatibleRuntimes"),
    met("CompatibleArchitectures"),
    met("LicenseInfo"),
    met("RetentionPolicy"),
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

/// What functions refer to.
#[derive(Default)]
struct Surroundings {
    functions: BTreeMap<String, FunctionName>,
    topics: Topics,
    /// Folders and archives of layers.
    layers: BTreeMap<String, String>,
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
    if let Some(entry) = fields.take("Transform") {
        let all = entry.value.list().unwrap_or_else(|| std::slice::from_ref(&entry.value));
        for other in
            all.iter().filter(|one| !one.text().is_some_and(|text| text.starts_with("AWS::Serverless")))
        {
            notes.warn(other.line, "Transform", "a transform is a program of AWS, which does not run");
        }
    }
    fields.end(&[ROOT], notes);

    let mut manifest = Manifest::default();
    let mut around = Surroundings {
        functions: functions(&resources, notes),
        topics: Topics::of(&resources, &mut manifest, notes),
        layers: layers(&resources, notes),
        guarded: BTreeSet::new(),
    };
    let mut shared = globals.as_ref().map(|globals| Fields::of(globals, "Globals", notes));
    let function_defaults =
        shared.as_mut().and_then(|shared| shared.take("Function")).map(|entry| &entry.value);
    for key in ["Api", "HttpApi"] {
        if let Some(fields) = shared.as_mut().and_then(|shared| shared.fields(key, notes))
            && api(fields, notes)
        {
            around.guarded.insert(key.to_owned());
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
            "AWS::Serverless::Api" | "AWS::Serverless::HttpApi" | "AWS::Serverless::LayerVersion" => {}
            _ if resource.is_topic() => {}
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

/// Where the layers of the template are.
fn layers(resources: &[Resource], notes: &mut Notes) -> BTreeMap<String, String> {
    let mut paths = BTreeMap::new();
    for resource in resources.iter().filter(|resource| resource.kind == "AWS::Serverless::LayerVersion") {
        let mut fields =
            Fields::of(&resource.properties, &format!("Resources.{}.Properties", resource.id), notes);
        if let Some(path) = fields.text("ContentUri", notes) {
            let below = path.value.trim_start_matches("./").trim_end_matches('/').to_owned();
            if super::lambda::is_below(&below) {
                paths.insert(resource.id.clone(), below);
            } else {
                let why = format!("`{}` is not below the template's folder", path.value);
                notes.refuse(path.line, &fields.path("ContentUri"), why);
            }
        }
        fields.end(&[LAYER], notes);
    }
    paths
}

/// Names of functions, before anything refers to them.
fn functions(resources: &[Resource], notes: &mut Notes) -> BTreeMap<String, FunctionName> {
    let mut names: BTreeMap<String, FunctionName> = BTreeMap::new();
    for resource in resources.iter().filter(|resource| resource.kind == "AWS::Serverless::Function") {
        let named = resource.properties.get("FunctionName").and_then(Node::text);
        let setting = format!("Resources.{}", resource.id);
        let name = naming::function(named.unwrap_or(&resource.id), resource.line, &setting, notes);
        if names.values().any(|other| *other == name) {
            notes.refuse(resource.line, &setting, format!("two functions would be named `{name}`"));
        }
        names.insert(resource.id.clone(), name);
    }
    names
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
