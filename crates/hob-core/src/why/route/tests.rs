//! Causes and stories of `route`, in tables.
