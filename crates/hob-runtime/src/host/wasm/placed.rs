//! Where a function's instances live: in this process, or in the worker of its space.
//!
//! **Why.** A node with one space needs no second wall, and a second space may come at any time. So the question is
//! asked for each instance, and what was answered before stays as it is.

use super::mapped::Codes;
use super::walled::Walled;
use super::{File, Loaded, Script, Shared, WasmUnit};
use crate::code::FunctionCode;
use crate::unit::{Command, Handler, Instance, Launch, Program, Start, Unit};
use hob_core::fault::Result;
use hob_core::name::SpaceName;
use hob_core::port::BoxFuture;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A function whose instances are here or there.
pub(super) struct Placed {
    shared: Arc<Shared>,
    file: File,
    code: Arc<FunctionCode>,
    script: Option<Arc<Script>>,
    handler: bool,
    per_call: bool,
    inside: OnceCell<Loaded>,
    walled: OnceCell<Arc<Walled>>,
}

impl Placed {
    /// Loads a function's code where its next instance will be.
    ///
    /// # Errors
    /// What is wrong with the code; `HOB-0513` when there is no worker for it.
    pub(super) async fn load(
        shared: &Arc<Shared>,
        file: File,
        code: Arc<FunctionCode>,
        script: Option<Arc<Script>>,
    ) -> Result<Self> {
        let mut placed = Self {
            shared: Arc::clone(shared),
            file,
            code,
            script,
            handler: false,
            per_call: false,
            inside: OnceCell::new(),
            walled: OnceCell::new(),
        };
        (placed.handler, placed.per_call) = match placed.space() {
            Some(space) => {
                let loaded = placed.walled(&space).await?.ready().await?.loaded();
                (loaded.handler, loaded.per_call)
            }
            None => {
                let inside = placed.inside().await?;
                (inside.handler().is_some(), inside.per_call())
            }
        };
        Ok(placed)
    }

    /// The space in whose worker the next instance lives; `None`: it lives here.
    fn space(&self) -> Option<SpaceName> {
        (self.shared.environment.workers.space_of)(&self.code.app)
    }

    async fn inside(&self) -> Result<&Loaded> {
        let load = async {
            let current = self.shared.current(&self.file, &self.code).await?;
            let own = (Arc::clone(&self.code), self.script.clone());
            let unit = WasmUnit::of(&self.shared, self.file.clone(), current, own);
            Codes::add(&self.shared.codes, &unit);
            unit.begin().await;
            Ok(Loaded(unit))
        };
        self.inside.get_or_try_init(|| load).await
    }

    async fn walled(&self, space: &SpaceName) -> Result<&Arc<Walled>> {
        let load = async {
            let own = (Arc::clone(&self.code), self.script.clone());
            let unit = Walled::new(&self.shared, space, self.file.clone(), own)?;
            self.shared.codes.add_walled(&unit);
            Ok(unit)
        };
        self.walled.get_or_try_init(|| load).await
    }
}

impl Unit for Placed {
    /// A worker's instances cost as little to start.
    fn inside(&self) -> bool {
        true
    }

    fn memory_bytes(&self) -> Option<u64> {
        let inside = self.inside.get().and_then(Unit::memory_bytes).unwrap_or_default();
        Some(inside + self.walled.get().map_or(0, |walled| walled.held_bytes()))
    }

    fn command(&self) -> Option<&dyn Command> {
        (!self.handler).then_some(self as &dyn Command)
    }

    fn handler(&self) -> Option<&dyn Handler> {
        self.handler.then_some(self as &dyn Handler)
    }
}

impl Handler for Placed {
    fn per_call(&self) -> bool {
        self.per_call
    }

    fn open(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        match (self.space(), self.inside.get()) {
            (None, Some(inside)) => inside.open(start),
            (None, None) => Box::pin(async move { self.inside().await?.open(start).await }),
            (Some(space), _) => {
                Box::pin(async move { self.walled(&space).await?.open(start.instance).await })
            }
        }
    }
}

impl Command for Placed {
    /// What a guest asks for comes to the host as a call.
    fn connects(&self) -> bool {
        false
    }

    fn start(&self, launch: Launch) -> BoxFuture<'_, Result<Box<dyn Program>>> {
        match self.space() {
            None => Box::pin(async move { self.inside().await?.start(launch).await }),
            Some(space) => Box::pin(async move { self.walled(&space).await?.start(launch).await }),
        }
    }
}
