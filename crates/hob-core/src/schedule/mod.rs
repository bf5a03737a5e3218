//! Schedules: to be written.
