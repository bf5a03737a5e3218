//! The tables of hosts and contracts, for the reference.

use hob_runtime::contract::CONTRACTS;
use hob_runtime::host::HOSTS;

/// One line of a table, as people read it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As it is written in a manifest.
    pub name: &'static str,
    /// What it is, in one sentence without a period.
    pub summary: &'static str,
    /// A runnable manifest fragment.
    pub example: &'static str,
}

/// Every host, in the order of its table.
pub fn hosts() -> Vec<Row> {
    HOSTS.iter().map(|row| Row { name: row.name, summary: row.summary, example: row.example }).collect()
}

/// Every contract, in the order of its table.
pub fn contracts() -> Vec<Row> {
    let row = |contract: &&'static dyn hob_runtime::contract::Contract| Row {
        name: contract.name(),
        summary: contract.summary(),
        example: contract.example(),
    };
    CONTRACTS.iter().map(row).collect()
}
