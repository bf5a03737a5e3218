//! What is wrong with a contract's own settings, said alike for every contract.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::near::nearest;
use hob_core::spec::FunctionSpec;
use hob_core::unit::{parse_duration, show_duration};
use serde_json::Value;
use std::time::Duration;

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

/// Checks a contract that has no settings.
///
/// # Errors
/// `HOB-0102` for any.
pub(super) fn none(contract: &str, spec: &FunctionSpec) -> Result<()> {
    let Some(key) = spec.settings.keys().next() else { return Ok(()) };
    let message = format!("contract `{contract}` has no setting `{key}`");
    let hint = format!("remove the `{contract}` table: everything is set on the function itself");
    Err(Fault::new(Code::ManifestUnknownKey, message).hint(hint))
}

/// A time up to `ceiling`.
///
/// # Errors
/// `HOB-0103` for what is no time, `HOB-0109` above the ceiling.
pub(super) fn time(contract: &str, key: &str, value: &Value, ceiling: Duration) -> Result<Duration> {
    let text = value.as_str().ok_or_else(|| wrong(contract, key, value, "write a time such as `10s`"))?;
    let time = parse_duration(text).map_err(|why| wrong(contract, key, value, &why))?;
    if time > ceiling {
        let (time, most) = (show_duration(time), show_duration(ceiling));
        let message = format!("`{key}` of contract `{contract}` is `{time}`, the limit is `{most}`");
        return Err(Fault::new(Code::SettingOverLimit, message).hint(format!("write `{most}` or less")));
    }
    Ok(time)
}
