//! Subscriptions: to be written.
