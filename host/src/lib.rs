//! The host toolchain of fer: data, training, compression, export and honest reports.
//!
//! Data flows left to right through the modules: `data` → `augment` → `loader` → `train` →
//! `checkpoint` → `compress` → `export`; `report` reads what the others wrote. A network is a
//! [`graph::Graph`], and everything done to one is a pass over it.

pub mod augment;
pub mod checkpoint;
pub mod compress;
pub mod crossval;
pub mod data;
pub mod embed;
pub mod ensemble;
pub mod explain;
pub mod export;
pub mod graph;
pub mod import;
pub mod judge;
pub mod loader;
pub mod npz;
pub mod ops;
pub mod predict;
pub mod report;
pub mod train;
