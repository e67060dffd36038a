#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| milena_hostile::tls(data));
