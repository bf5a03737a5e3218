//! Schedules: stub until merged.
use serde::{Deserialize, Serialize};
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    Skip,
    #[default]
    Once,
    All,
}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    #[default]
    Skip,
    Queue,
    Allow,
}

/// Stub until merged.
pub struct Schedule;
impl Schedule {
    /// Stub.
    pub fn new(_e: &str, _z: &str) -> crate::fault::Result<Self> {
        Ok(Self)
    }
}
