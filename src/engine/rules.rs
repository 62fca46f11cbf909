//! The core's safety rules by name, so that the simulation can show that it notices the absence of each.
//!
//! Everything that is linked into the product uses [`Sound`]; leaving a rule out takes another type, which only a test
//! can name.

/// Which rules hold. Constants, so that the rule costs nothing where it holds.
pub trait Rules: 'static {
    /// Positions move over the contiguous prefix of delivered batches only.
    const PREFIX_ONLY: bool = true;
    /// A position is released only once everything before it is delivered.
    const DELIVERED_ONLY: bool = true;
}

/// All rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound;

impl Rules for Sound {}
