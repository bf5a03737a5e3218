//! Calls and instances as facts: what failed or was slow always, the rest within a budget. All are counted.

use super::meter::{self, Meter};
use super::{Budget, Telemetry};
use crate::clock::now_ms;
use hob_core::code::Code;
use hob_core::fact::{self, Call, Change, Fact, Failure, InstanceChanged, InstanceStep, Times, Used, What};
use hob_core::fault::Fault;
use hob_core::limit::{FACTS_CALLS_PER_SECOND, FACTS_SLOW_CALL};
use hob_core::port::FactSink;
use hob_core::trace::TraceId;
use hob_core::unit::{micros, millis};
use hob_runtime::code::FunctionCode;
use hob_runtime::witness::{Changed, Ended, Nobody, Witness, Witnesses};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Watches every function of the node.
pub(crate) struct Watches(pub(crate) Arc<Telemetry>);

impl Witnesses for Watches {
    fn of(&self, code: &Arc<FunctionCode>) -> Arc<dyn Witness> {
        if !self.0.is_on() {
            return Arc::new(Nobody);
        }
        let (telemetry, code) = (Arc::clone(&self.0), Arc::clone(code));
        let budget = Budget::new(FACTS_CALLS_PER_SECOND);
        Arc::new(FunctionWatch { telemetry, code, budget, meter: OnceLock::new() })
    }
}

/// Watches one function.
struct FunctionWatch {
    telemetry: Arc<Telemetry>,
    code: Arc<FunctionCode>,
    budget: Budget,
    /// There from the first call on: most kept revisions are never called.
    meter: OnceLock<Arc<Meter>>,
}

impl Witness for FunctionWatch {
    fn ended(&self, ended: &Ended<'_>) {
        self.count(ended);
        let now_ms = now_ms();
        // Calls that a spent budget or an open circuit refuses may be many, and they are all alike.
        let alike = refused(ended) || ended.fault.is_some_and(|fault| fault.code() == Code::CircuitOpen);
        let failed = !alike && (ended.fault.is_some() || ended.status.is_none_or(|status| status >= 500));
        if failed || ended.total >= FACTS_SLOW_CALL || self.budget.spend(now_ms) {
            let fact = self.fact(ended, now_ms.saturating_sub(millis(ended.total)));
            self.telemetry.tell(fact);
        }
    }

    fn instance(&self, changed: &Changed<'_>) {
        let code = &self.code;
        if matches!(changed.step, InstanceStep::StartFailed | InstanceStep::Ended) {
            self.telemetry.meters().crashed(&code.app, &code.name);
        }
        self.telemetry.now(
            None,
            What::Instance(Box::new(InstanceChanged {
                app: code.app.clone(),
                revision: code.revision,
                function: code.name.clone(),
                instance: changed.instance,
                step: changed.step,
                failure: changed.fault.map(Failure::from),
                start_us: micros(changed.start),
                instances: changed.instances,
            })),
        );
    }

    fn optimised(&self, took: Duration) {
        let code = &self.code;
        let (change, revision) = (Change::Optimise, Some(code.revision));
        let changed = fact::Changed {
            id: None,
            app: code.app.clone(),
            function: Some(code.name.clone()),
            change,
            from: revision,
            to: revision,
            failure: None,
            took_ms: millis(took),
        };
        self.telemetry.now(None, What::Changed(Box::new(changed)));
    }
}

impl FunctionWatch {
    fn count(&self, ended: &Ended<'_>) {
        let meter = self.meter.get_or_init(|| self.telemetry.meters().of(&self.code));
        if let Some(fault) = ended.fault.filter(|_| refused(ended)) {
            return meter.refused(&ended.context.origin.cause, fault);
        }
        meter.ended(&meter::Ended {
            cause: &ended.context.origin.cause,
            status: ended.status,
            owner: ended.fault.map(Fault::owner),
            times: times(ended),
            cold: ended.context.timing.cold(),
            used: used(ended, &self.code),
        });
    }

    fn fact(&self, ended: &Ended<'_>, time_ms: u64) -> Fact {
        let (context, asked) = (ended.context, ended.asked);
        let call = Call {
            id: context.id,
            parent: context.origin.parent,
            app: context.app.clone(),
            revision: context.revision,
            function: context.function.clone(),
            cause: context.origin.cause.clone(),
            method: asked.method.as_str().to_owned(),
            path: asked.uri.path().to_owned(),
            host: asked.host.as_ref().and_then(|host| host.to_str().ok()).map(str::to_owned),
            route: context.route.clone(),
            status: ended.status,
            failure: ended.fault.map(Failure::from),
            times: times(ended),
            cold: context.timing.cold(),
            used: used(ended, &self.code),
            instance: context.trail.instance(),
            outside: context.trail.outside(),
            said: context.trail.said(),
        };
        Fact { time_ms, trace: Some(TraceId(context.trace.trace_id)), what: What::Call(Box::new(call)) }
    }
}

/// Whether a spent budget has refused it.
fn refused(ended: &Ended<'_>) -> bool {
    ended.fault.is_some_and(|fault| fault.code() == Code::BudgetSpent)
}

fn times(ended: &Ended<'_>) -> Times {
    let times = ended.context.timing.times(micros(ended.answer));
    Times { total_us: micros(ended.total), ..times }
}

fn used(ended: &Ended<'_>, code: &FunctionCode) -> Used {
    let timing = &ended.context.timing;
    Used {
        cpu_us: timing.cpu_us(),
        memory_bytes: code.spec.memory_bytes,
        bytes_in: timing.bytes_in(),
        bytes_out: timing.bytes_out(),
    }
}
