//! Everything that fuzzing found worth keeping, and every seed changed at every place.
//!
//! One test, because what is allocated is counted for the whole process.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests to us, if not to clippy")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use milena_hostile::{TARGETS, Target};

/// What an attacker writes where a length is.
const LIES: [&[u8]; 8] = [
    &[0x7f, 0xff, 0xff, 0xff],                                           // 2^31 - 1 elements
    &[0xff, 0xff, 0xff, 0xff],                                           // -1: null
    &[0xff, 0xff, 0xff, 0xfe],                                           // -2
    &[0x80, 0x00, 0x00, 0x00],                                           // -2^31
    &[0xff, 0xff, 0xff, 0xff, 0x0f], // 2^32 - 2 elements, or tagged fields without end
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // a varint without end
    &[0x7f, 0xff],                   // a string of 32767 bytes
    &[0x00],                         // null, or nothing
];

/// Of the changed seeds, one in so many is tried: all, but for what takes long without optimisation. (A prime, so that every kind of change has
/// its turn.)
fn stride(target: &Target) -> usize {
    match target.name {
        "broker" => 61,
        "log" => 13,
        "tls" => 23,
        "batches" | "pem" | "pkcs12" => 5,
        _ => 1,
    }
}

fn run(target: &Target, what: &dyn Fn() -> String, bytes: &[u8]) {
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    assert!(result.is_ok(), "{}: {}: {bytes:02x?}", target.name, what());
}

/// Every file of the corpus.
fn replay(target: &Target) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    for file in &files {
        run(target, &|| file.display().to_string(), &fs::read(file).unwrap());
    }
    files.len()
}

/// Every seed: as it is, cut at every byte, with each bit flipped, and with each lie at every place, in place of what is there and in front of it.
fn torment(target: &Target) {
    let mut changes = 0;
    let mut run = |what: &dyn Fn() -> String, bytes: &[u8]| {
        changes += 1;
        if changes % stride(target) == 0 {
            run(target, what, bytes);
        }
    };
    for (index, seed) in (target.seeds)().iter().enumerate() {
        run(&|| format!("seed {index}"), seed);
        for end in 0..seed.len() {
            run(&|| format!("seed {index} cut at {end}"), &seed[..end]);
        }
        let mut bytes = seed.clone();
        for bit in 0..seed.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            run(&|| format!("seed {index} with bit {bit} flipped"), &bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for at in 0..seed.len() {
            for lie in LIES {
                let over = (at + lie.len()).min(seed.len());
                for end in [at, over] {
                    let bytes = [&seed[..at], lie, &seed[end..]].concat();
                    run(&|| format!("seed {index} with {lie:02x?} at {at}..{end}"), &bytes);
                }
            }
        }
    }
}

#[test]
fn hostile_bytes_do_no_harm() {
    for target in TARGETS {
        let files = replay(target);
        assert!(files > 0, "{} has no corpus", target.name);
        torment(target);
    }
}
