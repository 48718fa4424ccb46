//! Gives libFuzzer's inputs to the target `names`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::names(data));
