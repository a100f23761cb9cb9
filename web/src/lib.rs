//! The web entry.
