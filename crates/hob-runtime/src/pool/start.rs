//! The start of a program that serves one call: it counts as one for a while, so that a storm of them is held up.
//!
//! **Why.** A kept instance says when it takes calls. A program that reads its call and prints the answer says nothing in
//! between; but most of what it does at first is to start: loading itself, its interpreter and libraries.

use crate::crowd::Starting;
use hob_core::limit::CALL_START_MAX;
use hob_core::port::BoxFuture;

/// The call, in whose first part its program starts. `None`: there is no start that counts.
pub(super) async fn within<T>(starting: Option<Starting>, call: BoxFuture<'_, T>) -> T {
    match starting {
        None => call.await,
        // Apart, so that other calls have no room for it.
        Some(starting) => Box::pin(starts(starting, call)).await,
    }
}

async fn starts<T>(starting: Starting, mut call: BoxFuture<'_, T>) -> T {
    match tokio::time::timeout(CALL_START_MAX, &mut call).await {
        Ok(done) => done,
        Err(_) => {
            drop(starting);
            call.await
        }
    }
}
