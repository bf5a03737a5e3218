//! How an app moves to a revision and back, as pure decisions.
