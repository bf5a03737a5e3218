//! Calls and instances as facts: what failed or was slow always, the rest within a budget.

use super::{Budget, Telemetry};
use crate::clock::now_ms;
use hob_core::fact::{Call, Fact, Failure, InstanceChanged, Times, Used, What};
use hob_core::limit::{FACTS_CALLS_PER_SECOND, FACTS_SLOW_CALL};
use hob_core::port::FactSink;
use hob_core::trace::TraceId;
use hob_core::unit::{micros, millis};
use hob_runtime::code::FunctionCode;
use hob_runtime::witness::{Changed, Ended, Witness, Witnesses};
use std::sync::Arc;

/// Watches every function of the node.
pub(crate) struct Watches(pub(crate) Arc<Telemetry>);

impl Witnesses for Watches {
    fn of(&self, code: &Arc<FunctionCode>) -> Arc<dyn Witness> {
        let (telemetry, code) = (Arc::clone(&self.0), Arc::clone(code));
        Arc::new(FunctionWatch { telemetry, code, budget: Budget::new(FACTS_CALLS_PER_SECOND) })
    }
}

/// Watches one function.
struct FunctionWatch {
    telemetry: Arc<Telemetry>,
    code: Arc<FunctionCode>,
    budget: Budget,
}

impl Witness for FunctionWatch {
    fn ended(&self, ended: &Ended<'_>) {
        let now_ms = now_ms();
        let failed = ended.fault.is_some() || ended.status.is_none_or(|status| status >= 500);
        if failed || ended.total >= FACTS_SLOW_CALL || self.budget.spend(now_ms) {
            let fact = self.fact(ended, now_ms.saturating_sub(millis(ended.total)));
            self.telemetry.tell(fact);
        }
    }

    fn instance(&self, changed: &Changed<'_>) {
        let code = &self.code;
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
}

impl FunctionWatch {
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
            used: Used { memory_bytes: self.code.spec.memory_bytes, ..Used::default() },
            instance: context.trail.instance(),
            outside: context.trail.outside(),
        };
        Fact { time_ms, trace: Some(TraceId(context.trace.trace_id)), what: What::Call(Box::new(call)) }
    }
}

fn times(ended: &Ended<'_>) -> Times {
    let timing = &ended.context.timing;
    Times {
        queue_us: timing.queue_us(),
        start_us: timing.start_us(),
        load_us: 0,
        answer_us: micros(ended.answer),
        total_us: micros(ended.total),
    }
}
