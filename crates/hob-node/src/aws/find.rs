//! The function that a request means.

use super::Lambda;
use super::answer::{Answered, Refusal};
use crate::dispatcher::Target;
use crate::live::{LiveApp, LiveRevision};
use crate::versions::random;
use hob_core::aws::error::Exception;
use hob_core::aws::name::{LATEST, Reference, version};
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::name::FunctionName;
use hob_core::spec::AsyncSpec;
use std::sync::Arc;

/// A function, in the revision that a request means.
pub(super) struct Found {
    /// As it was named.
    pub(super) reference: Reference,
    pub(super) function: FunctionName,
    pub(super) revision: Arc<LiveRevision>,
    /// The number of the version; `None`: what is current.
    pub(super) number: Option<u32>,
    /// What becomes of an asynchronous call, where the qualifier decides that.
    pub(super) terms: Option<AsyncSpec>,
}

impl Found {
    /// The version: a number, or `$LATEST`.
    pub(super) fn version(&self) -> String {
        self.number.map_or_else(|| LATEST.to_owned(), |number| number.to_string())
    }

    /// Its instances.
    pub(super) fn target(&self) -> Answered<Target> {
        let pool = self.revision.numbered(&self.function, self.number)?;
        Ok(Target { revision: Arc::clone(&self.revision), pool: Arc::clone(pool), route: None })
    }
}

impl Lambda {
    /// Finds the app of a function.
    pub(super) fn app(&self, reference: &Reference) -> Answered<(Arc<LiveApp>, FunctionName)> {
        let (app, function) = reference.app()?;
        let table = self.control.live.load();
        let app = table.app(app.as_str()).ok_or_else(|| not_found(reference))?;
        let function = function_of(app, function).ok_or_else(|| not_found(reference))?;
        Ok((Arc::clone(app), function))
    }

    /// Finds the function that a name and a qualifier mean.
    pub(super) async fn find(&self, name: &str, qualifier: Option<&str>) -> Answered<Found> {
        let reference = Reference::read(name, qualifier)?;
        let (app, function) = self.app(&reference)?;
        let latest = (Arc::clone(&app.current), None);
        let mut stored = None;
        let (revision, number) = match reference.qualifier.as_deref() {
            None | Some(LATEST) => latest,
            Some(text) => {
                let record = self.records.load(&app.name).await?.record;
                let record = &*stored.insert(record.ok_or_else(|| not_found(&reference))?);
                let chosen = record.aliases.get(text).map_or(text, |alias| alias.choose(random()));
                let number = version(chosen);
                let found = number.and_then(|number| record.versions.get(&number));
                match found.and_then(|version| app.kept.get(&version.revision)) {
                    Some(revision) => (Arc::clone(revision), number),
                    None if chosen == LATEST => latest,
                    None => return Err(not_found(&reference)),
                }
            }
        };
        let terms = stored.and_then(|record| {
            let spec = revision.spec.functions.get(&function)?;
            record.asynchronous_of(reference.qualifier.as_deref(), &spec.asynchronous)
        });
        Ok(Found { reference, function, revision, number, terms })
    }
}

/// The function of an app that a name means: the one it says, or the one that has the app's name, or the only one.
fn function_of(app: &LiveApp, named: Option<FunctionName>) -> Option<FunctionName> {
    let functions = &app.current.spec.functions;
    let name = named.as_ref().map_or(app.name.as_str(), FunctionName::as_str);
    let found = functions.keys().find(|function| function.as_str() == name);
    let only = || functions.keys().next().filter(|_| named.is_none() && functions.len() == 1);
    found.or_else(only).cloned()
}

/// The error for a function, version or alias that does not exist.
pub(super) fn not_found(reference: &Reference) -> Refusal {
    let qualifier = reference.qualifier.as_ref().map(|text| format!(":{text}")).unwrap_or_default();
    let what = format!("Function not found: `{}{qualifier}`", reference.name);
    let fault = Fault::new(Code::FunctionNotFound, what);
    Refusal::new(
        Exception::ResourceNotFound,
        fault.hint("`hob ls` lists the apps; a function of an app with several is `<function>--<app>`"),
    )
}
