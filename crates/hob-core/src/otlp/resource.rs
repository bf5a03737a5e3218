//! Who tells something, in the words of OpenTelemetry (semantic conventions for resources: `service`, `faas`).

use super::{Attributes, Value};
use crate::name::{AppName, FunctionName, RevisionNumber};

/// A function of a revision. `service.name` is `<app>/<function>`, since many viewers show nothing else of it.
pub fn function(app: &AppName, function: &FunctionName, revision: RevisionNumber) -> Attributes {
    let name = format!("{app}/{function}");
    vec![
        ("service.name".into(), name.as_str().into()),
        ("service.version".into(), revision.to_string().into()),
        ("faas.name".into(), name.into()),
        ("faas.version".into(), revision.to_string().into()),
    ]
}

/// A function of which the revision is not known.
pub(super) fn any_revision(app: &AppName, name: &FunctionName) -> Attributes {
    let mut resource = function(app, name, RevisionNumber(0));
    resource.retain(|(key, _)| !key.ends_with(".version"));
    resource
}

/// The node itself.
pub(super) fn node() -> Attributes {
    vec![("service.name".into(), Value::from("hob"))]
}
