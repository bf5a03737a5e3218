//! One call, from its arrival to the head of its answer: a place, the instance, and another one where the first has not
//! seen it.

use super::refusal::for_callers;
use super::{Place, Shared, body, start};
use crate::body::Body;
use crate::invocation::{Context as Call, Invocation, Reply};
use hob_core::fault::Result;
use hob_core::limit::UNTAKEN_CALLS_MAX;
use http::Request;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// The place of a call whose caller may go away before there is an answer.
struct Leaving<'a> {
    place: Option<Place>,
    context: &'a Call,
    deadline: tokio::time::Instant,
}

impl Leaving<'_> {
    fn place(&self) -> &Place {
        self.place.as_ref().expect("it is taken at the end only")
    }

    /// The caller is there still.
    fn stays(&mut self) -> Place {
        self.place.take().expect("it is taken at the end only")
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.leave(self.context, self.deadline);
        }
    }
}

impl Shared {
    /// Handles a call: its answer, and the place that it keeps until that has ended.
    pub(super) async fn handle(
        self: &Arc<Self>,
        invocation: Invocation,
        deadline: tokio::time::Instant,
    ) -> Result<(Reply, Place)> {
        let Invocation { context, request } = invocation;
        self.gate.admit()?;
        let (mut request, body_fault) = body::limit(request, self.code.spec.body_bytes_max, &context)?;
        let arrived = Instant::now();
        context.timing.routed(arrived.saturating_duration_since(context.origin.came));
        let mut given_back = 0;
        loop {
            let place = self.place_for(&context, arrived, deadline).await?;
            let fault = match self.call_in(place, &context, request, deadline).await {
                Ok(answered) => return Ok(answered),
                Err(fault) => fault,
            };
            // Of an instance that ended before anything of it had seen the request, another takes it.
            request = match context.trail.take_untaken() {
                Some(again) if given_back < UNTAKEN_CALLS_MAX => again,
                _ => return Err(body_fault.get().cloned().unwrap_or(fault)),
            };
            given_back += 1;
        }
    }

    /// Waits for a place, and says how long that took.
    async fn place_for(
        self: &Arc<Self>,
        context: &Call,
        arrived: Instant,
        deadline: tokio::time::Instant,
    ) -> Result<Place> {
        let timing = &context.timing;
        let place = self.acquire(deadline, Some(timing)).await;
        let waited = arrived.elapsed().saturating_sub(Duration::from_micros(timing.load_us()));
        // Who waited in vain has waited too.
        timing.queued(waited);
        let place = place.map_err(for_callers)?;
        timing.queued(waited.saturating_sub(place.started_in().unwrap_or_default()));
        if let Some(started_in) = place.started_in() {
            timing.started(started_in.min(waited));
            timing.connected(place.instance().map_or(Duration::ZERO, |one| one.connected_in()).min(waited));
        }
        if let Some(instance) = place.kept_id() {
            context.trail.runs_in(instance);
        }
        Ok(place)
    }

    /// Handles a call in its place.
    async fn call_in(
        self: &Arc<Self>,
        place: Place,
        context: &Arc<Call>,
        request: Request<Body>,
        deadline: tokio::time::Instant,
    ) -> Result<(Reply, Place)> {
        let timing = &context.timing;
        let mut leaving = Leaving { place: Some(place), context, deadline };
        let answer = async {
            let place = leaving.place();
            let (instance, starting) = self.instance_of(place, Some(timing)).await.map_err(for_callers)?;
            start::within(starting, instance.call(Invocation { context: Arc::clone(context), request })).await
        };
        let answer = timeout_at(deadline, answer).await;
        let place = leaving.stays();
        match answer {
            Ok(Ok(reply)) => Ok((reply, place)),
            Ok(Err(fault)) => {
                self.notice_end(&place, &fault);
                Err(fault)
            }
            Err(_) => Err(self.call_timeout()),
        }
    }
}
