//! Causes and stories of `trigger`, in tables.
