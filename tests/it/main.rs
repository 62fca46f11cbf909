//! One binary for everything that needs more than one crate: layers, comparisons, real servers.
#![allow(missing_docs, unreachable_pub, reason = "nobody else uses a test binary")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests wait for servers and show what they saw"
)]

mod bad_input;
mod compat;
mod crash;
mod daemon;
mod invariants;
mod isolation;
mod kafka_live;
mod layers;
mod load;
mod mysql;
mod orders;
mod outage;
mod producer_live;
mod run;
mod secrecy;
mod secrets;
mod secured;
mod servers;
mod source_options;
mod standalone;
mod takeover;
mod topics;
