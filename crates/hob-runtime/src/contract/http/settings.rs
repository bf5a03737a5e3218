//! The contract's own settings: `[functions.<name>.http]`; contracts that build on it take them as well.

use super::super::setting;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{GRACE_CEILING, GRACE_DEFAULT, START_TIMEOUT_CEILING, START_TIMEOUT_DEFAULT};
use serde_json::{Map, Value};
use std::time::Duration;

pub(in super::super) const KEYS: [&str; 4] = ["ready", "start-timeout", "grace", "protocol"];

/// What a function may say about itself as a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Settings {
    /// A path that answers 200 to 399 once the server is ready; `None`: it is ready when it listens.
    pub(super) ready: Option<String>,
    /// How long it may take to become ready.
    pub(super) start_timeout: Duration,
    /// Time between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    /// Whether it speaks cleartext HTTP/2 (Knative: a port named `h2c`).
    pub(super) h2c: bool,
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// `HOB-0102` for an unknown key, `HOB-0103` for a wrong value, `HOB-0109` above a limit.
    pub(in super::super) fn read(settings: &Map<String, Value>) -> Result<Self> {
        Self::read_of("http", &KEYS, settings)
    }

    /// Those of a contract with more keys, which `keys` names for the hint and `settings` no longer holds.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub(in super::super) fn read_of(
        contract: &str,
        keys: &[&str],
        given: &Map<String, Value>,
    ) -> Result<Self> {
        let mut settings =
            Self { ready: None, start_timeout: START_TIMEOUT_DEFAULT, grace: GRACE_DEFAULT, h2c: false };
        for (key, value) in given {
            match key.as_str() {
                "ready" => settings.ready = Some(path(value)?),
                "start-timeout" => {
                    settings.start_timeout = setting::time("http", key, value, START_TIMEOUT_CEILING)?
                }
                "grace" => settings.grace = setting::time("http", key, value, GRACE_CEILING)?,
                "protocol" => settings.h2c = protocol(value)?,
                _ => return Err(setting::unknown(contract, key, keys)),
            }
        }
        Ok(settings)
    }
}

fn path(value: &Value) -> Result<String> {
    match value.as_str() {
        Some(path) if path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok() => {
            Ok(path.to_owned())
        }
        _ => Err(wrong("ready", value, "write a path such as `/healthz`")),
    }
}

fn protocol(value: &Value) -> Result<bool> {
    match value.as_str() {
        Some("http1") => Ok(false),
        Some("h2c") => Ok(true),
        _ => Err(wrong("protocol", value, "use `http1` (the default) or `h2c`")),
    }
}

fn wrong(key: &str, value: &Value, hint: &str) -> Fault {
    setting::wrong("http", key, value, hint)
}
