//! Bytes that are no message: refused, without a panic and without believing any number in them.

use proptest::prelude::*;

use super::*;

fn refuses_truncation<Ours: Field>(name: &str, api: &Api, fix: fn(&mut Ours, i16)) {
    for (version, value) in samples::<Ours>(api, fix, 6) {
        let whole = body(&value, version);
        for end in 0..whole.len() {
            let cut = parse::<Ours>(&whole[..end], version);
            assert!(cut.is_err(), "{name} v{}: {end} of {} bytes are enough", version.number, whole.len());
        }
    }
}

#[test]
fn no_message_is_read_from_a_part_of_it() {
    macro_rules! check {
        ($name:expr, $api:expr, $ours:ty, $theirs:ty, $fix:expr) => {
            refuses_truncation::<$ours>($name, &$api, $fix);
        };
    }
    for_each_message!(check);
}

fn refuses_more<Ours: Field>(name: &str, api: &Api, fix: fn(&mut Ours, i16)) {
    for (version, value) in samples::<Ours>(api, fix, 6) {
        let longer = [&body(&value, version)[..], &[0]].concat();
        assert!(parse::<Ours>(&longer, version).is_err(), "{name} v{}", version.number);
    }
}

#[test]
fn no_message_is_read_from_more_than_it() {
    macro_rules! check {
        ($name:expr, $api:expr, $ours:ty, $theirs:ty, $fix:expr) => {
            refuses_more::<$ours>($name, &$api, $fix);
        };
    }
    for_each_message!(check);
}

/// Overwrites every place with lengths that are not true, so that each array, string and tagged field gets its turn.
fn survives_lies<Ours: Field>(api: &Api, fix: fn(&mut Ours, i16)) {
    const LIES: [&[u8]; 7] = [
        &[0x7f, 0xff, 0xff, 0xff],       // 2^31 - 1 elements
        &[0x80, 0x00, 0x00, 0x00],       // -2^31 elements; a varint with bits missing
        &[0xff, 0xff, 0xff, 0xfe],       // -2
        &[0xff, 0xff, 0xff, 0xff],       // -1, null
        &[0xff, 0xff, 0xff, 0xff, 0x0f], // 2^32 - 2 elements
        &[0xff, 0xff, 0xff, 0xff, 0xff], // a varint without end
        &[0x00],                         // null
    ];
    for (version, value) in samples::<Ours>(api, fix, 2) {
        let whole = body(&value, version);
        for at in 0..whole.len() {
            for lie in LIES {
                let mut bytes = whole.to_vec();
                let end = (at + lie.len()).min(bytes.len());
                bytes.splice(at..end, lie.iter().copied());
                let _ = parse::<Ours>(&bytes, version);
            }
        }
    }
}

#[test]
fn lengths_that_are_not_true_do_no_harm() {
    macro_rules! check {
        ($name:expr, $api:expr, $ours:ty, $theirs:ty, $fix:expr) => {
            survives_lies::<$ours>(&$api, $fix);
        };
    }
    for_each_message!(check);
}

/// What is read from bytes with one bit flipped is written and read again as the same.
fn survives_flips<Ours: Field + Debug + PartialEq>(name: &str, api: &Api, fix: fn(&mut Ours, i16)) {
    for (version, value) in samples::<Ours>(api, fix, 2) {
        let mut bytes = body(&value, version).to_vec();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = parse::<Ours>(&bytes, version) {
                let again = parse::<Ours>(&body(&read, version), version);
                assert_eq!(again.as_ref(), Ok(&read), "{name} v{} with bit {bit} flipped", version.number);
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_or_read_as_what_it_says() {
    macro_rules! check {
        ($name:expr, $api:expr, $ours:ty, $theirs:ty, $fix:expr) => {
            survives_flips::<$ours>($name, &$api, $fix);
        };
    }
    for_each_message!(check);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fn check<Ours: Field>(bytes: &[u8], api: &Api) {
            for version in versions(api) {
                let _ = parse::<Ours>(bytes, version);
            }
        }
        macro_rules! check {
            ($name:expr, $api:expr, $ours:ty, $theirs:ty, $fix:expr) => { check::<$ours>(&bytes, &$api); };
        }
        for_each_message!(check);
    }

    #[test]
    fn flipped_bits_do_no_harm(seed in any::<u64>()) {
        fn check<Ours: Field>(seed: u64, api: &Api) {
            let dice = &mut Dice::new(seed);
            for version in versions(api) {
                let mut bytes = body(&Ours::sample(dice, version), version).to_vec();
                for _ in 0..if bytes.is_empty() { 0 } else { 4 } {
                    let at = dice.index(bytes.len());
                    bytes[at] ^= 1 << (dice.number() % 8);
                }
                let _ = parse::<Ours>(&bytes, version);
            }
        }
        macro_rules! check {
            ($name:expr, $api:expr, $ours:ty, $theirs:ty, $fix:expr) => { check::<$ours>(seed, &$api); };
        }
        for_each_message!(check);
    }
}
