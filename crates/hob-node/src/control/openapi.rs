//! The OpenAPI document (3.1), made from the table of operations.

use super::serve::HOB_SPACE;
use super::{OPERATIONS, Operation, Payload, errors};
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::FaultWire;
use hob_core::name::{AppName, FunctionName, RevisionNumber, SecretName, SpaceName, TopicName, TriggerName};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Methods of operations that take any.
const ANY: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];

/// The OpenAPI document of the control API. Always the same for one version of Hob.
pub fn openapi() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for operation in OPERATIONS.iter().copied().flatten() {
        let path = operation.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        match operation.method {
            Some(method) => {
                item[method.to_ascii_lowercase()] = describe(operation, operation.id, &mut schemas)
            }
            None => {
                for method in ANY {
                    item[method] = describe(operation, &format!("{}.{method}", operation.id), &mut schemas);
                }
            }
        }
    }
    let space = schemas.subschema_for::<SpaceName>();
    let mut components: Map<String, Value> = schemas.take_definitions(true).into_iter().collect();
    components.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hob control API",
            "version": "1",
            "description": "Deploys apps, moves them back, and says what happens in a node.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "token": [] }, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "On TCP: a token of the node's own making, which may do what its scopes say, or the operator's, which may do everything. A unix socket needs none: only its owner may open it.",
                },
            },
            "parameters": {
                "hob-space": {
                    "name": HOB_SPACE,
                    "in": "header",
                    "description": "The space that is meant; without it the token's own, or `default`.",
                    "schema": space,
                },
            },
            "schemas": components,
        },
    })
}

fn describe(operation: &Operation, id: &str, schemas: &mut SchemaGenerator) -> Value {
    let mut item = json!({ "operationId": id, "summary": operation.summary });
    // What a token needs (OpenAPI 3.1, 4.8.30: role names, for a scheme that is not OAuth's).
    let scope = operation.needs.scope().map(Scope::word);
    item["security"] = json!([{ "token": Vec::from_iter(scope) }, {}]);
    let mut parameters = path_parameters(operation.path, schemas);
    if let Some(query) = operation.query {
        parameters.extend(query_parameters(&query(schemas).to_value()));
    }
    if matches!(operation.needs, Need::Space(_)) {
        parameters.push(json!({ "$ref": "#/components/parameters/hob-space" }));
    }
    if !parameters.is_empty() {
        item["parameters"] = parameters.into();
    }
    if let Some(content) = content(&operation.request, schemas) {
        item["requestBody"] = json!({ "required": true, "content": content });
    }
    let mut success = json!({ "description": "Done." });
    if let Some(content) = content(&operation.response, schemas) {
        success["content"] = content;
    }
    let mut responses = Map::from_iter([(operation.status.to_string(), success)]);
    let (faults, any) = errors::of(operation);
    for (status, codes) in faults {
        let told = codes.into_iter().map(|code| {
            let summary = Code::parse(code).map_or("", Code::summary);
            format!("{code}: {summary}")
        });
        responses.insert(status.to_string(), fault(&told.collect::<Vec<_>>().join("; "), schemas));
    }
    if any {
        let content = content(&operation.response, schemas).unwrap_or_default();
        let answer = json!({ "description": "What the function answers.", "content": content });
        responses.insert("default".to_owned(), answer);
    }
    item["responses"] = responses.into();
    item
}

/// The answer of an operation that is not done (RFC 9457).
fn fault(description: &str, schemas: &mut SchemaGenerator) -> Value {
    let schema = schemas.subschema_for::<FaultWire>();
    json!({ "description": description, "content": { "application/problem+json": { "schema": schema } } })
}

fn path_parameters(path: &str, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let named = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let name = name.trim_start_matches('*');
        let schema = path_schema(path, name, schemas);
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    named.map(parameter).collect()
}

/// What a part of a path is.
fn path_schema(path: &str, name: &str, schemas: &mut SchemaGenerator) -> Value {
    let schema = match name {
        "app" => schemas.subschema_for::<AppName>(),
        "function" => schemas.subschema_for::<FunctionName>(),
        "space" => schemas.subschema_for::<SpaceName>(),
        "topic" => schemas.subschema_for::<TopicName>(),
        "digest" => schemas.subschema_for::<Digest>(),
        "name" if path.contains("/secrets/") => schemas.subschema_for::<SecretName>(),
        "name" => schemas.subschema_for::<TriggerName>(),
        "revision" => schemas.subschema_for::<RevisionNumber>(),
        "sequence" => schemas.subschema_for::<u64>(),
        "path" => schemas.subschema_for::<String>(),
        // Ids of keys, tokens and calls: whatever the node has said.
        _ => return json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]+$" }),
    };
    let mut schema = schema.to_value();
    present(&mut schema);
    schema
}

/// What is not said is left out of a query: it is never `null`. And numbers have the bounds of their format.
fn present(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(ways)) = members.get_mut("anyOf") {
        ways.retain(|way| way["type"] != "null");
        if let [Value::Object(only)] = ways.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
    let most = match members.get("format").and_then(Value::as_str) {
        Some("uint32") => u64::from(u32::MAX),
        Some("uint64") => u64::MAX,
        _ => return,
    };
    members.entry("maximum").or_insert_with(|| most.into());
}

fn query_parameters(schema: &Value) -> Vec<Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        present(&mut schema);
        let description = schema.as_object_mut().and_then(|members| members.remove("description"));
        let mut parameter =
            json!({ "name": name, "in": "query", "description": description, "schema": schema });
        if required(name) {
            parameter["required"] = true.into();
        }
        parameter
    };
    properties.map(parameter).collect()
}

fn content(payload: &Payload, schemas: &mut SchemaGenerator) -> Option<Value> {
    let (media_type, schema) = match payload {
        Payload::None => return None,
        Payload::Json(shape) => ("application/json", shape(schemas).to_value()),
        Payload::Lines(shape) => ("application/x-ndjson", shape(schemas).to_value()),
        Payload::Bytes => ("application/octet-stream", json!({})),
        Payload::Any => ("*/*", json!({})),
    };
    Some(json!({ media_type: { "schema": schema } }))
}

#[cfg(test)]
mod tests {
    use super::openapi;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// Every `$ref` in a document.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document = openapi();
        assert_eq!(document, openapi(), "the document is always the same");
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.contains("#/components/schemas/AppSpec"), "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
