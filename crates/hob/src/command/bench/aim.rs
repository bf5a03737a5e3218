//! Where the calls of a load test go: to the gateway by the function's address, or through the control API.

use super::super::call::{self, Target as Named, target};
use crate::client::Client;
use crate::load::Target;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::near::nearest;
use hob_core::route::{Match, Pattern, Table};
use hob_core::spec::AppSpec;
use hob_core::wire::AppInfo;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

/// What a person asked for.
pub(super) struct Wish<'a> {
    pub(super) target: &'a str,
    pub(super) path: Option<&'a str>,
    pub(super) method: &'a Method,
    pub(super) headers: &'a [(HeaderName, HeaderValue)],
    pub(super) compare: Option<(RevisionNumber, RevisionNumber)>,
}

/// Where calls go.
#[derive(Debug)]
pub(super) struct Aim {
    /// What is measured, for the title.
    pub(super) what: String,
    /// The function, where one is named.
    pub(super) function: Option<(AppName, FunctionName)>,
    /// One target, or two revisions.
    pub(super) targets: Vec<Target>,
    /// The address of each.
    pub(super) urls: Vec<String>,
    /// The revision of each, where they are compared.
    pub(super) revisions: Vec<RevisionNumber>,
    /// Something that a person should know.
    pub(super) note: Option<String>,
}

/// Finds it.
///
/// # Errors
/// `HOB-0351`, `HOB-0352` and `HOB-0353` for what does not exist, with the nearest name; `HOB-0111` for what cannot
/// be measured so.
pub(super) async fn find(client: &Client, wish: &Wish<'_>) -> Result<Aim> {
    let (app, function, path) = match target(wish.target)? {
        Named::Function(app, function, path) => (app, function, path),
        Named::Gateway(path) => {
            let url: Uri = client.node().await?.url.parse().map_err(Fault::internal)?;
            return bare(wish, &url, &path);
        }
        Named::Url(url) => return bare(wish, &url, url.path_and_query().map_or("/", |path| path.as_str())),
    };
    let info = app_of(client, &app).await?;
    let found = info.functions.iter().find(|known| known.function == function);
    let found = found.ok_or_else(|| no_function(&info, &function))?;
    let path = wish.path.map_or(path, str::to_owned);
    let node = client.node().await?;
    if let Some((old, new)) = wish.compare {
        let gateway = open_gateway(&node.url)?;
        let (mut targets, mut urls) = (Vec::new(), Vec::new());
        for number in [old, new] {
            let revision = client.revision(&app, number).await?;
            let host = format!("rev-{number}--{app}.{}", node.domain);
            let given = wish.path.is_some() || path != "/";
            let path = route(&revision.spec, &function, wish.method, &host, given.then_some(&*path))?;
            let authority = gateway.port_u16().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
            targets.push(gate(wish, &gateway, &authority, &path)?);
            urls.push(format!("http://{authority}{path}"));
        }
        let (what, revisions) = (format!("{app}/{function}"), vec![old, new]);
        return Ok(Aim { what, function: Some((app, function)), targets, urls, revisions, note: None });
    }
    let what = format!("{app}/{function}");
    let address = found.url.as_deref().and_then(|url| url.parse::<Uri>().ok());
    let open = address.filter(|url| url.scheme_str() == Some("http"));
    let (one, url, note) = match open {
        Some(url) => {
            let gateway = open_gateway(&node.url)?;
            let authority = url.authority().map_or("localhost", |authority| authority.as_str()).to_owned();
            (gate(wish, &gateway, &authority, &path)?, format!("http://{authority}{path}"), None)
        }
        None => {
            let why = if found.url.is_none() { "is private" } else { "is behind TLS" };
            let note = format!(
                "`{what}` {why}: its calls go through the control API, which does not say where time goes"
            );
            let (door, url) = door(client, wish, &format!("/v1/apps/{app}/functions/{function}/call{path}"))?;
            (door, url, Some(note))
        }
    };
    let function = Some((app, function));
    Ok(Aim { what, function, targets: vec![one], urls: vec![url], revisions: Vec::new(), note })
}

/// A path or URL that the gateway routes.
fn bare(wish: &Wish<'_>, url: &Uri, path: &str) -> Result<Aim> {
    if wish.compare.is_some() {
        return Err(Fault::new(Code::Usage, format!("`{}` names no function to compare", wish.target))
            .hint("write `APP/FUNCTION --compare 3,4`"));
    }
    let path = wish.path.unwrap_or(path);
    let authority = url.authority().map_or("localhost", |authority| authority.as_str());
    let gateway = open_gateway(&url.to_string())?;
    let address = format!("http://{authority}{path}");
    Ok(Aim {
        what: address.clone(),
        function: None,
        targets: vec![gate(wish, &gateway, authority, path)?],
        urls: vec![address],
        revisions: Vec::new(),
        note: None,
    })
}

/// The gateway's address, if it can be called without TLS.
fn open_gateway(url: &str) -> Result<Uri> {
    let uri: Uri = url.parse().map_err(Fault::internal)?;
    if uri.scheme_str() == Some("https") {
        return Err(Fault::new(Code::Usage, format!("`{url}` needs TLS, which `hob bench` does not speak"))
            .hint("name a function, `APP/FUNCTION`: that goes through the control API"));
    }
    Ok(uri)
}

