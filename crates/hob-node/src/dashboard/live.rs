//! What changes on an open page, as it changes (server-sent events, HTML Standard 9.2).
//!
//! **Why.** A person who watches must not have to reload, and the page must not need a second way to know
//! things.
//!
//! **How.** The browser names the page that it shows. That page is made again every
//! [`DASHBOARD_REFRESH`]; parts that have changed are sent as `part`, with their HTML. A list that grows
//! ([`Follow`]) is followed through the control API and its rows are sent as `rows`; the first of them
//! stand for all that the page has. Windows are counted; the stream ends with the session and the node.

use super::Page;
use super::form::Fields;
use super::visit::{Content, Follow, Visit};
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{DASHBOARD_REFRESH, DASHBOARD_ROWS_MAX};
use hob_runtime::body::Body;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

/// Where it is.
pub(super) const PATH: &str = "/live";
/// Messages that wait for a slow browser.
const MESSAGES_MAX: usize = 16;
/// How long rows are gathered, so that many of them are one message.
const GATHERED: Duration = Duration::from_millis(50);

type Sender = mpsc::Sender<Result<Bytes>>;

/// The stream for the page that `?at=` names.
///
/// # Errors
/// `HOB-0704` for a page that does not exist or never changes, and with status 503 when too many are
/// watched.
pub(super) fn stream(mut visit: Visit) -> Result<Response<Body>> {
    let at = visit.query.get("at").to_owned();
    let (path, query) = at.split_once('?').unwrap_or((&at, ""));
    let (page, parts) = Page::find(path)
        .ok_or_else(|| Fault::new(Code::ControlRequest, "there is no such page to watch").with_status(404))?;
    let place = Arc::clone(&visit.dashboard.streams).try_acquire_owned().map_err(|_| {
        Fault::new(Code::ControlRequest, "too many pages are watched already")
            .with_status(503)
            .hint("close some windows, or load the page again when you want to see more")
    })?;
    (visit.parts, visit.query, visit.at) = (parts, Fields::of(query), at.clone());
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    let tasks = Arc::clone(&visit.dashboard.tasks);
    tasks.start("dashboard stream", async move {
        tokio::select! {
            () = watch(visit, page, &sender) => {}
            () = sender.closed() => {}
        }
        drop(place);
    });
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let message: Result<Bytes> = receiver.recv().await?;
        Some((message.map(Frame::data), receiver))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// Watches a page until its session ends or the browser goes.
async fn watch(visit: Visit, page: &'static Page, sender: &Sender) {
    let mut known: HashMap<&'static str, String> = HashMap::new();
    let mut list: Option<List> = None;
    let mut first = true;
    loop {
        let again = tokio::time::Instant::now() + DASHBOARD_REFRESH;
        // A page that is open is no person who looks: a session that nobody uses ends all the same.
        if !visit.dashboard.is_signed_in(&visit.key, Instant::now()) {
            return;
        }
        match (page.show)(visit.clone()).await {
            Ok(content) => {
                if !tell_parts(&content, &mut known, sender).await {
                    return;
                }
                if std::mem::take(&mut first) {
                    list = open(&visit, content.follow).await;
                }
            }
            // What the page was about may be gone; it may also come back.
            Err(fault) => tracing::debug!(%fault, "a watched page cannot be made"),
        }
        while let Some(rows) = &mut list {
            let Ok(ended) = timeout_at(again, rows.gather()).await else { break };
            if !rows.tell(sender).await {
                return;
            }
            if ended {
                list = None;
            }
        }
        tokio::time::sleep_until(again).await;
    }
}

/// Sends the parts that have changed; false when the browser has gone.
async fn tell_parts(content: &Content, known: &mut HashMap<&'static str, String>, sender: &Sender) -> bool {
    for block in &content.blocks {
        let Some(id) = block.id else { continue };
        if known.get(id).is_some_and(|old| *old == block.html.0) {
            continue;
        }
        known.insert(id, block.html.0.clone());
        let data = serde_json::json!({ "id": id, "html": block.html.0 });
        if sender.send(Ok(message("part", &data.to_string()))).await.is_err() {
            return false;
        }
    }
    // A comment, so that the way of a silent page stays open.
    sender.send(Ok(Bytes::from_static(b":\n\n"))).await.is_ok()
}

async fn open(visit: &Visit, follow: Option<Follow>) -> Option<List> {
    let follow = follow?;
    match visit.api().open(&follow.path).await {
        Ok(body) => Some(List { follow, body, rows: Vec::new() }),
        Err(fault) => {
            tracing::debug!(%fault, "a list cannot be followed");
            None
        }
    }
}

/// A list that grows.
struct List {
    follow: Follow,
    body: Body,
    /// Rows that are not sent yet.
    rows: Vec<String>,
}

impl List {
    /// Waits for rows, until nothing comes for a moment; true when there will be no more. Whoever does not
    /// wait to the end loses none.
    async fn gather(&mut self) -> bool {
        while (self.rows.len() as u64) < DASHBOARD_ROWS_MAX {
            let frame = if self.rows.is_empty() {
                self.body.frame().await
            } else {
                match timeout(GATHERED, self.body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => return false,
                }
            };
            // Each line is one frame: that is how the control API writes them.
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(line))) => self.rows.extend((self.follow.row)(&line).map(|row| row.0)),
                Some(Ok(Err(_))) => {}
                Some(Err(_)) | None => return true,
            }
        }
        false
    }

    /// Sends them; false when the browser has gone.
    async fn tell(&mut self, sender: &Sender) -> bool {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return true;
        }
        let data = serde_json::json!({ "rows": rows });
        sender.send(Ok(message("rows", &data.to_string()))).await.is_ok()
    }
}

/// One event of the stream; JSON has no line ends of its own.
fn message(kind: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}
