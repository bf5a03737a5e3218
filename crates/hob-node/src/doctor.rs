//! What this machine offers to a node, and what Hob does without it.

use serde::Serialize;

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is, such as `cgroup v2 memory control`.
    pub name: &'static str,
    /// Whether the machine has it.
    pub found: bool,
    /// What was seen, such as a version or the reason of a refusal.
    pub seen: String,
    /// What Hob uses it for, or what it does without it.
    pub effect: &'static str,
}

/// Looks at this machine; changes nothing.
pub fn examine() -> Vec<Finding> {
    Vec::new()
}
