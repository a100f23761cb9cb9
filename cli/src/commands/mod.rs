//! One file a command.

pub mod ablation;
pub mod archive;
pub mod bench;
mod bench_gpu;
mod bench_training;
pub mod check;
pub mod collect;
pub mod compare;
pub mod convert;
pub mod crossval;
pub mod demo;
pub mod evaluate;
pub mod explain;
pub mod figure;
pub mod gauge;
pub mod info;
pub mod interchange;
pub mod phantom;
pub mod prepare;
pub mod segment;
pub mod sheet;
pub mod tasks;
pub mod train;
pub mod trials;
pub mod view;
pub mod watch;