/// A target behind the gateway.
fn gate(wish: &Wish<'_>, gateway: &Uri, authority: &str, path: &str) -> Result<Target> {
    let host = HeaderValue::from_str(authority).map_err(Fault::internal)?;
    Ok(Target {
        endpoint: call::endpoint(gateway),
        path: uri(path)?,
        headers: headers(wish, host, HeaderMap::new()),
    })
}

/// A target behind the control API, and its address.
fn door(client: &Client, wish: &Wish<'_>, path: &str) -> Result<(Target, String)> {
    let (endpoint, own) = client.door()?;
    let host = HeaderValue::from_str(endpoint.host()).map_err(Fault::internal)?;
    let url = format!("{endpoint}{path}");
    Ok((Target { path: uri(path)?, headers: headers(wish, host, own), endpoint }, url))
}

fn headers(wish: &Wish<'_>, host: HeaderValue, own: HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, host);
    // One that is given wins over what is usual, and one that is given twice is sent twice.
    for (name, _) in wish.headers {
        headers.remove(name);
    }
    for (name, value) in wish.headers {
        headers.append(name, value.clone());
    }
    headers.extend(own);
    headers
}

fn uri(path: &str) -> Result<Uri> {
    let valid = path.parse().ok().filter(|_| path.starts_with('/'));
    valid.ok_or_else(|| {
        Fault::new(Code::Usage, format!("`{path}` is not a valid path"))
            .hint("begin it with `/`, and encode blanks as `%20`")
    })
}

/// The app, or the nearest name in the hint.
async fn app_of(client: &Client, app: &AppName) -> Result<AppInfo> {
    match client.app(app).await {
        Err(fault) if fault.code() == Code::AppNotFound => {
            let apps = client.apps().await?;
            let near = nearest(app.as_str(), apps.iter().map(|info| info.app.as_str()));
            Err(near
                .map_or_else(|| fault.clone(), |near| fault.clone().hint(format!("did you mean `{near}`?"))))
        }
        other => other,
    }
}

fn no_function(info: &AppInfo, function: &FunctionName) -> Fault {
    let fault =
        Fault::new(Code::FunctionNotFound, format!("app `{}` has no function `{function}`", info.app));
    match nearest(function.as_str(), info.functions.iter().map(|known| known.function.as_str())) {
        Some(near) => fault.hint(format!("did you mean `{}/{near}`?", info.app)),
        None => fault.hint(format!("`hob show {}` lists its functions", info.app)),
    }
}

/// A path by which a revision's address leads to the function: the one that was given, or that of its first
/// route.
fn route(
    spec: &AppSpec,
    function: &FunctionName,
    method: &Method,
    host: &str,
    given: Option<&str>,
) -> Result<String> {
    let table = Table::new(&spec.routes, &spec.triggers.event_routes)?;
    let leads = |path: &str| {
        let plain = path.split('?').next().unwrap_or(path);
        let found = table.find(method.as_str(), host, false, plain);
        matches!(found, Match::Function { function: found, .. } if found == function)
    };
    let of_function = spec.routes.iter().filter(|route| route.function == *function);
    let examples = of_function.filter_map(|route| Some(example(&Pattern::parse(&route.route).ok()?.path)));
    let found = match given {
        Some(path) => Some(path.to_owned()).filter(|path| leads(path)),
        None => examples.into_iter().find(|path| leads(path)),
    };
    found.ok_or_else(|| {
        let by = given.map_or_else(|| format!("`{method}`"), |path| format!("`{method} {path}`"));
        Fault::new(Code::RouteNotFound, format!("no route leads to `{function}` by {by} at `{host}`"))
            .hint("revisions are compared by their own addresses, where routes decide; name a path that has one with `--path`")
    })
}

/// A path that the pattern of a route matches.
fn example(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| match segment {
        "*" => "",
        name if name.starts_with('{') => "1",
        text => text,
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::{example, route, uri};
    use hob_core::name::{AppName, FunctionName};
    use hob_core::spec::{AppSpec, RouteSpec};
    use http::Method;

    #[test]
    fn a_revision_is_asked_by_a_route_that_leads_to_the_function() {
        let name = |text: &str| FunctionName::new(text).unwrap();
        let routes = [
            ("/price/{id}", "price"),
            ("POST /orders", "order"),
            ("/files/*", "files"),
            ("/price/1", "files"),
        ];
        let routes = routes
            .iter()
            .map(|(route, function)| RouteSpec { route: (*route).to_owned(), function: name(function) });
        let spec = AppSpec {
            app: AppName::new("shop").unwrap(),
            functions: Default::default(),
            routes: routes.collect(),
            triggers: Default::default(),
            watch: Default::default(),
        };
        for (function, method, given, expected) in [
            ("order", Method::POST, None, Some("/orders")),
            ("order", Method::GET, None, None),
            ("files", Method::GET, None, Some("/files/")),
            // Another route takes the example of this one.
            ("price", Method::GET, None, None),
            ("price", Method::GET, Some("/price/2?a=b"), Some("/price/2?a=b")),
            ("price", Method::GET, Some("/files/2"), None),
            ("other", Method::GET, None, None),
        ] {
            let found = route(&spec, &name(function), &method, "rev-1--shop.localhost", given);
            assert_eq!(found.ok().as_deref(), expected, "{function} {method} {given:?}");
        }
        assert_eq!(example("/a/{b}/*"), "/a/1/");
        assert!(uri("/a?b=c").is_ok() && uri("a").is_err() && uri("/a b").is_err());
    }
}
