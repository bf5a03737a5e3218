//! What is shown of a single app beyond what a list says: how good its code is, and how its functions start.
//!
//! **Why apart.** It looks at files and histories, function by function, which a list of ten thousand apps cannot.

use super::Apps;
use crate::live::LiveApp;
use hob_core::unit::millis;
use hob_core::wire::{AppInfo, CodeStage, MachineCode};
use hob_runtime::host::Stage;

/// Adds it.
pub(super) fn fill(apps: &Apps, app: &LiveApp, info: &mut AppInfo) {
    for function in &mut info.functions {
        let pool = app.current.functions.get(&function.function);
        let stage = pool.and_then(|pool| apps.runtime.stage(pool.code()));
        function.machine_code = stage.map(machine_code);
        let meters = apps.bus.telemetry().meters();
        function.cold_starts = meters.colds(&info.app, &function.function, info.current);
    }
}

fn machine_code(stage: Stage) -> MachineCode {
    let (stage, time) = match stage {
        Stage::Quick => (CodeStage::Quick, None),
        Stage::Waiting => (CodeStage::Waiting, None),
        Stage::Optimising(since) => (CodeStage::Optimising, Some(since)),
        Stage::Optimised(took) => (CodeStage::Optimised, took),
    };
    MachineCode { stage, optimising_ms: time.map(millis) }
}
