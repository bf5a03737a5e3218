//! One function: how long it starts and answers, its last calls, its settings, and a box to try it.

use super::app::function_settings;
use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::form::Fields;
use crate::dashboard::part::histogram::picture;
use crate::dashboard::part::text::{count, cut, none, plain, took};
use crate::dashboard::part::{mark, row};
use crate::dashboard::visit::{Content, Visit};
use hob_core::code::Code;
use hob_core::fact::{Fact, What};
use hob_core::fault::{Fault, Result};
use hob_core::limit::DASHBOARD_SHOWN_BYTES_MAX;
use hob_core::name::{AppName, FunctionName};
use hob_core::wire::{AppInfo, FactsQuery, FunctionInfo, Revision, Verdict};
use hob_runtime::body;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use maud::{Markup, html};
use std::time::Instant;

/// Calls from which the pictures are made.
const CALLS: u64 = 2000;
/// Calls that are listed.
const LISTED: usize = 20;
/// Methods that a test call may have.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move { page(&visit, None).await })
}

async fn page(visit: &Visit, tried: Option<(&Fields, Markup)>) -> Result<Content> {
    let (app, name): (AppName, FunctionName) = (visit.name(0)?, visit.name(1)?);
    let info: AppInfo = visit.api().get(&format!("/v1/apps/{app}")).await?;
    let revision: Revision = visit.api().get(&format!("/v1/apps/{app}/revisions/{}", info.current)).await?;
    let function = info.functions.iter().find(|function| function.function == name);
    let (Some(function), Some(spec)) = (function, revision.spec.functions.get(&name)) else {
        return Err(Fault::new(Code::FunctionNotFound, format!("app `{app}` has no function `{name}`"))
            .hint("the app's page lists its functions"));
    };
    let query = FactsQuery {
        app: Some(app.clone()),
        function: Some(name.clone()),
        kind: Some("call".to_owned()),
        limit: Some(CALLS),
        ..FactsQuery::default()
    };
    let facts = visit.api().facts(&query).await?;
    let (fields, result) = tried.map_or_else(|| (None, html! {}), |(fields, result)| (Some(fields), result));
    Ok(Content::new(format!("{app}/{name}"))
        .below("/apps", "Apps")
        .below(join(&["apps", app.as_str()]), app.as_str())
        .live("now", now(function))
        .live("times", times(&facts))
        .still(try_it(visit, &app, &name, function, fields, &result))
        .live("calls", calls(&facts))
        .still(html! {
            section aria-labelledby="settings-head" { h2 id="settings-head" { "Settings" } (function_settings(spec)) }
            p class="foot" { a href={ "/logs?app=" (app) "&function=" (name) } { "Logs" } " · "
                a href={ "/requests?app=" (app) "&function=" (name) } { "Requests" } " · "
                a href={ "/why?function=" (app) "/" (name) } { "Why?" } }
        }))
}

fn now(function: &FunctionInfo) -> Markup {
    html! {
        dl class="tiles" {
            div { dt { "Instances" } dd { (function.instances) } }
            div { dt { "Running" } dd { (function.running) } }
            div { dt { "Waiting" } dd { (function.waiting) } }
            div { dt { "Calls" } dd { (count(function.calls)) } }
            div class=[(function.failures > 0).then_some("bad")] { dt { "Failed" } dd { (count(function.failures)) } }
            div { dt { "Starts" } dd { (count(function.starts)) } }
        }
    }
}

fn times(facts: &[Fact]) -> Markup {
    let calls =
        || facts.iter().filter_map(|fact| if let What::Call(call) = &fact.what { Some(call) } else { None });
    let starts = calls().filter(|call| call.cold).map(|call| call.times.start_us).collect();
    let answers = calls().map(|call| call.times.total_us).collect();
    html! {
        section aria-labelledby="times-head" {
            h2 id="times-head" { "How long it takes" }
            div class="pair" {
                (picture("Calls", answers, "No call is kept."))
                (picture("Starts of an instance for a call", starts, "No call had to wait for a start."))
            }
        }
    }
}

fn calls(facts: &[Fact]) -> Markup {
    let rows: Vec<Markup> = facts.iter().rev().filter_map(row::request).take(LISTED).collect();
    html! {
        section aria-labelledby="calls-head" {
            h2 id="calls-head" { "Recent calls" }
            @if rows.is_empty() { p class="muted" { "None is kept." } } @else {
                div class="scroll" tabindex="0" role="region" aria-label="Recent calls" {
                    table { caption class="hidden" { "Recent calls" } (row::request_head()) tbody { @for row in rows { (row) } } }
                }
            }
        }
    }
}

