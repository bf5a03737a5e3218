//! The operation that lets a person into the dashboard.

use super::{Ask, Control, Handled, Operation, Payload, json, query};
use crate::clock;
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::DASHBOARD_LINK_TIMEOUT;
use hob_core::unit::millis;
use hob_core::wire::{DashboardLink, DashboardLinkQuery};
use http::StatusCode;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "dashboard.link",
    method: Some("POST"),
    path: "/v1/dashboard/links",
    summary: "Makes a link that signs a browser in to the dashboard, once, with the rights of whoever asks for it.",
    needs: Need::Space(Scope::Read),
    query: Some(<DashboardLinkQuery as schemars::JsonSchema>::json_schema),
    request: Payload::None,
    response: Payload::Json(|schemas| schemas.subschema_for::<DashboardLink>()),
    status: 201,
    handle: link,
}];

fn link(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let sign_in = control.dashboard.as_ref().ok_or_else(|| {
            Fault::new(Code::DashboardOff, "the node has no dashboard")
                .hint("start it with `hob serve --dashboard 127.0.0.1:8081`")
        })?;
        let DashboardLinkQuery { read_only } = query::read(ask.request.uri())?;
        let mut caller = ask.caller;
        if read_only {
            caller.principal = caller.principal.read_only();
        }
        let expires_ms = clock::now_ms() + millis(DASHBOARD_LINK_TIMEOUT);
        let url = sign_in.link(caller, std::time::Instant::now());
        json(StatusCode::CREATED, &DashboardLink { url, expires_ms })
    })
}
