//! `hob.toml`: a person's text becomes a checked description with every default filled in.
