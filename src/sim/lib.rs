//! A deterministic simulation of a connector's life: the engine's own core, ledger, keeper, sender and reader loop
//! between a model database, a model broker and model disks, with everything that can go wrong going wrong by seed.
//!
//! Never linked into the daemon, starts no thread, reads no clock, opens no socket.

mod broker;
mod client;
mod coverage;
mod database;
mod disk;
mod net;
mod oracle;
mod process;
mod rng;
mod world;

pub use coverage::Coverage;
pub use world::{Options, Outcome, run, run_with};

#[cfg(test)]
mod tests;
