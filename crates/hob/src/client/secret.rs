//! Secrets over the control API: one method for each operation.

use super::{Client, empty, json};
use hob_core::fault::Result;
use hob_core::name::{AppName, SecretName};
use hob_core::wire::{Rekeyed, SecretInfo, SecretRequest, SecretUse};
use http::Method;

impl Client {
    /// The secrets of an app, without their values.
    pub(crate) async fn secrets(&self, app: &AppName) -> Result<Vec<SecretInfo>> {
        self.get(&format!("/v1/apps/{app}/secrets")).await
    }

    /// Sets a secret.
    pub(crate) async fn set_secret(
        &self,
        app: &AppName,
        name: &SecretName,
        asked: &SecretRequest,
    ) -> Result<SecretInfo> {
        let path = format!("/v1/apps/{app}/secrets/{name}");
        let mut answer = self.request(Method::PUT, &path, json(asked)).await?;
        self.read(&mut answer).await
    }

    /// Goes back to a kept version of a secret.
    pub(crate) async fn use_secret(
        &self,
        app: &AppName,
        name: &SecretName,
        version: u32,
    ) -> Result<SecretInfo> {
        let path = format!("/v1/apps/{app}/secrets/{name}/use");
        let mut answer = self.request(Method::POST, &path, json(&SecretUse { version })).await?;
        self.read(&mut answer).await
    }

    /// Removes a secret.
    pub(crate) async fn remove_secret(&self, app: &AppName, name: &SecretName) -> Result<()> {
        self.request(Method::DELETE, &format!("/v1/apps/{app}/secrets/{name}"), empty()).await.map(drop)
    }

    /// Encrypts every secret of the node with another key.
    pub(crate) async fn rekey(&self) -> Result<Rekeyed> {
        let mut answer = self.request(Method::POST, "/v1/secrets/rekey", empty()).await?;
        self.read(&mut answer).await
    }
}
