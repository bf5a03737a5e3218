//! Causes and stories of `topic`, in tables.
