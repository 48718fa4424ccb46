//! Gives libFuzzer's inputs to the target `verify`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::verify(data));
