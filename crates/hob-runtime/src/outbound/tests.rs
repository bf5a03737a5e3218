//! What a function is told of where its telemetry goes.

use super::telemetry_variables;
use crate::code::FunctionCode;
use serde_json::json;

#[test]
fn a_function_may_have_a_collector_of_its_own() {
    let names = |env: serde_json::Value| -> String {
        let spec = json!({
            "host": "process", "contract": "http", "run": ["a"], "package": {}, "env": env, "timeout_ms": 1, "memory_bytes": 1,
            "body_bytes_max": 1, "private": false, "egress": null, "settings": {}, "scale": { "min": 0, "max": 1, "concurrency": 1, "idle_ms": 1 },
        });
        let code = FunctionCode {
            app: "shop".to_owned().try_into().unwrap(),
            revision: hob_core::name::RevisionNumber(3),
            name: "cart".to_owned().try_into().unwrap(),
            numbered: None,
            spec: serde_json::from_value(spec).unwrap(),
            dir: "/".into(),
            cpu: Default::default(),
            given: crate::code::Given::default(),
        };
        let variables = telemetry_variables(&code, "http://here");
        let shown =
            variables.iter().map(|(name, value)| format!("{}={value}", name.trim_start_matches("OTEL_")));
        shown.collect::<Vec<_>>().join(" ")
    };
    let who = "RESOURCE_ATTRIBUTES=service.version=3,faas.name=shop%2Fcart,faas.version=3";
    let place = "EXPORTER_OTLP_ENDPOINT=http://here EXPORTER_OTLP_PROTOCOL=http/protobuf EXPORTER_OTLP_COMPRESSION=none";
    for (env, expected) in [
        (json!({}), format!("SERVICE_NAME=shop/cart {who} {place}")),
        (json!({ "OTEL_SERVICE_NAME": "x" }), format!("{who} {place}")),
        (
            json!({ "OTEL_EXPORTER_OTLP_ENDPOINT": "http://there:4317" }),
            format!("SERVICE_NAME=shop/cart {who}"),
        ),
        (
            json!({ "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json" }),
            format!(
                "SERVICE_NAME=shop/cart {who} {}",
                place.replace("EXPORTER_OTLP_PROTOCOL=http/protobuf ", "")
            ),
        ),
    ] {
        assert_eq!(names(env.clone()), expected, "{env}");
    }
}
