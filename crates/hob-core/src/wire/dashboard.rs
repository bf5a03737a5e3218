//! The dashboard, and how a node is, on the control API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A link that signs a browser in to the dashboard.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DashboardLink {
    /// Where to go with a browser. Whoever has it may do what the one who asked for it may: it works once.
    pub url: String,
    /// Until when, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

/// Which link is wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DashboardLinkQuery {
    /// Whether whoever signs in with it may only look.
    #[serde(default)]
    pub read_only: bool,
}

/// How a node is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NodeHealth {
    /// Its data folder.
    pub data: String,
    /// Bytes that are free on the disk of the data folder; absent where the machine does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Bytes of that disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Bytes of memory that the node's own process holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Facts that are kept.
    pub facts: u64,
    /// Their size in bytes.
    pub facts_bytes: u64,
    /// Facts that could not be kept, because too many came at once.
    pub facts_dropped: u64,
    /// What the machine offers, as `hob doctor` says.
    pub machine: Vec<MachineFinding>,
}

/// One thing that a machine offers or lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineFinding {
    /// What it is.
    pub name: String,
    /// Whether the machine has it.
    pub found: bool,
    /// What was seen.
    pub seen: String,
    /// What Hob does with it, or without it.
    pub effect: String,
}
