//! The Serverless Framework: `serverless.yml` with AWS as its provider.
//!
//! **How.** Variables are answered first ([`variable`]), from files too ([`environment`]), then functions of CloudFormation; what is left is the
//! same as in SAM: Lambda functions, routes of API Gateway, and queues, topics and buses as topics of Hob.

mod environment;
mod event;
mod function;
mod variable;

use super::cloudformation::{Resolver, Topics, resources};
use super::fields::{Fields, Reason, met, refuse, warn};
use super::naming;
use super::note::Notes;
use super::tree::{Entry, Node};
use super::{Dialect, Given};
use crate::fault::Result;
use crate::manifest::{Manifest, Written};
use std::collections::BTreeMap;
use variable::Variables;

/// The row of the Serverless Framework.
pub(super) const DIALECT: Dialect = Dialect {
    name: "serverless",
    title: "Serverless Framework",
    files: &["serverless.yml", "serverless.yaml"],
    summary: "The AWS subset: functions, HTTP API and function URLs, schedules, SQS, SNS and EventBridge as topics, environment, secrets, layers, variables also from files",
    example: &[
        (
            "serverless.yml",
            "service: hello\n\
             provider:\n\
             \x20 name: aws\n\
             \x20 runtime: python3.12\n\
             \x20 stage: ${opt:stage, 'dev'}\n\
             functions:\n\
             \x20 hello:\n\
             \x20   handler: app.handler\n\
             \x20   environment:\n\
             \x20     STAGE: ${self:provider.stage}\n\
             \x20   events:\n\
             \x20     - httpApi: GET /hello\n\
             \x20     - schedule: rate(5 minutes)\n",
        ),
        ("app.py", "def handler(event, context):\n    return {\"statusCode\": 200, \"body\": \"hello\"}\n"),
    ],
    mark: "",
    recognise,
    translate,
};

const NO_IAM: &str = "there is no IAM: the function has the rights of the credentials that it is given";
const NO_STACK: &str = "there is no stack of CloudFormation";

const ROOT: &[Reason] = &[
    met("custom"),
    met("params"),
    met("frameworkVersion"),
    met("configValidationMode"),
    met("deprecationNotificationMode"),
    met("disabledDeprecations"),
    met("variablesResolutionMode"),
    met("unresolvedVariablesNotificationMode"),
    met("app"),
    met("tenant"),
    met("org"),
    met("licenseKey"),
    met("dashboard"),
    met("useDotenv"),
    warn("build", "nothing is bundled; build first and name what was made"),
    met("stages"),
    warn("outputs", "there is no stack that could have outputs; `hob show` has the addresses"),
    warn("stepFunctions", "Hob has no Step Functions"),
];

const PROVIDER: &[Reason] = &[
    met("stage"),
    met("region"),
    met("profile"),
    met("stackName"),
    met("apiName"),
    met("endpointType"),
    met("deploymentMethod"),
    met("deploymentBucket"),
    met("deploymentPrefix"),
    met("lambdaHashingVersion"),
    met("versionFunctions"),
    met("runtimeManagement"),
    met("tracing"),
    met("eventBridge"),
    met("stackPolicy"),
    met("disableRollback"),
    met("rollbackConfiguration"),
    met("notificationArns"),
    met("websocketsApiName"),
    met("websocketsApiRouteSelectionExpression"),
    met("ecr"),
    warn("iam", NO_IAM),
    warn("iamRoleStatements", NO_IAM),
    warn("role", NO_IAM),
    warn("rolePermissionsBoundary", NO_IAM),
    warn("tags", "Hob has no tags"),
    warn("stackTags", "Hob has no tags"),
    warn("stackParameters", NO_STACK),
    warn("logs", "what functions print is kept by Hob; see `hob logs`"),
    warn("logRetentionInDays", "what functions print is kept by Hob; see `hob logs`"),
    warn("logDataProtectionPolicy", "what functions print is kept by Hob; see `hob logs`"),
    warn("vpc", "there is no VPC; `egress` says what may be reached"),
    warn("architecture", "functions run on the node's processor, so build them for that one"),
    warn("kmsKeyArn", "variables are kept as they are, without a key of AWS"),
    warn("alb", "there is no load balancer of AWS"),
    warn("s3", "Hob makes no buckets"),
];

