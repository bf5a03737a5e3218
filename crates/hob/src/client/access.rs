//! Tokens and the audit log over the control API: one method for each operation.

use super::lines::Lines;
use super::{Client, empty, json, query_string};
use hob_core::fault::Result;
use hob_core::wire::{
    AuditCheckQuery, AuditEntry, AuditQuery, AuditReport, TokenInfo, TokenMade, TokenRequest,
};
use http::Method;

impl Client {
    /// Every token that was not revoked, the oldest first.
    pub(crate) async fn tokens(&self) -> Result<Vec<TokenInfo>> {
        self.get("/v1/tokens").await
    }

    /// Makes a token, which is shown this once.
    pub(crate) async fn create_token(&self, asked: &TokenRequest) -> Result<TokenMade> {
        let mut answer = self.request(Method::POST, "/v1/tokens", json(asked)).await?;
        self.read(&mut answer).await
    }

    /// Revokes a token.
    pub(crate) async fn revoke_token(&self, id: &str) -> Result<()> {
        self.request(Method::DELETE, &format!("/v1/tokens/{id}"), empty()).await.map(drop)
    }

    /// What people and programs did to the node, oldest first.
    pub(crate) async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>> {
        let path = format!("/v1/audit{}", query_string(query));
        let mut lines = Lines::new(self.request(Method::GET, &path, empty()).await?);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.map_err(|error| self.unreachable(&error))? {
            all.push(self.parse(&line)?);
        }
        Ok(all)
    }

    /// Whether the audit log is whole.
    pub(crate) async fn verify_audit(&self, noted: Option<String>) -> Result<AuditReport> {
        self.get(&format!("/v1/audit/verify{}", query_string(&AuditCheckQuery { noted }))).await
    }
}
