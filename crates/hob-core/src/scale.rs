//! When instances of a function start and stop, as pure decisions.
