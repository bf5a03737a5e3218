//! The lock of a mutex whose holder cannot leave anything half-changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whether another holder has panicked or not: for state that every change leaves whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
