//! What runs right now, over the control API: reports as they come, stopping what is idle, and where a load
//! test of a private function goes.

use super::{Client, Endpoint, empty, query_string};
use crate::client::lines::Lines;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName};
use hob_core::wire::{Cooled, TopQuery, TopReport};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

/// Reports of what runs, as they come.
pub(crate) struct Reports {
    lines: Lines,
    client: Client,
}

impl Reports {
    /// The next one, or `None` at the end. Nothing is lost when this is dropped while it waits.
    ///
    /// # Errors
    /// `HOB-0703` when the node has gone.
    pub(crate) async fn next(&mut self) -> Result<Option<TopReport>> {
        let line = self.lines.next().await.map_err(|error| self.client.unreachable(&error))?;
        line.map(|line| self.client.parse(&line)).transpose()
    }
}

impl Client {
    /// Begins to ask what runs right now.
    pub(crate) async fn top(&self, query: &TopQuery) -> Result<Reports> {
        let path = format!("/v1/top{}", query_string(query));
        let lines = Lines::new(self.request(Method::GET, &path, empty()).await?);
        Ok(Reports { lines, client: self.clone() })
    }

    /// Stops a function's idle instances.
    pub(crate) async fn cool(&self, app: &AppName, function: &FunctionName) -> Result<Cooled> {
        let path = format!("/v1/apps/{app}/functions/{function}/cool");
        let mut answer = self.request(Method::POST, &path, empty()).await?;
        self.read(&mut answer).await
    }

    /// Where the control API listens, and the headers that it wants; for who keeps connections of his own.
    ///
    /// # Errors
    /// `HOB-0701` for a token that is no header's value.
    pub(crate) fn door(&self) -> Result<(Endpoint, HeaderMap)> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().map_err(Fault::internal)?);
        }
        if let Some(space) = &self.space {
            headers.insert(super::SPACE, space.as_str().parse().map_err(Fault::internal)?);
        }
        Ok((self.endpoint.clone(), headers))
    }
}
