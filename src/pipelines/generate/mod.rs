//! Sample data and load: what `afterimage generate NAME` puts into a source database.
//!
//! Deterministic by seed, so that a run can be repeated. Never touches topics or a pipeline's own state.

mod orders;

pub use orders::{Generated, OrdersLoad, orders};
