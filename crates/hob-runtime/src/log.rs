//! What functions print, as bounded, harmless log records.
