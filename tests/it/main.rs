//! One binary for everything that needs more than one crate: layers, comparisons, real servers.
#![allow(missing_docs)]

mod compat;
mod daemon;
mod kafka_live;
mod layers;
mod mysql;
mod servers;
mod topics;
