//! The control API's operations on access keys.

use super::{Client, empty};
use hob_core::fault::Result;
use hob_core::wire::{AccessKeyInfo, LambdaAccess};
use http::Method;

impl Client {
    /// Every access key, the oldest first.
    pub(crate) async fn keys(&self) -> Result<Vec<AccessKeyInfo>> {
        self.get("/v1/keys").await
    }

    /// Makes an access key.
    pub(crate) async fn create_key(&self) -> Result<LambdaAccess> {
        let mut answer = self.request(Method::POST, "/v1/keys", empty()).await?;
        self.read(&mut answer).await
    }

    /// An access key with its secret.
    pub(crate) async fn key(&self, id: &str) -> Result<LambdaAccess> {
        self.get(&format!("/v1/keys/{id}")).await
    }

    /// Removes an access key.
    pub(crate) async fn remove_key(&self, id: &str) -> Result<()> {
        self.request(Method::DELETE, &format!("/v1/keys/{id}"), empty()).await.map(drop)
    }
}
