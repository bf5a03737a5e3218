//! Spaces on the wire.

use crate::name::SpaceName;
use crate::space::{Quotas, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A space with what it has and may have.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SpaceInfo {
    /// Its name.
    pub space: SpaceName,
    /// How it stands.
    pub state: SpaceState,
    /// When it was made, milliseconds since the Unix epoch; absent for `default`, which is always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_ms: Option<u64>,
    /// Domain below which its apps get their addresses.
    pub domain: String,
    /// What it has of each resource, and may have.
    pub use_of: BTreeMap<Resource, Use>,
}

/// How a space stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpaceState {
    /// It is served.
    Ready,
    /// It could not be opened; the node's log says why. Its data are as they were.
    Failed,
}

/// What a space has of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Use {
    /// What it has now.
    pub used: u64,
    /// What it may have; absent: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Makes a space.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceRequest {
    /// Its name.
    pub space: SpaceName,
    /// What it may have; what is not named is the default.
    #[serde(default)]
    pub quotas: Quotas,
}

/// Changes what a space may have.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotasRequest {
    /// What changes.
    pub quotas: Quotas,
}

/// What a removal of a space asks for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceRemoveQuery {
    /// Whether apps and topics that are there go with it.
    #[serde(default)]
    pub with_content: bool,
}
