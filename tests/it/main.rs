//! One binary for everything that needs more than one crate: layers, comparisons, real servers.
#![allow(missing_docs)]

mod compat;
mod crash;
mod daemon;
mod invariants;
mod kafka_live;
mod layers;
mod load;
mod mysql;
mod servers;
mod topics;
