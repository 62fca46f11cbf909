//! Records against recorded bytes, against the reference interpreter, and against Java.
#![allow(missing_docs)]

mod golden;
mod support;
