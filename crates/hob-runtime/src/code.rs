//! A function's code and settings, as the node hands them to a host, and what running it has cost.
//!
//! **Invariants.** The environment holds the values of secrets: it is never printed, and is overwritten at the end.

use crate::cpu::CpuTotal;
use hob_core::fault::Fault;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::spec::FunctionSpec;
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use zeroize::Zeroize;

/// A version of a function: the same code with a number, and with instances of its own (AWS Lambda's versions).
#[derive(Debug)]
pub struct Numbered {
    /// Its number.
    pub version: u32,
    /// Instances that are kept of it whether it is called or not.
    pub provisioned: AtomicU32,
}

/// A function's code and settings, as the node hands them over.
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
    /// What has become of its secrets.
    pub given: Given,
}

/// What has become of the secrets that a function names.
#[derive(Default)]
pub struct Given {
    /// Why it has no instances: a value that it names is not to be had, and without it it would be another program.
    pub lacking: Option<Fault>,
    /// What is there as long as something may run that has the values; whoever gave them looks whether it still is.
    pub held: Vec<Arc<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for FunctionCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} of revision {}", self.app, self.name, self.revision)
    }
}

impl Drop for FunctionCode {
    fn drop(&mut self) {
        if !self.spec.secrets.is_empty() {
            self.spec.env.values_mut().for_each(Zeroize::zeroize);
        }
    }
}
