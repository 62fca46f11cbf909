//! See `fuzz::binlog_events`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::binlog_events(data));

#[cfg(not(fuzzing))]
fn main() {}
