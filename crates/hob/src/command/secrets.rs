//! Secrets of an app on the node of `hob run` and `hob dev`, which nobody else can set.
//!
//! **How.** A value comes from where the other platform has it on a developer's machine (`.dev.vars`,
//! `SPIN_VARIABLE_…`), or else from the environment variable of the secret's name.

use crate::client::Client;
use crate::project::Project;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::SecretName;
use hob_core::wire::SecretRequest;
use std::collections::BTreeMap;

/// Sets what the app's functions name; `given` is what was set before, and what is set afterwards.
///
/// # Errors
/// `HOB-0730` for a secret of which this machine knows no value.
pub(super) async fn give(
    client: &Client,
    project: &Project,
    given: &mut BTreeMap<SecretName, String>,
) -> Result<()> {
    for (function, name) in project.spec.secrets() {
        let known = project.secrets.get(name).cloned();
        let Some(value) = known.or_else(|| std::env::var(name.as_str()).ok()) else {
            let message =
                format!("function `{function}` names the secret `{name}`, of which there is no value");
            return Err(Fault::new(Code::SecretNotSet, message)
                .at(format!("functions.{function}"))
                .hint(format!("this node takes it from the environment: set `{name}` before the command")));
        };
        if given.get(name) != Some(&value) {
            let asked = SecretRequest { value: value.clone(), rotate: false };
            client.set_secret(&project.spec.app, name, &asked).await?;
            given.insert(name.clone(), value);
        }
    }
    Ok(())
}
