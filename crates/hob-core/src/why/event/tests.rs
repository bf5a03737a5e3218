//! Causes and stories of `event`, in tables.
