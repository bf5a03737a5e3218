//! `hob deploy`: moves an app to a new revision, all of it at once.

use crate::output::Output;
use hob_core::unit::show_duration;
use hob_core::wire::Deployed;
use std::time::Duration;

/// Shows the result of a deploy or a rollback.
pub(super) fn report(output: &Output, done: &Deployed) {
    output.result(done, &[done.app.to_string()], |output| {
        let took = show_duration(Duration::from_millis(done.took_ms));
        let app = output.strong(done.app.as_str());
        let revision = done.revision;
        match (done.changed, done.previous) {
            (false, _) => {
                format!("{app} is at revision {revision} already: nothing has changed\n{}", done.url)
            }
            (true, Some(previous)) => {
                format!("{app} moved from revision {previous} to {revision} in {took}\n{}", done.url)
            }
            (true, None) => format!("{app} serves at revision {revision} after {took}\n{}", done.url),
        }
    });
}
