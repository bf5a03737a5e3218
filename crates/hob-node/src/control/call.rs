//! The operation that forwards a request to a function, private ones too.

use super::serve::HOB_SPACE;
use super::{Ask, Control, Handled, Operation, Payload};
use crate::dispatcher::{self, Cause};
use hob_core::access::{Need, Scope};
use hob_core::fact::CallCause;
use hob_core::fault::Fault;
use hob_core::name::{AppName, FunctionName};
use http::Uri;
use http::header::AUTHORIZATION;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "functions.call",
    method: None,
    path: "/v1/apps/{app}/functions/{function}/call/{*path}",
    summary: "Forwards a request to a function of the current revision and answers as it does.",
    needs: Need::Space(Scope::Invoke),
    query: None,
    request: Payload::Any,
    response: Payload::Any,
    status: 200,
    handle: call,
}];

fn call(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (app, function) = (ask.part::<AppName>(0)?, ask.part::<FunctionName>(1)?);
        let place = control.bus.allowance().begin()?;
        let target = control.dispatcher.current(&app, &function)?;
        let (mut parts, body) = ask.request.into_parts();
        let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let path = ask.path.get(2).map_or("", String::as_str);
        parts.uri = Uri::try_from(format!("/{path}{query}")).map_err(Fault::internal)?;
        // They are the node's, and no function should ever see them.
        parts.headers.remove(AUTHORIZATION);
        parts.headers.remove(HOB_SPACE);
        let request = http::Request::from_parts(parts, body);
        Ok(dispatcher::call(target, Cause { place, ..Cause::of(CallCause::Control) }, request).await)
    })
}
