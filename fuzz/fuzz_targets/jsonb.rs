//! See `fuzz::jsonb`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::jsonb(data));

#[cfg(not(fuzzing))]
fn main() {}
