//! Who decides whether a function may be called at all: the node, for budgets that are spent.
//!
//! **Why.** As with [`crate::witness`]: all ways to a function lead through its pool, so nobody gets around
//! what stands there.
//!
//! **How.** A pool asks [`Gates`] once for the [`Gate`] of its function, and asks that before each call. It
//! may not wait, and where nothing is limited it costs one look.

use crate::code::FunctionCode;
use hob_core::fault::Result;
use std::sync::Arc;

/// Gives each function its gate.
pub trait Gates: Send + Sync {
    /// The gate of a function, the same for all of its revisions.
    fn of(&self, code: &FunctionCode) -> Arc<dyn Gate>;
}

/// Stands in front of one function.
pub trait Gate: Send + Sync {
    /// Lets one call pass, and counts it.
    ///
    /// # Errors
    /// Why it may not: `HOB-0511`.
    fn admit(&self) -> Result<()>;
}

/// Gates that let everybody pass, for tests of pools alone.
#[derive(Debug)]
pub struct Open;

impl Gates for Open {
    fn of(&self, _: &FunctionCode) -> Arc<dyn Gate> {
        Arc::new(Self)
    }
}

impl Gate for Open {
    fn admit(&self) -> Result<()> {
        Ok(())
    }
}