fn try_it(
    visit: &Visit,
    app: &AppName,
    name: &FunctionName,
    function: &FunctionInfo,
    fields: Option<&Fields>,
    result: &Markup,
) -> Markup {
    let given = |field: &str, other: &'static str| fields.map_or(other, |all| all.get(field)).to_owned();
    let method = given("method", if function.contract == "stdio" { "POST" } else { "GET" });
    html! {
        section aria-labelledby="try" {
            h2 id="try" { "Try it" }
            form class="try" method="post" action=(join(&["apps", app.as_str(), "functions", name.as_str(), "call"]))
                data-inline="result" {
                (visit.hidden())
                div class="row" {
                    label for="method" class="hidden" { "Method" }
                    select id="method" name="method" {
                        @for one in METHODS { option selected[one == method] { (one) } }
                    }
                    label for="path" class="hidden" { "Path" }
                    input id="path" name="path" value=(given("path", "/")) required spellcheck="false";
                    button type="submit" { "Call" }
                }
                div class="pair" {
                    div { label for="headers" { "Headers, one on a line" }
                        textarea id="headers" name="headers" rows="4" spellcheck="false"
                            placeholder="content-type: application/json" { (given("headers", "")) } }
                    div { label for="body" { "Body" }
                        textarea id="body" name="body" rows="4" spellcheck="false" { (given("body", "")) } }
                }
            }
            div id="result" aria-live="polite" { (result) }
        }
    }
}

/// The page with the answer to a test call.
///
/// # Errors
/// `HOB-0704` for a request that cannot be written; what the function does wrong is its answer.
pub(in crate::dashboard) async fn tried(visit: Visit, fields: &Fields) -> Result<Content> {
    let path = fields.get("path").trim();
    if !path.starts_with('/') {
        return Err(refuse("a path begins with `/`"));
    }
    let place = join(&["apps", visit.part(0), "functions", visit.part(1), "call"]);
    let method =
        Method::from_bytes(fields.get("method").as_bytes()).map_err(|_| refuse("that is no method"))?;
    let mut request = Request::new(body::full(fields.get("body").to_owned()));
    *request.method_mut() = method;
    *request.uri_mut() = format!("/v1{place}{path}")
        .parse()
        .map_err(|_| refuse("write blanks and other signs in the path as `%20`"))?;
    for line in fields.get("headers").lines().filter(|line| !line.trim().is_empty()) {
        let pair = line.split_once(':').and_then(|(name, value)| {
            Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
        });
        let (name, value) = pair.ok_or_else(|| refuse("a header is written `name: value`"))?;
        request.headers_mut().append(name, value);
    }
    request.headers_mut().entry(http::header::HOST).or_insert(HeaderValue::from_static("localhost"));
    let began = Instant::now();
    let response = visit.api().send(request).await?;
    let head_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let result = answer(response, began, head_us).await;
    page(&visit, Some((fields, result))).await
}

async fn answer(response: Response<body::Body>, began: Instant, head_us: u64) -> Markup {
    let (head, sent) = response.into_parts();
    let collected = Limited::new(sent, DASHBOARD_SHOWN_BYTES_MAX).collect().await;
    let whole_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let text = match collected {
        Ok(bytes) => match String::from_utf8(bytes.to_bytes().to_vec()) {
            Ok(text) => cut(&plain(&text)).into_owned(),
            Err(error) => format!("{} bytes that are no text", error.as_bytes().len()),
        },
        Err(error) => format!("The body is not shown: {error}"),
    };
    let verdict = match head.status.as_u16() {
        500.. => Verdict::Bad,
        400..500 => Verdict::Skipped,
        _ => Verdict::Good,
    };
    let id = head.headers.get("hob-invocation-id").and_then(|id| id.to_str().ok());
    html! {
        h3 { "Answer " (mark::mark(verdict, &head.status.to_string())) }
        dl class="facts" {
            div { dt { "Head after" } dd { (took(head_us)) } }
            div { dt { "Whole after" } dd { (took(whole_us)) } }
            div { dt { "Call" } dd { @if let Some(id) = id { a href=(join(&["requests", id])) { code { (id) } } } @else { (none()) } } }
        }
        table {
            caption class="hidden" { "Headers" }
            thead class="hidden" { tr { th scope="col" { "Header" } th scope="col" { "Value" } } }
            tbody {
                @for (name, value) in &head.headers {
                    tr { th scope="row" { code { (name) } } td class="text" { (plain(&String::from_utf8_lossy(value.as_bytes()))) } }
                }
            }
        }
        pre class="data" tabindex="0" aria-label="Body" { (text) }
    }
}

fn refuse(why: &str) -> Fault {
    Fault::new(Code::ControlRequest, format!("the test call cannot be sent: {why}"))
        .hint("go back and change it")
}
