//! What is wrong with a contract's own settings, said alike for every contract.

use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::near::nearest;
use serde_json::Value;

/// `HOB-0102`: the contract has no such setting; its settings are `keys`.
pub(super) fn unknown(contract: &str, key: &str, keys: &[&str]) -> Fault {
    let hint = match nearest(key, keys.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its settings are: {}", keys.join(", ")),
    };
    Fault::new(Code::ManifestUnknownKey, format!("contract `{contract}` has no setting `{key}`")).hint(hint)
}

/// `HOB-0103`: the setting cannot have this value.
pub(super) fn wrong(contract: &str, key: &str, value: &Value, hint: &str) -> Fault {
    let message = format!("`{key}` of contract `{contract}` cannot be `{value}`");
    Fault::new(Code::ManifestValue, message).hint(hint)
}
