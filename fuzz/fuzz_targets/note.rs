#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skopeo_index_fuzz::note::target(data));
