//! Causes and stories of `cause`, in tables.
