//! A function's code and settings, as the node hands them to a host, and what running it has cost.

use crate::cpu::CpuTotal;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::spec::FunctionSpec;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

/// A version of a function: the same code with a number, and with instances of its own (AWS Lambda's versions).
#[derive(Debug)]
pub struct Numbered {
    /// Its number.
    pub version: u32,
    /// Instances that are kept of it whether it is called or not.
    pub provisioned: AtomicU32,
}

/// A function's code and settings, as the node hands them over.
#[derive(Debug)]
pub struct FunctionCode {
    /// The app.
    pub app: AppName,
    /// The revision.
    pub revision: RevisionNumber,
    /// The function.
    pub name: FunctionName,
    /// The number by which it is called; `None`: it is what its revision has, without one.
    pub numbered: Option<Numbered>,
    /// Its settings.
    pub spec: FunctionSpec,
    /// The folder that holds its package; shared by its instances, read-only.
    pub dir: PathBuf,
    /// Processor time of its instances.
    pub cpu: CpuTotal,
}
