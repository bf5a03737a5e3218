//! What crosses the control API, version 1.
//!
//! **Why.** Only these types are a promise to other programs; everything else may change freely.
//!
//! **How.** Plain data with JSON schemas; `docs/reference/openapi.json` is generated from them.

mod access;
mod cost;
mod dashboard;
mod event;
mod key;
mod log;
mod secret;
mod space;
mod top;
mod usage;
mod why;

pub use access::*;
pub use cost::*;
pub use dashboard::*;
pub use event::*;
pub use key::*;
pub use log::LogQuery;
pub use secret::*;
pub use space::*;
pub use top::*;
pub use usage::*;
pub use why::*;

use crate::digest::Digest;
use crate::fault::FaultWire;
use crate::name::{AppName, FunctionName, RevisionNumber, SpaceName};
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
    /// The space that is asked, unless that is `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
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
    /// How good its machine code is; absent in lists, and for functions of which nothing is compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_code: Option<MachineCode>,
    /// Its last cold starts; absent in lists, and while there were none since the node started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_starts: Option<ColdStarts>,
}

/// How good the machine code of a function is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineCode {
    /// The stage.
    pub stage: CodeStage,
    /// Milliseconds for which it has been optimised so far, or that this took behind quick code since the node
    /// started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimising_ms: Option<u64>,
}

/// Stages of a function's machine code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CodeStage {
    /// Made in a hurry, and it stays so until the node starts again: optimising it failed.
    Quick,
    /// Made in a hurry; it waits for its turn to be optimised.
    Waiting,
    /// Made in a hurry; better code is being made.
    Optimising,
    /// As good as it gets.
    Optimised,
}

/// The last cold starts of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ColdStarts {
    /// How many are remembered.
    pub kept: u64,
    /// The last one.
    pub last: ColdPhases,
    /// The median of each phase.
    pub typical: ColdPhases,
}

/// Where the time of a cold call went, from its arrival to the head of its answer, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ColdPhases {
    /// Finding the function.
    pub route_us: u64,
    /// Waiting for room.
    pub queue_us: u64,
    /// Making the code ready to run.
    pub load_us: u64,
    /// Making an instance, or starting a process.
    pub start_us: u64,
    /// Waiting until a started process took connections.
    pub connect_us: u64,
    /// The function's own work.
    pub run_us: u64,
    /// All of it.
    pub total_us: u64,
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
