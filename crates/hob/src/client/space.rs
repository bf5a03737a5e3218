//! The control API's operations on spaces.

use super::{Client, empty, json, query_string};
use hob_core::fault::Result;
use hob_core::name::SpaceName;
use hob_core::space::Quotas;
use hob_core::wire::{QuotasRequest, SpaceInfo, SpaceRemoveQuery, SpaceRequest};
use http::Method;

impl Client {
    /// The space that this client asks.
    pub(crate) async fn own_space(&self) -> Result<SpaceInfo> {
        self.get("/v1/space").await
    }

    /// Every space.
    pub(crate) async fn spaces(&self) -> Result<Vec<SpaceInfo>> {
        self.get("/v1/spaces").await
    }

    /// One space.
    pub(crate) async fn space(&self, space: &SpaceName) -> Result<SpaceInfo> {
        self.get(&format!("/v1/spaces/{space}")).await
    }

    /// Makes a space.
    pub(crate) async fn create_space(&self, space: SpaceName, quotas: Quotas) -> Result<SpaceInfo> {
        let body = json(&SpaceRequest { space, quotas });
        let mut answer = self.request(Method::POST, "/v1/spaces", body).await?;
        self.read(&mut answer).await
    }

    /// Changes what a space may have.
    pub(crate) async fn set_space(&self, space: &SpaceName, quotas: Quotas) -> Result<SpaceInfo> {
        let body = json(&QuotasRequest { quotas });
        let mut answer = self.request(Method::PATCH, &format!("/v1/spaces/{space}"), body).await?;
        self.read(&mut answer).await
    }

    /// Removes a space.
    pub(crate) async fn remove_space(&self, space: &SpaceName, with_content: bool) -> Result<()> {
        let query = query_string(&SpaceRemoveQuery { with_content });
        self.request(Method::DELETE, &format!("/v1/spaces/{space}{query}"), empty()).await.map(drop)
    }
}
