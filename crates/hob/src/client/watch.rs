//! Costs, prices, use, budgets and alerts over the control API: one method for each operation.

use super::{Client, query_string};
use hob_core::fault::Result;
use hob_core::name::AppName;
use hob_core::wire::{
    AlertInfo, BudgetInfo, CostQuery, CostReport, Prices, UsageQuery, UsageReport, WatchQuery,
};

impl Client {
    /// What was used and what it costs.
    pub(crate) async fn cost(&self, query: &CostQuery) -> Result<CostReport> {
        self.get(&format!("/v1/cost{}", query_string(query))).await
    }

    /// What was used.
    pub(crate) async fn usage(&self, query: &UsageQuery) -> Result<UsageReport> {
        self.get(&format!("/v1/usage{}", query_string(query))).await
    }

    /// Every price sheet, and what the node's machine has.
    pub(crate) async fn prices(&self) -> Result<Prices> {
        self.get("/v1/prices").await
    }

    /// Budgets, of one app if that is asked for.
    pub(crate) async fn budgets(&self, app: Option<&AppName>) -> Result<Vec<BudgetInfo>> {
        self.get(&format!("/v1/budgets{}", query_string(&WatchQuery { app: app.cloned() }))).await
    }

    /// Alert rules, of one app if that is asked for.
    pub(crate) async fn alerts(&self, app: Option<&AppName>) -> Result<Vec<AlertInfo>> {
        self.get(&format!("/v1/alerts{}", query_string(&WatchQuery { app: app.cloned() }))).await
    }
}
