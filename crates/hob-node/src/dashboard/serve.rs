//! The dashboard's listener and the way of one request to a page or an action.

use super::action::{self, Done};
use super::api::Api;
use super::form::Fields;
use super::guard::{Guard, check_token, promise};
use super::visit::{Content, Visit};
use super::{Dashboard, Page, asset, layout, live};
use crate::aside::{Aside, Peer};
use crate::audit::{Action, Weight};
use crate::caller::{self, Caller, DASHBOARD};
use crate::clock::now_ms;
use crate::control::Control;
use crate::gateway::body::incoming;
use crate::identity;
use crate::listener::Listener;
use crate::per_space::PerSpace;
use crate::sign_in::SignIn;
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::DASHBOARD_H2_STREAMS_MAX;
use hob_core::name::SpaceName;
use hob_runtime::body::{self, Body};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use maud::{Markup, html};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What a dashboard is made of.
pub(crate) struct Parts {
    /// What pages ask.
    pub(crate) control: Arc<Control>,
    /// Who may come in.
    pub(crate) sign_in: Arc<SignIn>,
    /// Tokens that let in as a link does.
    pub(crate) tokens: Vec<String>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The certificate; `None`: plain HTTP, on this machine alone.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// The dashboards of all spaces, behind one listener.
pub(crate) struct Boards {
    each: Arc<PerSpace<Dashboard>>,
    guard: Guard,
    tls: Option<TlsAcceptor>,
}

impl Boards {
    /// That of `default`.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { control, sign_in, tokens, address, tls } = parts;
        let guard = Guard { address, secure: tls.is_some() };
        let default = Arc::new(Dashboard::new(control, sign_in, tokens, guard.clone()));
        Arc::new(Self { each: PerSpace::new(default), guard, tls })
    }

    /// From now on a space has a dashboard, with what its pages ask; `None`: it has none any more. Nobody gets in but by
    /// a link: the tokens of the control API are not one space's.
    pub(crate) fn show(&self, space: &SpaceName, control: Option<Arc<Control>>) {
        let made = control.and_then(|control| {
            let sign_in = Arc::clone(control.dashboard.as_ref()?);
            Some(Arc::new(Dashboard::new(control, sign_in, Vec::new(), self.guard.clone())))
        });
        self.each.show(space, made);
    }

    /// The dashboard that a request is for: where its session is, or the link that it comes by.
    fn of(&self, request: &Request<Incoming>) -> Arc<Dashboard> {
        let (now, fields) = (Instant::now(), Fields::of(request.uri().query().unwrap_or_default()));
        if let Some(code) = fields.some("code").filter(|_| request.uri().path() == "/sign-in") {
            return self.each.meant(|board| board.sign_in.knows(code, now));
        }
        match self.guard.key(request.headers()) {
            Some(key) => self.each.meant(|board| board.sign_in.visit(key, now).is_some()),
            None => Arc::clone(self.each.default()),
        }
    }
}

/// Begins to serve one listener until `closing`.
pub(crate) fn serve(boards: &Arc<Boards>, listener: Listener, closing: CancellationToken) {
    let tasks = Arc::clone(&boards.each.default().tasks);
    let tls = boards.tls.clone();
    let aside = Aside { name: "dashboard", tls, streams: DASHBOARD_H2_STREAMS_MAX, tasks, closing };
    let boards = Arc::clone(boards);
    aside.serve(listener, move |request, good| {
        let dashboard = boards.of(&request);
        async move {
            let mut response = answer(&dashboard, request, good).await;
            promise(&mut response, dashboard.guard.secure);
            response
        }
    });
}

/// Answers one request, whatever it is.
async fn answer(dashboard: &Arc<Dashboard>, request: Request<Incoming>, good: Result<()>) -> Response<Body> {
    let theme = dashboard.guard.theme(request.headers());
    if let Err(fault) = good.and_then(|()| dashboard.guard.check(request.method(), request.headers())) {
        return refuse(theme, &fault);
    }
    let path = request.uri().path();
    if path.starts_with(asset::FOLDER) {
        return asset::at(path).unwrap_or_else(|| refuse(theme, &nothing_there(path)));
    }
    if path == "/sign-in" {
        return sign_in(dashboard, request, theme).await;
    }
    match visit(dashboard, &request, theme) {
        Some(visit) => inside(visit, request).await,
        None if accepts_pages(&request) => door(dashboard, theme, None),
        None => refuse(theme, &Fault::new(Code::Unauthorized, "the dashboard asks to sign in")),
    }
}

