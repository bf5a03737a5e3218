//! What the node gives to hosts and contracts, for one space: folders, ports, and numbers for instances.

use crate::crowd::Crowd;
use crate::gate::Gates;
use crate::outbound::Outbound;
use crate::witness::Witnesses;
use hob_core::limit::{WORKER_CODE_BYTES_MAX, WORKER_PING_INTERVAL, WORKER_SILENCE_MAX};
use hob_core::name::{AppName, SpaceName};
use hob_core::port::{LogSink, Spawn};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the node gives to hosts and contracts.
pub struct Environment {
    /// The space whose functions run with it. Its ports lead nowhere else.
    pub space: SpaceName,
    /// Compiled code, kept between starts; private to the node's user.
    pub cache_dir: PathBuf,
    /// Compiled functions that components of the space leave for each other; made when there are any. None of them is taken for
    /// a component that another space deploys. But what is compiled with their help lies in `cache_dir`, by the component's digest,
    /// for every space that has the same component.
    pub packs_dir: PathBuf,
    /// Whether other nodes keep theirs in the same folder: then nothing is removed for not being needed here. Spaces
    /// of one node share the folder too, and know of each other what is needed.
    pub cache_shared: bool,
    /// Working folders of instances; emptied at start.
    pub work_dir: PathBuf,
    /// The command that compiles a component in a child process (program, then leading arguments);
    /// empty: in this process, as tests and embedders may.
    pub compiler: Vec<OsString>,
    /// Whether WASM instances come from a pool of reserved slots; `None`: if the machine allows it.
    pub pooling: Option<bool>,
    /// Which WASM functions run in processes of their own, and how those are started.
    pub workers: Workers,
    /// Which walls programs have.
    pub walls: crate::wall::Wanted,
    /// Starts background tasks.
    pub spawn: Arc<dyn Spawn>,
    /// Takes log records; a node gives a [`crate::log::Limited`].
    pub logs: Arc<dyn LogSink>,
    /// Is told of every call and instance.
    pub witnesses: Arc<dyn Witnesses>,
    /// Decides which functions may be called.
    pub gates: Arc<dyn Gates>,
    /// Shares the machine out among all functions.
    pub crowd: Arc<Crowd>,
    /// Takes the calls that functions make.
    pub outbound: Arc<dyn Outbound>,
    /// The next instance's number, for all spaces of the node.
    pub instances: Arc<AtomicU64>,
}

impl Environment {
    /// A number that no other instance of this node has.
    pub fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed)
    }
}

/// Which WASM functions run in worker processes, one for each space, and how those are started.
#[derive(Clone)]
pub struct Workers {
    /// The command that becomes a worker: program, then leading arguments.
    pub command: Vec<OsString>,
    /// The space in whose worker the functions of an app run; `None`: in this process. Asked for each instance, so
    /// that it may change.
    pub space_of: Arc<SpaceOf>,
    /// When one is given up, or exchanged.
    pub supervision: Supervision,
}

/// How worker processes are supervised. The defaults are those of [`hob_core::limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supervision {
    /// How often one that has calls is asked whether it is there.
    pub ping_interval: Duration,
    /// One that has not said anything for so long, though it was asked, is ended.
    pub silence_max: Duration,
    /// Compiled code that one is given before it is exchanged for another one when it is idle.
    pub code_bytes_max: u64,
}

impl Default for Supervision {
    fn default() -> Self {
        Self {
            ping_interval: WORKER_PING_INTERVAL,
            silence_max: WORKER_SILENCE_MAX,
            code_bytes_max: WORKER_CODE_BYTES_MAX,
        }
    }
}

/// Says in the worker of which space the functions of an app run, if in any.
pub type SpaceOf = dyn Fn(&AppName) -> Option<SpaceName> + Send + Sync;

impl Workers {
    /// There are none: WASM runs in this process.
    pub fn none() -> Self {
        Self { command: Vec::new(), space_of: Arc::new(|_| None), supervision: Supervision::default() }
    }
}
