//! Records against recorded bytes, against the reference interpreter, and against Java.
#![allow(missing_docs)]

mod allocations;
mod debezium;
mod differential;
mod golden;
mod java;
mod reader;
mod support;
