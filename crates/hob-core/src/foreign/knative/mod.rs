//! Knative (`Service`, `Trigger`, `Broker`, `PingSource`) and Cloud Run (`service.yaml`), which share the Service.
//!
//! **Why.** Both describe a program that listens on `$PORT`, which is contract `http`. But they name it by a
//! container image, and Hob runs none, so an annotation says what to run instead: `hob.dev/run`, with
//! `hob.dev/dir` and `hob.dev/build` where they are needed. Without it the image is refused.
//!
//! **How.** Services first, then what calls them: a broker is a topic, a trigger a subscription. Documents may come from
//! several files, as `kubectl apply -f` takes them; a resource that is there twice is refused.

mod resource;
mod service;
mod trigger;

use super::fields::{Fields, met};
use super::naming;
use super::note::{Level, Note, Notes};
use super::tree::Node;
use super::{Dialect, Given};
use crate::fault::Result;
use crate::manifest::{Manifest, Written};
use crate::name::FunctionName;
use resource::Resource;
use std::collections::{BTreeMap, BTreeSet};

/// The row of Knative.
pub(super) const DIALECT: Dialect = Dialect {
    name: "knative",
    title: "Knative",
    files: &["knative.yaml", "knative.yml", "service.yaml", "service.yml", "ksvc.yaml"],
    summary: "Services with `hob.dev/run`, scaling annotations, environment, secrets, probes, also in several files; Triggers and Brokers as subscriptions and topics, PingSources",
    example: &[
        (
            "knative.yaml",
            "apiVersion: serving.knative.dev/v1\n\
             kind: Service\n\
             metadata:\n\
             \x20 name: hello\n\
             \x20 annotations: {hob.dev/run: python3 app.py}\n\
             spec:\n\
             \x20 template:\n\
             \x20   metadata:\n\
             \x20     annotations: {autoscaling.knative.dev/max-scale: \"10\"}\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - image: registry.example.com/hello\n\
             \x20       env: [{name: GREETING, value: hello}]\n\
             ---\n\
             apiVersion: eventing.knative.dev/v1\n\
             kind: Trigger\n\
             metadata: {name: made}\n\
             spec:\n\
             \x20 broker: default\n\
             \x20 filter: {attributes: {type: com.example.made}}\n\
             \x20 subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}}\n",
        ),
        ("app.py", SERVER),
    ],
    mark: "serving.knative.dev",
    recognise: |documents| resource::any(documents, &["serving.knative.dev", "eventing.knative.dev"]),
    translate,
};

/// The row of Cloud Run.
pub(super) const CLOUD_RUN: Dialect = Dialect {
    name: "cloud-run",
    title: "Cloud Run",
    files: &["service.yaml", "service.yml"],
    summary: "Services with `hob.dev/run`, instances, concurrency, time-outs, environment, probes",
    example: &[
        (
            "service.yaml",
            "apiVersion: serving.knative.dev/v1\n\
             kind: Service\n\
             metadata:\n\
             \x20 name: hello\n\
             \x20 labels: {cloud.googleapis.com/location: europe-west1}\n\
             \x20 annotations: {hob.dev/run: python3 app.py}\n\
             spec:\n\
             \x20 template:\n\
             \x20   metadata:\n\
             \x20     annotations: {autoscaling.knative.dev/maxScale: \"3\"}\n\
             \x20   spec:\n\
             \x20     containerConcurrency: 80\n\
             \x20     timeoutSeconds: 60\n\
             \x20     containers:\n\
             \x20     - image: europe-docker.pkg.dev/project/hello\n\
             \x20       resources: {limits: {memory: 512Mi}}\n",
        ),
        ("app.py", SERVER),
    ],
    mark: "serving.knative.dev",
    recognise: |documents| {
        resource::any(documents, &["serving.knative.dev"]) && documents.iter().any(service::is_of_cloud_run)
    },
    translate,
};

/// A server on `$PORT`, for the examples.
const SERVER: &str = "import http.server, os\n\n\
    class Hello(http.server.BaseHTTPRequestHandler):\n    \
        def do_GET(self):\n        \
            self.send_response(200)\n        \
            self.end_headers()\n        \
            self.wfile.write(b\"hello\\n\")\n\n\
    http.server.ThreadingHTTPServer((\"127.0.0.1\", int(os.environ[\"PORT\"])), Hello).serve_forever()\n";

/// Whether all of a file is resources of Kubernetes.
pub(super) fn is_part(documents: &[Node]) -> bool {
    let text = |document: &Node, key: &str| document.get(key).and_then(Node::text).is_some();
    !documents.is_empty()
        && documents.iter().all(|document| text(document, "apiVersion") && text(document, "kind"))
}

