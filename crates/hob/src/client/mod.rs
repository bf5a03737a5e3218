//! A client of the control API, version 1.
//!
//! **Why.** The same API that any other program uses: what it cannot do, the command line cannot.
//!
//! **How.** One method for each operation, with the types of [`hob_core::wire`]. An error answer
//! becomes the [`Fault`] that the node sent; no answer at all is `HOB-0703`.

mod access;
mod connection;
mod event;
mod key;
mod lines;
mod secret;
mod space;
mod top;
mod watch;

pub(crate) use connection::{Answer, Endpoint, Payload, connect_tls, send};
pub(crate) use top::Reports;

use bytes::Bytes;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fact::Fact;
use hob_core::fault::{Fault, FaultWire, Result};
use hob_core::limit::{ARTIFACTS_ASKED_MAX, CONTROL_BODY_BYTES_MAX};
use hob_core::name::{AppName, FunctionName, RevisionNumber, SpaceName};
use hob_core::port::LogRecord;
use hob_core::spec::AppSpec;
use hob_core::wire::{
    AppInfo, DashboardLink, DashboardLinkQuery, DeployEvent, Deployed, FactsQuery, LogQuery, MissingReply,
    MissingRequest, NodeInfo, Revision, RollbackRequest, Story, WhyQuery,
};
use http::{Method, Request, StatusCode, header};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Empty, Full};
use lines::Lines;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use tokio::io::AsyncReadExt;

/// The header that says in which space something is asked.
const SPACE: &str = "hob-space";

/// Bytes of a file that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A client of one node.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    endpoint: Endpoint,
    token: Option<String>,
    /// `None`: `default`.
    space: Option<SpaceName>,
}

impl Client {
    /// A client of the node whose control API listens at `endpoint`.
    pub(crate) fn new(endpoint: Endpoint, token: Option<String>) -> Self {
        Self { endpoint, token, space: None }
    }

    /// The same in a space.
    pub(crate) fn within(self, space: Option<SpaceName>) -> Self {
        Self { space, ..self }
    }

    /// What the node says about itself.
    pub(crate) async fn node(&self) -> Result<NodeInfo> {
        self.get("/v1/node").await
    }

    /// Every app.
    pub(crate) async fn apps(&self) -> Result<Vec<AppInfo>> {
        self.get("/v1/apps").await
    }

    /// One app.
    pub(crate) async fn app(&self, app: &AppName) -> Result<AppInfo> {
        self.get(&format!("/v1/apps/{app}")).await
    }

    /// One whole revision.
    pub(crate) async fn revision(&self, app: &AppName, number: RevisionNumber) -> Result<Revision> {
        self.get(&format!("/v1/apps/{app}/revisions/{number}")).await
    }

    /// A link that signs in to the dashboard, once; to look only, if that is asked for.
    pub(crate) async fn dashboard_link(&self, read_only: bool) -> Result<DashboardLink> {
        let path = format!("/v1/dashboard/links{}", query_string(&DashboardLinkQuery { read_only }));
        let mut answer = self.request(Method::POST, &path, empty()).await?;
        self.read(&mut answer).await
    }

    /// Removes an app with all of its revisions.
    pub(crate) async fn remove(&self, app: &AppName) -> Result<()> {
        self.request(Method::DELETE, &format!("/v1/apps/{app}"), empty()).await.map(drop)
    }

    /// Those of `digests` that the node lacks.
    pub(crate) async fn missing(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        let mut missing = Vec::new();
        for some in digests.chunks(ARTIFACTS_ASKED_MAX) {
            let body = json(&MissingRequest { digests: some.to_vec() });
            let mut answer = self.request(Method::POST, "/v1/artifacts/missing", body).await?;
            missing.extend(self.read::<MissingReply>(&mut answer).await?.missing);
        }
        Ok(missing)
    }

