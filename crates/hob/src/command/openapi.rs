//! `hob __openapi`: the OpenAPI document of the control API, for the committed copy.

use super::{Command, DONE};
use crate::output::Output;
use hob_core::fault::Result;

/// Write the OpenAPI document of the control API.
#[derive(clap::Args)]
pub(super) struct OpenApi {}

impl Command for OpenApi {
    async fn run(self, output: &Output) -> Result<u8> {
        output
            .line(&serde_json::to_string_pretty(&hob_node::openapi()).expect("a value is always valid JSON"));
        Ok(DONE)
    }
}