const LAYER: &[Reason] = &[
    met("name"),
    met("description"),
    met("compatibleRuntimes"),
    met("compatibleArchitectures"),
    met("licenseInfo"),
    met("allowedAccounts"),
    met("retain"),
];

const API: &[Reason] = &[
    met("name"),
    met("shouldStartNameWithService"),
    met("description"),
    met("minimumCompressionSize"),
    met("usePlan"),
    met("metrics"),
    met("id"),
    met("timeout"),
    met("restApiId"),
    met("restApiRootResourceId"),
    met("restApiResources"),
    met("websocketApiId"),
    met("disableDefaultEndpoint"),
    met("binaryMediaTypes"),
    warn("cors", "CORS is the function's to answer; Hob adds no headers"),
    warn("authorizers", "Hob checks no callers"),
    warn("apiKeys", "Hob checks no callers"),
    warn("usagePlan", "Hob checks no callers"),
    refuse("resourcePolicy", "Hob checks no callers, so that everybody could call what only some may"),
];

fn recognise(documents: &[Node]) -> bool {
    let [root] = documents else { return false };
    root.get("service").is_some()
        && root
            .get("provider")
            .is_some_and(|provider| provider.text().is_some() || provider.get("name").is_some())
}

fn translate(documents: &[Node], given: &Given, notes: &mut Notes) -> Result<Manifest> {
    let empty = Node::map_at(1, Vec::new());
    let root = documents.first().unwrap_or(&empty);
    let file = notes.file().to_owned();
    let given = &environment::with_files(root, given, notes);
    let mut variables = Variables::of(root, given, notes.lines.clone());
    let root = variables.resolve(root)?;
    notes.wanted.extend(variables.wanted);
    let mut fields = Fields::of(&root, "", notes);
    let mut manifest = Manifest::default();
    service(&mut fields, &mut manifest, notes);

    let stack = fields.take("resources").map_or_else(|| empty.clone(), |entry| stack(entry, notes));
    let mut resolver = Resolver::of(&stack, &file, &with_region(&root, given));
    let layers = layers(&mut fields, &mut resolver, notes);
    let mut own = Fields::of(&stack, "resources", notes);
    let resources = resources(&mut own, &mut resolver, notes)?;
    own.end(
        &[&[
            met("Conditions"),
            met("Parameters"),
            met("Mappings"),
            met("Description"),
            warn("Outputs", NO_STACK),
            warn("extensions", NO_STACK),
        ]],
        notes,
    );
    let topics = Topics::of(&resources, &mut manifest, notes);
    for resource in resources.iter().filter(|resource| !resource.is_topic()) {
        let path = format!("resources.Resources.{}", resource.id);
        notes.warn(resource.line, &path, format!("Hob makes no `{}`", resource.kind));
    }

    let provider = fields.take("provider").map(|entry| resolver.resolve(&entry.value)).transpose()?;
    let shared = function::Shared::of(provider.as_ref(), &mut fields, (topics, layers), notes);
    for (setting, entry) in functions(&mut fields, notes) {
        let value = resolver.resolve(&entry.value)?;
        function::translate(&shared, &setting, &Entry { value, ..entry.clone() }, &mut manifest, notes);
        notes.about(None);
    }
    plugins(&mut fields, notes);
    fields.end(&[ROOT], notes);
    Ok(manifest)
}

/// What is given, with the provider's region for functions of CloudFormation.
fn with_region(root: &Node, given: &Given) -> Given {
    let mut given = given.clone();
    if let Some(region) = root.at(&["provider", "region"]).and_then(Node::text) {
        given.values.or_set("AWS::Region", region);
    }
    given
}

