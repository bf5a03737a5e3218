//! API tokens and the audit log, on the control API.

pub use crate::access::audit::{AuditReport, Entry as AuditEntry};
pub use crate::access::token::{TokenInfo, TokenMade, TokenRequest};

use crate::access::audit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which lines of the audit log are wanted; the newest of them, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only what happened then or later, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Only what happened before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Only of whoever has this in the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Only operations that begin with this, such as `apps` or `apps.deploy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only what was done to this, and to what belongs to it: an app, `app/function`, a topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Only what was refused or failed.
    #[serde(default)]
    pub refused: bool,
    /// So many at most; 100 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl AuditQuery {
    /// The entry of a line, if it is wanted. A line that cannot be read is not.
    pub fn wanted(&self, line: &str) -> Option<AuditEntry> {
        let (entry, _) = audit::read(line).ok()?;
        let act = &entry.act;
        let about = |on: &String| {
            act.on
                .as_ref()
                .and_then(|found| found.strip_prefix(on.as_str()))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let wanted = self.since_ms.is_none_or(|since| entry.time_ms >= since)
            && self.until_ms.is_none_or(|until| entry.time_ms < until)
            && self.who.as_ref().is_none_or(|who| act.who.contains(who.as_str()))
            && self.operation.as_ref().is_none_or(|operation| act.operation.starts_with(operation.as_str()))
            && self.on.as_ref().is_none_or(about)
            && (!self.refused || act.outcome != audit::DONE);
        wanted.then_some(entry)
    }
}

/// How the audit log is checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditCheckQuery {
    /// Ends of the log that were noted earlier, `SEQUENCE:DIGEST` for each chain with commas between them: they have to be
    /// there as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]+:(sha256:)?[0-9a-f]{64}(,[0-9]+:(sha256:)?[0-9a-f]{64}){0,2}$"))]
    pub noted: Option<String>,
}