    /// Uploads a file under its digest.
    pub(crate) async fn upload(&self, digest: &Digest, file: &Path) -> Result<()> {
        let unreadable = |error: &io::Error| {
            Fault::new(Code::FileMissing, format!("cannot read `{}`: {error}", file.display()))
        };
        let mut source = tokio::fs::File::open(file).await.map_err(|error| unreadable(&error))?;
        let (mut sender, body) = Channel::<Bytes>::new(2);
        let feed = async {
            loop {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                let read = (&mut source).take(PIECE_BYTES as u64).read_to_end(&mut piece).await;
                if read.map_err(|error| unreadable(&error))? == 0 {
                    drop(sender);
                    return Ok(());
                }
                // A node that has seen enough stops reading; its answer says why.
                if sender.send_data(piece.into()).await.is_err() {
                    return Ok(());
                }
            }
        };
        let path = format!("/v1/artifacts/{digest}");
        let put = self.request(Method::PUT, &path, body.boxed_unsync());
        let (fed, answer): (Result<()>, _) = tokio::join!(feed, put);
        fed?;
        answer.map(drop)
    }

    /// Deploys an app; `step` hears of each step until the end.
    pub(crate) async fn deploy(
        &self,
        spec: &AppSpec,
        step: impl FnMut(&FunctionName, &str, Option<u8>),
    ) -> Result<Deployed> {
        self.change(&format!("/v1/apps/{}/revisions", spec.app), json(spec), step).await
    }

    /// Moves an app back.
    pub(crate) async fn rollback(
        &self,
        app: &AppName,
        to: Option<RevisionNumber>,
        step: impl FnMut(&FunctionName, &str, Option<u8>),
    ) -> Result<Deployed> {
        self.change(&format!("/v1/apps/{app}/rollback"), json(&RollbackRequest { to }), step).await
    }

    /// Hands log records to `take` until it returns false or there are no more.
    pub(crate) async fn logs(&self, query: &LogQuery, mut take: impl FnMut(LogRecord) -> bool) -> Result<()> {
        let path = format!("/v1/logs{}", query_string(query));
        let mut lines = Lines::new(self.request(Method::GET, &path, empty()).await?);
        while let Some(line) = lines.next().await.map_err(|error| self.unreachable(&error))? {
            if !take(self.parse(&line)?) {
                break;
            }
        }
        Ok(())
    }

    /// Asks why something did or did not happen.
    pub(crate) async fn why(&self, query: &WhyQuery) -> Result<Story> {
        self.get(&format!("/v1/why{}", query_string(query))).await
    }

    /// What the node decided and did, oldest first.
    pub(crate) async fn facts(&self, query: &FactsQuery) -> Result<Vec<Fact>> {
        let path = format!("/v1/facts{}", query_string(query));
        let mut lines = Lines::new(self.request(Method::GET, &path, empty()).await?);
        let mut facts = Vec::new();
        while let Some(line) = lines.next().await.map_err(|error| self.unreachable(&error))? {
            facts.push(self.parse(&line)?);
        }
        Ok(facts)
    }

