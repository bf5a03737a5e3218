//! Causes and stories of `question`, in tables.
