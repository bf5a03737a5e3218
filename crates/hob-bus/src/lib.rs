//! Durable state and artifacts behind one table of engines.