    /// Forwards a request to a function and returns its answer, whatever its status.
    pub(crate) async fn call(
        &self,
        app: &AppName,
        function: &FunctionName,
        mut request: Request<Payload>,
    ) -> Result<Answer> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = format!("/v1/apps/{app}/functions/{function}/call{path}");
        *request.uri_mut() = path.parse().map_err(|_| {
            Fault::new(Code::Usage, format!("`{path}` is not a valid path")).hint("encode blanks as `%20`")
        })?;
        self.send(request).await
    }

    async fn change(
        &self,
        path: &str,
        body: Payload,
        mut step: impl FnMut(&FunctionName, &str, Option<u8>),
    ) -> Result<Deployed> {
        let mut lines = Lines::new(self.request(Method::POST, path, body).await?);
        while let Some(line) = lines.next().await.map_err(|error| self.unreachable(&error))? {
            match self.parse::<DeployEvent>(&line)? {
                DeployEvent::Progress { function, step: text, percent } => step(&function, &text, percent),
                DeployEvent::Done(deployed) => return Ok(deployed),
                DeployEvent::Failed(fault) => return Err(fault.into()),
            }
        }
        Err(self.unreachable("the answer ended before the deploy did"))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let mut answer = self.request(Method::GET, path, empty()).await?;
        self.read(&mut answer).await
    }

    async fn request(&self, method: Method, path: &str, body: Payload) -> Result<Answer> {
        self.request_as(method, path, "application/json", body).await
    }

    async fn request_as(&self, method: Method, path: &str, media: &str, body: Payload) -> Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, media)
            .body(body)
            .map_err(Fault::internal)?;
        let mut answer = self.send(request).await?;
        if answer.head.status.is_success() { Ok(answer) } else { Err(self.refusal(&mut answer).await) }
    }

    async fn send(&self, mut request: Request<Payload>) -> Result<Answer> {
        let host = self.endpoint.host();
        let headers = request.headers_mut();
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, host.parse().map_err(Fault::internal)?);
        }
        if let Some(space) = &self.space {
            headers.insert(SPACE, space.as_str().parse().map_err(Fault::internal)?);
        }
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().map_err(|_| {
                Fault::new(Code::Unauthorized, "the token holds characters that a header may not")
                    .hint("write the token alone, on one line, into the token file")
            })?;
            headers.insert(header::AUTHORIZATION, value);
        }
        send(&self.endpoint, request).await.map_err(|error| self.unreachable(&error))
    }

    async fn read<T: DeserializeOwned>(&self, answer: &mut Answer) -> Result<T> {
        let bytes = answer.bytes(CONTROL_BODY_BYTES_MAX).await.map_err(|error| self.unreachable(&error))?;
        self.parse(&bytes)
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|error| {
            Fault::new(
                Code::NodeUnreachable,
                format!("what answers at `{}` does not speak Hob's control API", self.endpoint),
            )
            .hint("compare the versions: `hob --version` here and `hob doctor` there")
            .detail(error)
        })
    }

    async fn refusal(&self, answer: &mut Answer) -> Fault {
        let status = answer.head.status;
        let body = answer.bytes(CONTROL_BODY_BYTES_MAX).await.unwrap_or_default();
        serde_json::from_slice::<FaultWire>(&body).map_or_else(|_| self.unexplained(status), Fault::from)
    }

    fn unexplained(&self, status: StatusCode) -> Fault {
        Fault::new(Code::NodeUnreachable, format!("`{}` answered {status} without a reason", self.endpoint))
            .hint("check that it is the control API of a Hob node")
    }

    fn unreachable(&self, why: impl std::fmt::Display) -> Fault {
        let hint = match &self.endpoint {
            Endpoint::Tls(_) => "see that it runs; name a certificate of its own with `SSL_CERT_FILE=FILE`",
            _ => "start one with `hob serve`, or name another with `--control`",
        };
        Fault::new(Code::NodeUnreachable, format!("no node answers at `{}`: {why}", self.endpoint)).hint(hint)
    }
}

/// A request body that is all there.
pub(crate) fn full(bytes: Vec<u8>) -> Payload {
    Full::new(Bytes::from(bytes)).boxed_unsync()
}

/// No request body.
pub(crate) fn empty() -> Payload {
    Empty::new().boxed_unsync()
}

fn json(value: &impl Serialize) -> Payload {
    full(serde_json::to_vec(value).expect("requests are plain data with text keys"))
}

/// A query as it stands behind the path, `?` included: what it names, and nothing of what it leaves out.
fn query_string(query: &impl Serialize) -> String {
    let value = serde_json::to_value(query).expect("a query is plain data");
    let pairs: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{key}={}", percent_encoded(&text))
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// A text in which only unreserved characters (RFC 3986, 2.3) stand for themselves.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{percent_encoded, query_string};
    use hob_core::name::AppName;
    use hob_core::wire::{LogQuery, TriggersQuery};

    #[test]
    fn a_query_names_only_what_is_asked() {
        let query =
            LogQuery { app: AppName::new("desk").ok(), tail: Some(5), follow: true, ..LogQuery::default() };
        assert_eq!(query_string(&query), "?app=desk&tail=5&follow=true");
        assert_eq!(query_string(&LogQuery::default()), "?follow=false");
        assert_eq!(query_string(&TriggersQuery::default()), "");
        assert_eq!(percent_encoded("a&b=é/1.0~"), "a%26b%3D%C3%A9%2F1.0~");
    }
}
