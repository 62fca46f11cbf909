//! See `fuzz::packets`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::packets(data));

#[cfg(not(fuzzing))]
fn main() {}
