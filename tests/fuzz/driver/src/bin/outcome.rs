//! Gives libFuzzer's inputs to the target `outcome`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::outcome(data));
