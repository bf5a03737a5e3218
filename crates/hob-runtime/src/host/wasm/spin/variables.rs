//! The interfaces by which a component reads its variables: one for each generation, and the draft of WASI.

use super::super::store::State;
use crate::spin::{Missing, Variables};
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, ComponentType, Lift, LinkerInstance, Lower};

/// Which interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `fermyon:spin/config`.
    Spin1,
    /// `fermyon:spin/variables@2.0.0`.
    Spin2,
    /// `spin:variables/variables@3.0.0`, which is `async`.
    Spin3,
    /// `wasi:config/store`, in all its drafts.
    Wasi,
}

/// `error` of `fermyon:spin/variables` and `spin:variables/variables`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "invalid-name")]
    InvalidName(String),
    #[component(name = "undefined")]
    Undefined(String),
    #[component(name = "provider")]
    Provider(String),
    #[component(name = "other")]
    Other(String),
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Name(why) => Self::InvalidName(why),
            Missing::Undefined(why) => Self::Undefined(why),
        }
    }
}

/// `error` of `fermyon:spin/config`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum OldError {
    #[component(name = "provider")]
    Provider(String),
    #[component(name = "invalid-key")]
    InvalidKey(String),
    #[component(name = "invalid-schema")]
    InvalidSchema(String),
    #[component(name = "other")]
    Other(String),
}

impl From<Missing> for OldError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Name(why) => Self::InvalidKey(why),
            Missing::Undefined(why) => Self::Provider(why),
        }
    }
}

/// `error` of `wasi:config/store`; what Hob has in memory never fails.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum StoreError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

type Context<'a> = StoreContextMut<'a, State>;

impl Form {
    /// Offers it.
    pub(super) fn add(
        self,
        instance: &mut LinkerInstance<'_, State>,
        variables: &Arc<Variables>,
    ) -> wasmtime::Result<()> {
        let variables = Arc::clone(variables);
        match self {
            Self::Spin1 => instance.func_wrap("get-config", move |_: Context<'_>, (name,): (String,)| {
                Ok((variables.get(&name).map_err(OldError::from),))
            }),
            Self::Spin2 => instance.func_wrap("get", move |_: Context<'_>, (name,): (String,)| {
                Ok((variables.get(&name).map_err(Error::from),))
            }),
            Self::Spin3 => {
                instance.func_wrap_concurrent("get", move |_: &Accessor<State>, (name,): (String,)| {
                    let value = variables.get(&name).map_err(Error::from);
                    Box::pin(async move { Ok((value,)) })
                })
            }
            Self::Wasi => {
                let all = Arc::clone(&variables);
                instance.func_wrap("get", move |_: Context<'_>, (name,): (String,)| {
                    Ok((Ok::<_, StoreError>(variables.get(&name).ok()),))
                })?;
                instance
                    .func_wrap("get-all", move |_: Context<'_>, (): ()| Ok((Ok::<_, StoreError>(all.all()),)))
            }
        }
    }
}
