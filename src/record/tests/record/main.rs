//! Records against recorded bytes, against the reference interpreter, and against Java.
#![allow(missing_docs)]

mod debezium;
mod golden;
mod java;
mod support;
