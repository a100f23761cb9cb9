//! One file a command.

pub mod bench;
pub mod data;
pub mod demo;
pub mod evaluate;
pub mod info;
pub mod phantom;
pub mod segment;
pub mod train;
pub mod view;
