//! Engines: where state, artifacts and topics are kept. One row of [`ENGINES`] each.
//!
//! To add an engine: one file here and one line in [`ENGINES`]. `tests/engine.rs` runs for each row.

mod database;
mod file;
mod memory;

use crate::log::Broken;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::ARTIFACT_BYTES_MAX;
use hob_core::port::{Blobs, Expect, Facts, Log, State, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Every engine, in the order in which the documentation shows them.
pub static ENGINES: &[EngineRow] = &[file::ROW, memory::ROW];

/// One line of [`ENGINES`].
pub struct EngineRow {
    /// The value of the setting `engine`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// A command that uses it.
    pub example: &'static str,
    /// Whether what was acknowledged is there after a restart.
    pub durable: bool,
    /// Opens it.
    pub open: fn(&EngineSettings) -> Result<Engine>,
}

/// What an engine is told.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The node's data folder; made when it is missing, and locked while the engine is open.
    pub data: PathBuf,
    /// Size of one artifact.
    pub artifact_bytes_max: u64,
    /// Promises that the log is to break, for the tests of checkers.
    #[cfg(feature = "broken")]
    pub broken: crate::Broken,
}

impl EngineSettings {
    /// The defaults on this data folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            artifact_bytes_max: ARTIFACT_BYTES_MAX,
            #[cfg(feature = "broken")]
            broken: crate::Broken::default(),
        }
    }

    /// What the log is to break: nothing, except in tests.
    fn broken(&self) -> Broken {
        #[cfg(feature = "broken")]
        return self.broken;
        #[cfg(not(feature = "broken"))]
        Broken::default()
    }
}

/// An open engine. It closes when all ports are dropped.
#[derive(Clone)]
pub struct Engine {
    /// Control state.
    pub state: Arc<dyn State>,
    /// Artifacts.
    pub blobs: Arc<dyn Blobs>,
    /// Topics.
    pub log: Arc<dyn Log>,
    /// What the node decided and did.
    pub facts: Arc<dyn Facts>,
}

/// Opens the engine with that name.
///
/// # Errors
/// `HOB-0103` when there is none, `HOB-0605` when the data folder is in use, `HOB-0602` when what is
/// stored is damaged, `HOB-0601` and `HOB-0604` when the folder cannot be used.
pub fn open(name: &str, settings: &EngineSettings) -> Result<Engine> {
    let row = ENGINES.iter().find(|row| row.name == name).ok_or_else(|| {
        let known: Vec<&str> = ENGINES.iter().map(|row| row.name).collect();
        Fault::new(Code::ManifestValue, format!("there is no engine `{name}`"))
            .hint(format!("use one of: {}", known.join(", ")))
    })?;
    (row.open)(settings)
}

/// Holds a write against the version that its key has before the commit; `None`: it does not exist.
///
/// # Errors
/// `HOB-0603` when the expectation does not hold.
fn check_expectation(write: &Write, version: Option<u64>) -> Result<()> {
    let holds = match write.expect {
        Expect::Any => true,
        Expect::Absent => version.is_none(),
        Expect::Version(expected) => version == Some(expected),
    };
    if holds {
        return Ok(());
    }
    let shown =
        |version: Option<u64>| version.map_or_else(|| "absent".to_owned(), |v| format!("version {v}"));
    let expected = match write.expect {
        Expect::Version(version) => shown(Some(version)),
        _ => shown(None),
    };
    let message = format!("`{}` is {}, not {expected}", write.key, shown(version));
    Err(Fault::new(Code::StoreConflict, message).hint("read it again and repeat the change"))
}
