//! Access keys of the Lambda API, on the control API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pair with which requests to the Lambda API are signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// The access key's id, which stands in every request.
    pub id: String,
    /// The secret, which never does.
    pub secret: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("created_ms", &self.created_ms).finish()
    }
}

/// An access key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessKeyInfo {
    /// Its id.
    pub id: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// Everything that a client of the Lambda API needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LambdaAccess {
    /// Where the API answers, such as `http://127.0.0.1:9001`.
    pub endpoint: String,
    /// A region; any will do, and ARNs have the one that a request names.
    pub region: String,
    /// The key.
    pub key: AccessKey,
}