fn service(fields: &mut Fields<'_>, manifest: &mut Manifest, notes: &mut Notes) {
    let Some(entry) = fields.take("service") else { return };
    let name = entry.value.text().or_else(|| entry.value.get("name").and_then(Node::text));
    match name {
        Some(name) => manifest.app = Some(Written { value: naming::app(name), line: entry.line }),
        None => super::fields::wrong(&entry.value, "service", "text", notes),
    }
}

/// Where the layers of the manifest are, by the resource that the framework makes of each.
fn layers(
    fields: &mut Fields<'_>,
    resolver: &mut Resolver<'_>,
    notes: &mut Notes,
) -> BTreeMap<String, String> {
    let mut paths = BTreeMap::new();
    let Some(mut all) = fields.fields("layers", notes) else { return paths };
    for entry in all.others() {
        let setting = all.path(&entry.key);
        let mut own = Fields::of(&entry.value, &setting, notes);
        let archive = own.fields("package", notes).and_then(|mut package| {
            let archive = package.text("artifact", notes);
            let why = "all of the folder is laid below the function's files";
            package.end(&[&[warn("patterns", why), warn("include", why), warn("exclude", why)]], notes);
            archive
        });
        let path = own.text("path", notes);
        own.end(&[LAYER], notes);
        let resource = resource_of(&entry.key);
        resolver.makes(&resource);
        let Some(path) = archive.or(path) else {
            notes.refuse(
                entry.line,
                &setting,
                "a folder (`path`) or an archive (`package.artifact`) is needed",
            );
            continue;
        };
        let below = path.value.trim_start_matches("./").trim_end_matches('/');
        match super::lambda::is_below(below) {
            true => drop(paths.insert(resource, below.to_owned())),
            false => {
                let why = format!("`{}` is not below the manifest's folder", path.value);
                notes.refuse(path.line, &setting, why);
            }
        }
    }
    paths
}

/// `my-layer` as `MyDashlayerLambdaLayer` (Serverless Framework, guide "Layers").
fn resource_of(layer: &str) -> String {
    let name = layer.replace('-', "Dash").replace('_', "Underscore");
    let mut chars = name.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect::<String>() + "LambdaLayer"
}

/// `resources` is a template, or a list of them.
fn stack(entry: &Entry, notes: &mut Notes) -> Node {
    let Some(items) = entry.value.list() else { return entry.value.clone() };
    let mut all: Vec<Entry> = Vec::new();
    for item in items {
        match item.unknown() {
            Some(unknown) => notes.warn(item.line, "resources", unknown.why.clone()),
            None => {
                let resources = item.get("Resources").and_then(Node::entries).unwrap_or_default();
                all.extend(resources.iter().cloned());
            }
        }
    }
    let resources =
        Entry { key: "Resources".to_owned(), line: entry.line, value: Node::map_at(entry.line, all) };
    Node::map_at(entry.line, vec![resources])
}

/// Every function with its path: a map, or a list of maps.
fn functions<'n>(fields: &mut Fields<'n>, notes: &mut Notes) -> Vec<(String, &'n Entry)> {
    let Some(entry) = fields.take("functions") else { return Vec::new() };
    let maps = entry.value.list().unwrap_or_else(|| std::slice::from_ref(&entry.value));
    let mut all = Vec::new();
    for map in maps {
        let mut own = Fields::of(map, "functions", notes);
        all.extend(own.others().into_iter().map(|entry| (own.path(&entry.key), entry)));
    }
    all
}

/// Plugins are programs of the framework. Those that only serve a developer's machine are not missed.
fn plugins(fields: &mut Fields<'_>, notes: &mut Notes) {
    let Some(entry) = fields.take("plugins") else { return };
    let named =
        entry.value.list().or_else(|| entry.value.get("modules").and_then(Node::list)).unwrap_or_default();
    for plugin in named {
        let name = plugin.text().unwrap_or_default();
        if !matches!(name, "serverless-offline" | "serverless-dotenv-plugin") {
            notes.warn(
                plugin.line,
                "plugins",
                format!("`{name}` runs in the Serverless Framework only; do first what it would do"),
            );
        }
    }
}
