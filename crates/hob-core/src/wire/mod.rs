//! What crosses the control API, version 1.
//!
//! **Why.** Only these types are a promise to other programs; everything else may change freely.
//!
//! **How.** Plain data with JSON schemas; `docs/reference/openapi.json` is generated from them.

mod cost;
mod dashboard;
mod event;
mod log;
mod top;
mod usage;
mod why;

pub use cost::*;
pub use dashboard::*;
pub use event::*;
pub use log::LogQuery;
pub use top::*;
pub use usage::*;
pub use why::*;

use crate::digest::Digest;
use crate::fault::FaultWire;
use crate::name::{AppName, FunctionName, RevisionNumber};
use crate::spec::{AppSpec, RouteSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The node that answers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NodeInfo {
    /// Version of Hob.
    pub version: String,
    /// Address of the gateway, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// Domain below which apps get their addresses.
    pub domain: String,
    /// Process id.
    pub pid: u32,
    /// When it started, milliseconds since the Unix epoch.
    pub started_ms: u64,
}

/// One app in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppInfo {
    /// The name.
    pub app: AppName,
    /// The revision that takes new requests.
    pub current: RevisionNumber,
    /// Where it answers.
    pub url: String,
    /// Functions of the current revision.
    pub functions: Vec<FunctionInfo>,
    /// Routes of the current revision.
    pub routes: Vec<RouteSpec>,
    /// Revisions that are kept, newest first.
    pub revisions: Vec<RevisionInfo>,
}

/// One function of the current revision, with what happens in it now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FunctionInfo {
    /// The name.
    pub function: FunctionName,
    /// The host that runs it.
    pub host: String,
    /// The contract that calls it.
    pub contract: String,
    /// Where it answers by its own address; absent for a private function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Running instances.
    pub instances: u32,
    /// Calls that run now.
    pub running: u32,
    /// Calls that wait for an instance.
    pub waiting: u32,
    /// Calls since the node started.
    pub calls: u64,
    /// Calls that failed by a fault since the node started.
    pub failures: u64,
    /// Instances started since the node started.
    pub starts: u64,
    /// Instances that are wanted now.
    #[serde(default)]
    pub wanted: u32,
    /// Calls at a time that one instance is given now, on average: at most `scale.concurrency`.
    #[serde(default)]
    pub concurrency: u32,
    /// How long the first of the waiting calls has waited, milliseconds.
    #[serde(default)]
    pub waited_ms: u64,
    /// `closed`, or `open` while calls are refused since it fails again and again, or `half-open` while one of
    /// them probes whether it works again.
    #[serde(default)]
    pub circuit: String,
}

/// One revision in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RevisionInfo {
    /// Its number.
    pub revision: RevisionNumber,
    /// Digest of its content.
    pub digest: Digest,
    /// When it was deployed, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Whether it takes new requests.
    pub current: bool,
}

/// A whole revision.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// Its number.
    pub revision: RevisionNumber,
    /// Digest of its content.
    pub digest: Digest,
    /// When it was deployed, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// What was deployed.
    pub spec: AppSpec,
}

/// Which artifacts a client has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MissingRequest {
    /// Their digests.
    pub digests: Vec<Digest>,
}

/// Which of them the node lacks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MissingReply {
    /// To be uploaded.
    pub missing: Vec<Digest>,
}

/// A request to move an app to its revision before, or to a chosen one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The revision to go to; absent: the one before the current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RevisionNumber>,
}

/// One line of the answer to a deploy (newline-delimited JSON); the last is `done` or `failed`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum DeployEvent {
    /// A step of one function's preparation.
    Progress {
        /// The function.
        function: FunctionName,
        /// What happens, such as `compiling`.
        step: String,
        /// How far, 0 to 100, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<u8>,
    },
    /// The app now answers with this revision.
    Done(Deployed),
    /// Nothing has changed.
    Failed(FaultWire),
}

/// The result of a deploy or a rollback.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    /// The app.
    pub app: AppName,
    /// The revision that takes new requests.
    pub revision: RevisionNumber,
    /// The one before, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<RevisionNumber>,
    /// False when the same content was current already.
    pub changed: bool,
    /// Where it answers.
    pub url: String,
    /// Milliseconds from the request to the switch.
    pub took_ms: u64,
}