/// Triggers and sources in another file that call Services of these documents.
pub(super) fn left_out(own: &[Node], other: &[Node], file: &str) -> Vec<Note> {
    let name = |document: &Node| document.at(&["metadata", "name"]).and_then(Node::text).map(str::to_owned);
    let service = |document: &&Node| document.get("kind").and_then(Node::text) == Some("Service");
    let services: BTreeSet<String> = own.iter().filter(service).filter_map(name).collect();
    let mut notes = Vec::new();
    for document in other {
        let kind = document.get("kind").and_then(Node::text).unwrap_or_default();
        let paths: [&[&str]; 2] = [&["spec", "subscriber", "ref", "name"], &["spec", "sink", "ref", "name"]];
        let called = paths.iter().find_map(|path| document.at(path).and_then(Node::text));
        let Some(called) = called.filter(|called| services.contains(*called)) else { continue };
        let own = name(document).unwrap_or_default();
        notes.push(Note {
            file: file.to_owned(),
            line: document.line,
            setting: "kind".to_owned(),
            why: format!(
                "{kind} `{own}` calls Service `{called}`, but its file was not named: name the folder, or add `-f {file}`"
            ),
            level: Level::Warning,
            function: None,
        });
    }
    notes
}

/// What else lies in the stream of documents.
struct Around {
    /// Functions by the Service's name.
    functions: BTreeMap<String, FunctionName>,
    /// `spec.delivery` of Brokers, by name.
    brokers: BTreeMap<String, (Node, String)>,
    /// Values of ConfigMaps and Secrets by kind and name.
    values: BTreeMap<(String, String), BTreeMap<String, String>>,
}

fn translate(documents: &[Node], _given: &Given, notes: &mut Notes) -> Result<Manifest> {
    let resources: Vec<Resource> =
        documents.iter().filter_map(|document| Resource::of(document, notes)).collect();
    once(&resources, notes);
    let mut around = Around { functions: BTreeMap::new(), brokers: BTreeMap::new(), values: BTreeMap::new() };
    let services: Vec<&Resource> =
        resources.iter().filter(|one| one.is("serving.knative.dev", "Service")).collect();
    for service in &services {
        let name = naming::function(&service.name, service.line, "metadata.name", notes);
        if around.functions.values().any(|other| *other == name) {
            notes.refuse(service.line, "metadata.name", format!("two functions would be named `{name}`"));
        }
        around.functions.insert(service.name.clone(), name);
    }
    let mut manifest = Manifest::default();
    if let [only] = services.as_slice() {
        manifest.app = Some(Written { value: naming::app(&only.name), line: only.line });
    }
    resources.iter().for_each(|one| surroundings(one, &mut around, notes));
    for service in &services {
        service::translate(service, &around, services.len() == 1, &mut manifest, notes);
        notes.about(None);
    }
    for one in &resources {
        match one.kind.as_str() {
            "Trigger" => trigger::translate(one, &around, &mut manifest, notes),
            "PingSource" => trigger::ping(one, &around, &mut manifest, notes),
            _ => {}
        }
        notes.about(None);
    }
    Ok(manifest)
}

/// What is no Service, Trigger or PingSource.
fn surroundings(one: &Resource, around: &mut Around, notes: &mut Notes) {
    match one.kind.as_str() {
        "Trigger" | "PingSource" => {}
        "Service" if one.is("serving.knative.dev", "Service") => {}
        "Broker" => {
            let Some(spec) = one.node.get("spec") else { return };
            let mut fields = Fields::of(spec, "spec", notes);
            if let Some(entry) = fields.take("delivery") {
                around.brokers.insert(one.name.clone(), (entry.value.clone(), fields.path("delivery")));
            }
            fields.end(&[&[met("config")]], notes);
        }
        "ConfigMap" | "Secret" => {
            let into = around.values.entry((one.kind.clone(), one.name.clone())).or_default();
            for key in ["data", "stringData"] {
                for entry in one.node.get(key).and_then(Node::entries).unwrap_or_default() {
                    // `data` of a Secret is base64 (Kubernetes, Secret v1).
                    let encoded = one.kind == "Secret" && key == "data";
                    let text = entry.value.text().unwrap_or_default();
                    let plain = if encoded { decoded(text) } else { Some(text.to_owned()) };
                    match plain {
                        Some(plain) => drop(into.insert(entry.key.clone(), plain)),
                        None => {
                            notes.warn(entry.line, &format!("data.{}", entry.key), "it is no text in base64")
                        }
                    }
                }
            }
        }
        "Namespace" => {}
        other => notes.warn(one.line, "kind", format!("Hob has no `{other}`")),
    }
}

fn decoded(text: &str) -> Option<String> {
    let bytes = crate::event::base64::decode(&text.split_whitespace().collect::<String>())?;
    String::from_utf8(bytes).ok()
}

/// What is there twice would be two things by one name.
fn once(resources: &[Resource<'_>], notes: &mut Notes) {
    let mut known = BTreeSet::new();
    for one in resources {
        if !known.insert((&one.kind, &one.name)) {
            notes.refuse(one.line, "metadata.name", format!("there are two of {} `{}`", one.kind, one.name));
        }
    }
}
