//! Guests that do not.