/// The session of a request; `None` when there is none.
fn visit(
    dashboard: &Arc<Dashboard>,
    request: &Request<Incoming>,
    theme: Option<&'static str>,
) -> Option<Visit> {
    let key = dashboard.guard.key(request.headers())?;
    let (token, caller) = dashboard.sign_in.visit(key, Instant::now())?;
    if !dashboard.control.tokens.still_good(&caller) {
        dashboard.sign_in.leave(key);
        return None;
    }
    let at = request.uri().path_and_query().map_or("/", |at| at.as_str());
    Some(Visit {
        dashboard: Arc::clone(dashboard),
        api: Api::new(Arc::clone(&dashboard.control), caller),
        at: at.to_owned(),
        parts: Vec::new(),
        query: Fields::of(request.uri().query().unwrap_or_default()),
        key: key.to_owned(),
        token,
        theme,
    })
}

fn accepts_pages(request: &Request<Incoming>) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    request.method() == Method::GET && accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Answers somebody who is signed in.
async fn inside(mut visit: Visit, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    match *request.method() {
        Method::GET | Method::HEAD if path == live::PATH => match live::stream(visit.clone()) {
            Ok(response) => response,
            Err(fault) => refuse(visit.theme, &fault),
        },
        Method::GET | Method::HEAD => {
            let Some((page, parts)) = Page::find(&path) else {
                return shown(&visit, None, Err(nothing_there(&path)));
            };
            visit.parts = parts;
            let content = (page.show)(visit.clone()).await;
            shown(&visit, Some(page), content)
        }
        Method::POST => act(visit, &path, request).await,
        _ => {
            let fault = Fault::new(Code::ControlRequest, "the dashboard takes `GET` and `POST` alone");
            refuse(visit.theme, &fault.with_status(405))
        }
    }
}

async fn act(mut visit: Visit, path: &str, request: Request<Incoming>) -> Response<Body> {
    let fields = match Fields::read(incoming(request.into_body())).await {
        Ok(fields) => fields,
        Err(fault) => return refuse(visit.theme, &fault),
    };
    if let Err(fault) = check_token(fields.get("_token"), &visit.token) {
        return refuse(visit.theme, &fault);
    }
    let Some((action, parts)) = action::find(path) else {
        return shown(&visit, None, Err(nothing_there(path)));
    };
    visit.parts = parts;
    let guard = &visit.dashboard.guard;
    match (action.act)(visit.clone(), fields).await {
        Ok(Done::To(path, notice)) => {
            visit.dashboard.sign_in.tell(&visit.key, notice);
            redirect(&path)
        }
        Ok(Done::Theme(theme, path)) => with_cookie(redirect(&path), guard.set_theme(&theme)),
        Ok(Done::Left) => {
            visit.dashboard.sign_in.leave(&visit.key);
            with_cookie(door(&visit.dashboard, visit.theme, None), guard.set_key(""))
        }
        Ok(Done::Shown(content)) => {
            let page = Page::find(action.shows).map(|(page, _)| page);
            shown(&visit, page, Ok(content))
        }
        Err(fault) => shown(&visit, None, Err(fault)),
    }
}

/// A page, or what it says instead.
fn shown(visit: &Visit, page: Option<&Page>, content: Result<Content>) -> Response<Body> {
    let (status, content) = match content {
        Ok(content) => (StatusCode::OK, content),
        Err(fault) => {
            let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, layout::failure(&fault))
        }
    };
    let notice = visit.dashboard.sign_in.told(&visit.key);
    written(status, layout::page(visit, page, &content, notice.as_deref()))
}

