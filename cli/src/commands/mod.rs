//! One file a command.

pub mod data;
pub mod train;
