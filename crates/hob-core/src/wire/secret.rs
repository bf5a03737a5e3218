//! Secrets, on the control API: everything but their values.

use crate::name::{FunctionName, RevisionNumber, SecretName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretInfo {
    /// Its name.
    pub name: SecretName,
    /// The version that instances are given that start now.
    pub version: u32,
    /// When that was set, milliseconds since the Unix epoch.
    pub set_ms: u64,
    /// Who set it.
    pub by: String,
    /// The versions that are kept, the oldest first.
    pub versions: Vec<u32>,
    /// Functions of the current revision that name it.
    pub used_by: Vec<FunctionName>,
    /// Older revisions that are kept and have a function that names it: without the secret it does not start, and nobody
    /// can roll back to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_by: Vec<RevisionNumber>,
}

/// A new value of a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRequest {
    /// The value.
    #[schemars(length(min = 1))]
    pub value: String,
    /// Whether it has to be there already.
    #[serde(default)]
    pub rotate: bool,
}

/// Which kept version of a secret is given to instances from now on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretUse {
    /// Its number.
    pub version: u32,
}

/// Which key encrypts secrets now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rekeyed {
    /// The id of the key.
    pub key: String,
    /// Values that were encrypted with it anew.
    pub values: u64,
}
