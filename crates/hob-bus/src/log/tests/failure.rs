//! Writes and syncs that fail.
