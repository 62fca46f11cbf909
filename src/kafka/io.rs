//! The producer's side of the network: connections to brokers and the thread that drives them.
//!
//! [`sender`] decides what goes where and when; [`connection`] carries bytes and owns no policy. All of it runs on one
//! thread of the producer's own; nothing of it is called from others.

pub(crate) mod address;
pub(crate) mod answers;
pub(crate) mod connection;
pub(crate) mod lane;
pub(crate) mod network;
pub(crate) mod sasl;
pub(crate) mod security;
pub(crate) mod sender;
pub(crate) mod topology;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod sender_tests;
