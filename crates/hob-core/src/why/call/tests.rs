//! Causes and stories of `call`, in tables.
