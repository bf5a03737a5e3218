//! A function's code and settings, as the node hands them to a host, and what running it has cost.

use crate::cpu::CpuTotal;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::spec::FunctionSpec;
use std::path::PathBuf;

/// A function's code and settings, as the node hands them over.
#[derive(Debug)]
pub struct FunctionCode {
    /// The app.
    pub app: AppName,
    /// The revision.
    pub revision: RevisionNumber,
    /// The function.
    pub name: FunctionName,
    /// Its settings.
    pub spec: FunctionSpec,
    /// The folder that holds its package; shared by its instances, read-only.
    pub dir: PathBuf,
    /// Processor time of its instances.
    pub cpu: CpuTotal,
}
