//! Operations on spaces: the caller's own, and all of them for the node's operator.
//!
//! **How.** What a caller may reach of other spaces is a [`Keeper`], which the server hands over with a request of the
//! operator and with no other ([`Ask::keeper`]): who is bound to a space holds nothing that leads out of it.

use super::{Ask, Control, Handled, Operation, Payload, json, nothing, query};
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::SpaceName;
use hob_core::port::BoxFuture;
use hob_core::space::{Quotas, RESOURCES, Resource};
use hob_core::wire::{QuotasRequest, SpaceInfo, SpaceRemoveQuery, SpaceRequest, SpaceState, Use};
use http::StatusCode;
use schemars::JsonSchema as _;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "space.get",
        method: Some("GET"),
        path: "/v1/space",
        summary: "Shows the caller's own space: what it has and may have.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<SpaceInfo>()),
        status: 200,
        handle: own,
    },
    Operation {
        id: "spaces.list",
        method: Some("GET"),
        path: "/v1/spaces",
        summary: "Lists every space, for the node's operator.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<SpaceInfo>>()),
        status: 200,
        handle: list,
    },
    Operation {
        id: "spaces.create",
        method: Some("POST"),
        path: "/v1/spaces",
        summary: "Makes a space, for the node's operator.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<SpaceRequest>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<SpaceInfo>()),
        status: 201,
        handle: create,
    },
    Operation {
        id: "spaces.get",
        method: Some("GET"),
        path: "/v1/spaces/{space}",
        summary: "Shows a space, for the node's operator.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<SpaceInfo>()),
        status: 200,
        handle: get,
    },
    Operation {
        id: "spaces.set",
        method: Some("PATCH"),
        path: "/v1/spaces/{space}",
        summary: "Changes what a space may have, for the node's operator.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<QuotasRequest>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<SpaceInfo>()),
        status: 200,
        handle: set,
    },
    Operation {
        id: "spaces.remove",
        method: Some("DELETE"),
        path: "/v1/spaces/{space}",
        summary: "Removes a space, and what is in it if that is asked for, for the node's operator.",
        needs: Need::Node(Scope::Admin),
        query: Some(SpaceRemoveQuery::json_schema),
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: remove,
    },
];

/// Who keeps a node's spaces.
pub(crate) trait Keeper: Send + Sync {
    /// The control of a space's own objects.
    ///
    /// # Errors
    /// `HOB-0708` when there is no such space, `HOB-0715` for one that could not be opened.
    fn control(&self, space: &SpaceName) -> Result<Arc<Control>>;

    /// Whether there is such a space, served or not.
    ///
    /// # Errors
    /// `HOB-0708`.
    fn known(&self, space: &SpaceName) -> Result<()>;

    /// The name of every space, served or not.
    fn names(&self) -> Vec<SpaceName>;

    /// The control of every space that is served, `default` first, then by name.
    fn open(&self) -> Vec<Arc<Control>>;

    /// Every space, `default` first, then by name.
    fn list(&self) -> BoxFuture<'_, Result<Vec<SpaceInfo>>>;

    /// One space.
    ///
    /// # Errors
    /// `HOB-0708` when there is no such space.
    fn get(&self, space: SpaceName) -> BoxFuture<'_, Result<SpaceInfo>>;

    /// Makes a space, whole or not at all.
    ///
    /// # Errors
    /// `HOB-0709` when there is one of that name, `HOB-0109` above the limit of a node, and those of its store.
    fn create(&self, space: SpaceName, quotas: Quotas) -> BoxFuture<'_, Result<SpaceInfo>>;

    /// Changes what a space may have.
    ///
    /// # Errors
    /// `HOB-0708` when there is no such space, `HOB-06xx` when it cannot be stored.
    fn set(&self, space: SpaceName, quotas: Quotas) -> BoxFuture<'_, Result<SpaceInfo>>;

    /// Removes a space.
    ///
    /// # Errors
    /// `HOB-0708` when there is no such space, `HOB-0710` when something is in it that is not to go with it,
    /// `HOB-0711` for `default`.
    fn remove(&self, space: SpaceName, with_content: bool) -> BoxFuture<'_, Result<()>>;
}

impl Ask {
    /// Who keeps all spaces, if the caller is the node's operator.
    ///
    /// # Errors
    /// `HOB-0711`.
    pub(super) fn keeper(&self) -> Result<Arc<dyn Keeper>> {
        self.keeper.clone().ok_or_else(|| {
            Fault::new(
                Code::SpaceForbidden,
                "spaces are made, changed, listed and measured together by the node's operator alone",
            )
            .hint("use the node's own socket or token; `hob space show` without a name shows your own space")
        })
    }
}

/// What a space has and may have.
///
/// # Errors
/// `HOB-06xx` when what is stored cannot be measured.
pub(crate) async fn describe(control: &Control) -> Result<SpaceInfo> {
    let allowance = control.bus.allowance();
    let (quotas, mut use_of) = (allowance.quotas(), BTreeMap::new());
    for row in RESOURCES {
        let used = match allowance.used(row.resource).await? {
            Some(used) => used,
            None => counted(control, row.resource).await?,
        };
        use_of.insert(row.resource, Use { used, limit: quotas.limit(row.resource) });
    }
    Ok(SpaceInfo {
        space: allowance.space().clone(),
        state: SpaceState::Ready,
        created_ms: allowance.created_ms(),
        domain: control.node.domain.clone(),
        use_of,
    })
}

async fn counted(control: &Control, resource: Resource) -> Result<u64> {
    let table = Arc::clone(&control.live.load());
    Ok(match resource {
        Resource::Apps => table.apps().values().count() as u64,
        Resource::Functions => table.apps().values().map(|app| app.current.spec.functions.len() as u64).sum(),
        _ => control.bus.topics_begun().await?,
    })
}

fn own(control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &describe(&control).await?) })
}

fn list(_: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &ask.keeper()?.list().await?) })
}

fn get(_: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &ask.keeper()?.get(ask.part(0)?).await?) })
}

fn create(_: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let keeper = ask.keeper()?;
        let SpaceRequest { space, quotas } = ask.json().await?;
        json(StatusCode::CREATED, &keeper.create(space, quotas).await?)
    })
}

fn set(_: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (keeper, space) = (ask.keeper()?, ask.part(0)?);
        let QuotasRequest { quotas } = ask.json().await?;
        json(StatusCode::OK, &keeper.set(space, quotas).await?)
    })
}

fn remove(_: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (keeper, space) = (ask.keeper()?, ask.part(0)?);
        let SpaceRemoveQuery { with_content } = query::read(ask.request.uri())?;
        keeper.remove(space, with_content).await?;
        Ok(nothing())
    })
}
