//! The crate against the corpus, the recorded documents and everything that is neither.

mod model;
mod oddities;
mod recorded;
mod robust;
