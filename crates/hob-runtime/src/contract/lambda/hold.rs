//! What lasts as long as a call: until a streamed answer has ended, or the runtime is done with a call whose caller has gone.

use super::super::spent::Spending;
use super::super::way::OnTheWay;
use super::freeze::Awake;
use super::report::{Report, Status};
use super::session::GivenUp;
use super::stream::Streamed;
use bytes::Bytes;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Calls that have lost their callers: the id that the runtime knows, and what is told at the end.
#[derive(Default)]
pub(super) struct Left(Mutex<HashMap<InvocationId, (u128, Option<Report>)>>);

impl Left {
    pub(super) fn put(&self, call: InvocationId, id: u128, report: Option<Report>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(call, (id, report));
    }

    pub(super) fn take(&self, call: InvocationId) -> Option<(u128, Option<Report>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&call)
    }
}

/// What lasts as long as a streamed answer.
pub(super) struct Hold {
    pub(super) given_up: GivenUp,
    pub(super) report: Option<Report>,
    /// Where it is put when nobody reads on, with its own id and the runtime's.
    pub(super) left: (Arc<Left>, InvocationId, u128),
    /// What ends with the call.
    pub(super) _call: (OnTheWay, Spending, Option<Awake>),
}

/// A streamed body with what lasts as long as the call.
pub(super) struct Held {
    body: Streamed,
    hold: Option<Hold>,
}

impl Held {
    /// It holds that until it ends.
    pub(super) fn new(body: Streamed, hold: Hold) -> Self {
        Self { body, hold: Some(hold) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(Hold { report, left: (left, call, id), .. }) = self.hold.take() {
            left.put(call, id, report);
        }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>>>> {
        let frame = std::task::ready!(std::pin::Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_)))
            && let Some(Hold { given_up, report, .. }) = self.hold.take()
        {
            given_up.ended();
            if let Some(report) = report {
                report.end(if frame.is_some() { Status::Error } else { Status::Success });
            }
        }
        std::task::Poll::Ready(frame)
    }
}
