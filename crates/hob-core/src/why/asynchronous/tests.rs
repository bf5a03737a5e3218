//! Causes and stories of `asynchronous`, in tables.
