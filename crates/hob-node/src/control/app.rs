//! Operations on apps: list, deploy, roll back, remove.

use super::stream::{self, Lines};
use super::{Ask, Control, Handled, Operation, Payload, json, nothing};
use crate::audit::Action;
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, RevisionNumber};
use hob_core::spec::AppSpec;
use hob_core::wire::{AppInfo, DeployEvent, Deployed, Revision, RollbackRequest};
use http::StatusCode;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "apps.list",
        method: Some("GET"),
        path: "/v1/apps",
        summary: "Lists every app, by name.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<AppInfo>>()),
        status: 200,
        handle: list,
    },
    Operation {
        id: "apps.get",
        method: Some("GET"),
        path: "/v1/apps/{app}",
        summary: "Shows one app.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<AppInfo>()),
        status: 200,
        handle: get,
    },
    Operation {
        id: "apps.remove",
        method: Some("DELETE"),
        path: "/v1/apps/{app}",
        summary: "Removes an app with all its revisions; running calls finish.",
        needs: Need::Space(Scope::Deploy),
        query: None,
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: remove,
    },
    Operation {
        id: "apps.deploy",
        method: Some("POST"),
        path: "/v1/apps/{app}/revisions",
        summary: "Makes a revision of the app and switches to it, or changes nothing.",
        needs: Need::Space(Scope::Deploy),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<AppSpec>()),
        response: Payload::Lines(|schemas| schemas.subschema_for::<DeployEvent>()),
        status: 200,
        handle: deploy,
    },
    Operation {
        id: "apps.revision",
        method: Some("GET"),
        path: "/v1/apps/{app}/revisions/{revision}",
        summary: "Shows one kept revision as it was deployed.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Revision>()),
        status: 200,
        handle: revision,
    },
    Operation {
        id: "apps.rollback",
        method: Some("POST"),
        path: "/v1/apps/{app}/rollback",
        summary: "Switches to the revision before, or to a chosen one.",
        needs: Need::Space(Scope::Deploy),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<RollbackRequest>()),
        response: Payload::Lines(|schemas| schemas.subschema_for::<DeployEvent>()),
        status: 200,
        handle: rollback,
    },
];

fn list(control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &control.apps.list()) })
}

fn get(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &control.apps.get(&ask.part::<AppName>(0)?)?) })
}

fn remove(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        control.apps.remove(&ask.part::<AppName>(0)?).await?;
        Ok(nothing())
    })
}

fn revision(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let number = ask.path.get(1).and_then(|text| text.parse().ok()).map(RevisionNumber);
        let number = number.ok_or_else(|| {
            Fault::new(Code::ControlRequest, "a revision is a number").hint("write for example `3`")
        })?;
        json(StatusCode::OK, &control.apps.revision(&ask.part::<AppName>(0)?, number)?)
    })
}

fn deploy(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (app, action) = (ask.part::<AppName>(0)?, ask.action.clone());
        let spec: AppSpec = ask.json().await?;
        if spec.app != app {
            let what = format!("the body describes app `{}`, the path names `{app}`", spec.app);
            return Err(Fault::new(Code::ControlRequest, what).hint("use the same name in both"));
        }
        let (lines, response) = stream::lines();
        let apps = Arc::clone(&control.apps);
        let report = lines.clone();
        let report = Arc::new(move |event: DeployEvent| report.offer(&event));
        let action = action.later();
        control.tasks.start("deploy", async move {
            finish(lines, action, apps.deploy(spec, report).await).await;
        });
        Ok(response)
    })
}

fn rollback(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (app, action) = (ask.part::<AppName>(0)?, ask.action.clone());
        let RollbackRequest { to } = ask.json().await?;
        let (lines, response) = stream::lines();
        let apps = Arc::clone(&control.apps);
        let report = lines.clone();
        let report = Arc::new(move |event: DeployEvent| report.offer(&event));
        let action = action.later();
        control.tasks.start("rollback", async move {
            finish(lines, action, apps.rollback(&app, to, report).await).await;
        });
        Ok(response)
    })
}

/// The last line of a change.
async fn finish(lines: Lines, action: Action, result: Result<Deployed>) {
    let told = match &result {
        Ok(deployed) if !deployed.changed => action.changed_nothing().await,
        _ => action.end(result.as_ref().err()).await,
    };
    let event = match told.and(result) {
        Ok(deployed) => DeployEvent::Done(deployed),
        Err(fault) => {
            if fault.code() == Code::Internal {
                tracing::error!(%fault, "a deploy or rollback fails");
            } else {
                tracing::info!(%fault, "a deploy or rollback is refused");
            }
            DeployEvent::Failed(fault.to_wire(None))
        }
    };
    // The client may have gone; the change is made or refused all the same.
    lines.send(&event).await;
}
