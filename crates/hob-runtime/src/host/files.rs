//! Host `files`: a folder of files that are served as they are; no code runs.
//!
//! **Why.** Every app has a page, a style sheet, an icon. They move with its functions in one revision, and
//! need no web server of their own.
//!
//! **How.** Its unit has one ability, [`Unit::files`]. There is nothing to compile, to start or to isolate.
//!
//! **Detection.** A folder, and `.html` files.

use super::{Candidate, Detected, Host, HostRow, Prepared, Progress};
use crate::code::FunctionCode;
use crate::environment::Environment;
use crate::unit::Unit;
use hob_core::fault::Result;
use hob_core::port::BoxFuture;
use hob_core::spec::files_root;
use std::sync::Arc;

pub(super) const ROW: HostRow = HostRow {
    name: "files",
    summary: "A folder of files that are served as they are",
    example: "[functions.site]\nrun = \"public\"\nhost = \"files\"\n",
    detect,
    open: |_| Ok(Arc::new(Files)),
};

fn detect(candidate: &Candidate<'_>) -> Option<Detected> {
    let page = candidate.name.ends_with(".html") || candidate.name.ends_with(".htm");
    let what = match (candidate.file.is_dir(), page) {
        (true, _) => "folder of files",
        (false, true) => "HTML page",
        (false, false) => return None,
    };
    Some(Detected {
        host: "files",
        contract: "static",
        run: vec![candidate.name.to_owned()],
        what: what.to_owned(),
    })
}

struct Files;

impl Host for Files {
    /// There is nothing to make; that the files are in the package was checked with the manifest.
    fn prepare<'a>(
        &'a self,
        _: &'a FunctionCode,
        _: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<Prepared>> {
        Box::pin(async { Ok(Prepared::default()) })
    }

    fn is_prepared(&self, _: &FunctionCode) -> bool {
        true
    }

    fn beside(&self, _: &Arc<Environment>) -> Result<Arc<dyn Host>> {
        Ok(Arc::new(Self))
    }

    fn load(&self, code: Arc<FunctionCode>) -> BoxFuture<'_, Result<Arc<dyn Unit>>> {
        Box::pin(async move { Ok(Arc::new(Folder(code)) as Arc<dyn Unit>) })
    }
}

struct Folder(Arc<FunctionCode>);

impl Unit for Folder {
    fn files(&self) -> Option<&str> {
        self.0.spec.run.first().map(|first| files_root(first))
    }
}