fn written(status: StatusCode, markup: Markup) -> Response<Body> {
    let mut response = Response::new(body::full(markup.into_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// Sends the browser on, so that loading a page again repeats nothing.
fn redirect(path: &str) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    // A path of this site alone: `//host` would be another one.
    let path =
        if path.starts_with('/') && !path.starts_with("//") && !path.contains('\\') { path } else { "/" };
    let value = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, value);
    response
}

fn with_cookie(mut response: Response<Body>, cookie: HeaderValue) -> Response<Body> {
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// What somebody who is not let in is told.
fn refuse(theme: Option<&str>, fault: &Fault) -> Response<Body> {
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let inside = html! {
        p { (fault.message()) }
        @if let Some(hint) = fault.hint_text() { p { (hint) } }
        p class="muted" { code { (fault.code()) } }
    };
    written(status, layout::outside(theme, "Not here", None, &inside))
}

fn nothing_there(path: &str) -> Fault {
    let path = super::part::text::short(path, 100);
    Fault::new(Code::ControlRequest, format!("there is no page at `{path}`"))
        .with_status(404)
        .hint("the navigation lists the pages")
}

/// Signs in with a link's code or with the token of the control API.
async fn sign_in(
    dashboard: &Arc<Dashboard>,
    request: Request<Incoming>,
    theme: Option<&'static str>,
) -> Response<Body> {
    let (now, peer) = (Instant::now(), Peer::of(&request));
    let before = dashboard.guard.key(request.headers()).map(str::to_owned);
    let caller = match *request.method() {
        // Whoever only asks what is there must not use the link up.
        Method::GET => {
            let fields = Fields::of(request.uri().query().unwrap_or_default());
            match fields.some("code") {
                Some(code) => dashboard.sign_in.redeem(code, peer.to_string(), now).ok_or_else(no_good),
                None => return door(dashboard, theme, None),
            }
        }
        Method::POST => match Fields::read(incoming(request.into_body())).await {
            Ok(fields) => {
                let given = Some(fields.get("token").trim());
                dashboard.control.tokens.judge(given, &dashboard.tokens, peer.0, DASHBOARD)
            }
            Err(fault) => return refuse(theme, &fault),
        },
        _ => Err(no_good()),
    };
    match dashboard.admit(caller, peer).await {
        // Not a redirect: a browser that comes from another site sends no strict cookie along with it.
        Ok(caller) => {
            // Whoever has seen the key of before has not seen this one.
            before.into_iter().for_each(|key| dashboard.sign_in.leave(&key));
            let key = dashboard.sign_in.open(caller, now);
            let inside = html! { p { a href="/" { "Go on to the dashboard" } } };
            let page = written(StatusCode::OK, layout::outside(theme, "Signed in", Some("/"), &inside));
            with_cookie(page, dashboard.guard.set_key(&key))
        }
        Err(fault) if fault.code() == Code::Unauthorized => door(dashboard, theme, Some(NO_GOOD)),
        Err(fault) => refuse(theme, &fault),
    }
}

/// What whoever shows a link or a token that is not good is told.
const NO_GOOD: &str = "That link or token is not good, or not any more.";

fn no_good() -> Fault {
    Fault::new(Code::Unauthorized, NO_GOOD)
}

impl Dashboard {
    /// Lets somebody in who is known and may look, and writes down who comes or is refused.
    ///
    /// # Errors
    /// The fault with which he came, `HOB-0722` for one who may not look, `HOB-0726` when it cannot be written down.
    async fn admit(&self, caller: Result<Caller>, peer: Peer) -> Result<Caller> {
        let audit = &self.control.audit;
        let (operation, id) = ("dashboard.sign-in", identity::invocation().to_string());
        let space = self.control.space();
        let may = |caller: &Caller| caller.principal.may(Need::Space(Scope::Read), &space, now_ms());
        match caller.and_then(|caller| may(&caller).map(|()| caller)) {
            Ok(caller) => {
                let act = caller.act(operation, None, space);
                Action::begin(audit, act, id, Weight::Watched).await?.end(None).await?;
                Ok(caller)
            }
            Err(fault) => {
                let act = caller::stranger(peer.to_string(), DASHBOARD, operation, None, space);
                Action::begin(audit, act, id, Weight::Look).await?.end(Some(&fault)).await?;
                Err(fault)
            }
        }
    }
}

/// What somebody sees who is not signed in.
fn door(dashboard: &Dashboard, theme: Option<&str>, problem: Option<&str>) -> Response<Body> {
    let inside = html! {
        @if let Some(problem) = problem { p class="notice bad" role="alert" { (problem) } }
        p { "Run this where the node runs, and open the link that it prints:" }
        pre class="command" { code { "hob dashboard" } }
        p class="muted" { "A link works once, for five minutes. " code { "hob run" } " and " code { "hob dev" }
            " print one that works as long as they run." }
        @if !dashboard.tokens.is_empty() {
            form method="post" action="/sign-in" {
                label for="token" { "Or the token of the control API" }
                input id="token" type="password" name="token" autocomplete="current-password" required;
                button type="submit" { "Sign in" }
            }
        }
    };
    written(StatusCode::UNAUTHORIZED, layout::outside(theme, "Sign in", None, &inside))
}
