//! The export of WASI 0.2 that takes a request: as the release names it, or a draft.

use super::super::store::State;
use wasmtime::component::{ComponentExportIndex, InstancePre, Resource};
use wasmtime::{Store, format_err};
use wasmtime_wasi_http::p2::bindings::http::types::{IncomingRequest, ResponseOutparam};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};

/// Drafts of `wasi:http/incoming-handler` that are called like the release.
const DRAFTS: [&str; 2] =
    ["wasi:http/incoming-handler@0.2.0-rc-2023-10-18", "wasi:http/incoming-handler@0.2.0-rc-2023-11-10"];

/// Whether an export is one of the drafts.
pub(in super::super) fn is_draft(export: &str) -> bool {
    DRAFTS.contains(&export)
}

/// A component with such an export, ready to be instantiated.
#[derive(Clone)]
pub(in super::super) enum Handler02Pre {
    Release(ProxyPre<State>),
    Draft(InstancePre<State>, ComponentExportIndex),
}

/// An instance of it.
pub(in super::super) enum Handler02 {
    Release(Proxy),
    Draft(wasmtime::component::Instance, ComponentExportIndex),
}

impl Handler02Pre {
    /// Looks up what is called.
    ///
    /// # Errors
    /// When the export is not there, or of another type.
    pub(in super::super) fn new(pre: InstancePre<State>) -> wasmtime::Result<Self> {
        let component = pre.component();
        let Some(interface) = DRAFTS.iter().find_map(|name| component.get_export_index(None, name)) else {
            return ProxyPre::new(pre).map(Self::Release);
        };
        let handle = component.get_export_index(Some(&interface), "handle");
        let handle = handle.ok_or_else(|| format_err!("there is no function `handle`"))?;
        Ok(Self::Draft(pre, handle))
    }

    /// An instance in this store.
    pub(in super::super) async fn open(&self, store: &mut Store<State>) -> wasmtime::Result<Handler02> {
        Ok(match self {
            Self::Release(pre) => Handler02::Release(pre.instantiate_async(store).await?),
            Self::Draft(pre, handle) => Handler02::Draft(pre.instantiate_async(store).await?, *handle),
        })
    }
}

impl Handler02 {
    /// Calls it.
    pub(in super::super) async fn handle(
        &self,
        store: &mut Store<State>,
        request: Resource<IncomingRequest>,
        out: Resource<ResponseOutparam>,
    ) -> wasmtime::Result<()> {
        match self {
            Self::Release(proxy) => proxy.wasi_http_incoming_handler().call_handle(store, request, out).await,
            Self::Draft(instance, handle) => {
                type Parameters = (Resource<IncomingRequest>, Resource<ResponseOutparam>);
                let handle = instance.get_typed_func::<Parameters, ()>(&mut *store, handle)?;
                handle.call_async(store, (request, out)).await
            }
        }
    }
}
