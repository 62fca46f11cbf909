//! afterimage
fn main() {}
