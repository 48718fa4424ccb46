//! Gives libFuzzer's inputs to the target `labels`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::labels(data));
