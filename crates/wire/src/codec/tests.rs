use std::io::Write;

use bytes::Bytes;
use proptest::prelude::*;
use twox_hash::XxHash32;

use super::*;

const REAL: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// 254 bytes that every encoder finds something in.
fn text() -> Vec<u8> {
    (0..12).map(|i| format!("record {i} of a topic; ")).collect::<String>().into_bytes()
}

/// Bytes without any pattern.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().filter_map(|c| c.to_digit(16)).map(|d| d.try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn chunks(bytes: &[u8], len: usize) -> Vec<Bytes> {
    bytes.chunks(len).map(Bytes::copy_from_slice).collect()
}

fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    compress(Compression::new(codec), &chunks(bytes, 1000)).unwrap().to_vec()
}

fn fault(result: Result<Vec<u8>, CodecError>) -> CodecFault {
    result.unwrap_err().fault
}

fn is_corrupt(result: Result<Vec<u8>, CodecError>) -> bool {
    matches!(fault(result), CodecFault::Corrupt(_))
}

#[test]
fn codecs_have_kafkas_names_and_numbers() {
    let expected = [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];
    for (codec, (name, bits)) in Codec::ALL.into_iter().zip(expected) {
        assert_eq!((codec.name(), codec.bits()), (name, bits));
        assert_eq!((name.parse(), Codec::from_bits(bits)), (Ok(codec), Some(codec)));
    }
    assert_eq!(Codec::from_bits(5), None);
    assert_eq!(
        "brotli".parse::<Codec>().unwrap_err().to_string(),
        "unknown compression \"brotli\": none, gzip, snappy, lz4 and zstd are known"
    );
}

#[test]
fn levels_that_exist_are_taken() {
    for (codec, level) in
        [(Codec::Gzip, 1), (Codec::Gzip, 9), (Codec::Zstd, -131_072), (Codec::Zstd, 0), (Codec::Zstd, 22)]
    {
        let compression = Compression::with_level(codec, level).unwrap();
        assert_eq!((compression.codec(), compression.level()), (codec, Some(level)));
    }
    assert_eq!(Compression::with_level(Codec::Gzip, -1), Ok(Compression::new(Codec::Gzip)));
    assert_eq!(Compression::with_level(Codec::Zstd, 19).unwrap().to_string(), "zstd level 19");
    assert_eq!(Compression::default(), Compression::NONE);
}

#[test]
fn levels_that_do_not_exist_are_refused_with_the_reason() {
    let refused = |codec, level| Compression::with_level(codec, level).unwrap_err().to_string();
    assert_eq!(refused(Codec::None, 1), "compression level 1 is not available for none: nothing is compressed");
    assert_eq!(refused(Codec::Snappy, 5), "compression level 5 is not available for snappy: snappy has no levels");
    assert_eq!(
        refused(Codec::Lz4, 9),
        "compression level 9 is not available for lz4: its encoder (lz4_flex) has the fast mode only, \
         which is Kafka's default"
    );
    for level in [-2, 0, 10] {
        assert!(refused(Codec::Gzip, level).ends_with("for gzip: it has 1 to 9"), "{level}");
    }
    for level in [-131_073, 23] {
        assert!(refused(Codec::Zstd, level).ends_with("for zstd: it has -131072 to 22"), "{level}");
    }
}

#[test]
fn levels_trade_time_for_size() {
    let bytes =
        text().repeat(40).into_iter().zip(noise(10_160)).map(|(t, n)| if n < 30 { n } else { t }).collect::<Vec<u8>>();
    let size = |codec, level| {
        let compression = Compression::with_level(codec, level).unwrap();
        let packed = compress(compression, &chunks(&bytes, 1000)).unwrap().to_vec();
        assert_eq!(decompress(codec, &packed, bytes.len()).as_ref(), Ok(&bytes));
        packed.len()
    };
    assert!(size(Codec::Gzip, 9) < size(Codec::Gzip, 1));
    assert!(size(Codec::Zstd, 19) < size(Codec::Zstd, 1));
    assert!(size(Codec::Zstd, 1) < size(Codec::Zstd, -50));
    // The default of both is its own default level, and 0 is zstd's name for it.
    assert_eq!(size(Codec::Gzip, 6), packed(Codec::Gzip, &bytes).len());
    assert_eq!(size(Codec::Zstd, 3), packed(Codec::Zstd, &bytes).len());
    assert_eq!(size(Codec::Zstd, 0), packed(Codec::Zstd, &bytes).len());
}

#[test]
fn an_encoder_used_again_writes_what_a_new_one_writes() {
    let inputs = [text(), noise(200_000), Vec::new(), text().repeat(900), vec![0; 70_000], noise(5)];
    let compressions: Vec<Compression> = REAL
        .into_iter()
        .map(Compression::new)
        .chain([1, 9].map(|level| Compression::with_level(Codec::Gzip, level).unwrap()))
        .chain([-5, 1, 12].map(|level| Compression::with_level(Codec::Zstd, level).unwrap()))
        .collect();
    let mut used = Compressor::new();
    for round in 0..2 {
        for compression in &compressions {
            for input in &inputs {
                let input = chunks(input, 10_000);
                let (mut again, mut fresh) = (b"in front".to_vec(), b"in front".to_vec());
                used.compress(*compression, &input, &mut again).unwrap();
                Compressor::new().compress(*compression, &input, &mut fresh).unwrap();
                assert!(again == fresh, "{compression}, round {round}");
            }
        }
    }
}

#[test]
fn a_thread_has_its_buffer_back_empty_unless_it_has_grown_large() {
    let kept = |len: usize| {
        drop(compress(Compression::new(Codec::Lz4), &[noise(len)]).unwrap());
        let kept = KEPT.take().unwrap();
        let out = (kept.out.len(), kept.out.capacity());
        KEPT.set(Some(kept));
        out
    };
    let (len, small) = kept(100_000);
    assert!(len == 0 && small > 100_000);
    assert_eq!(kept(50_000), (0, small), "used again");
    assert_eq!(kept(KEPT_BYTES), (0, 0), "what is stored takes more than 1 MiB");
}

#[test]
fn what_is_written_does_not_depend_on_the_chunks() {
    let bytes = [text().repeat(300), noise(80_000)].concat();
    for codec in Codec::ALL {
        let whole = compress(Compression::new(codec), &chunks(&bytes, bytes.len())).unwrap().to_vec();
        for len in [100, 32 << 10, 64 << 10] {
            let mut cut = chunks(&bytes, len);
            cut.insert(1, Bytes::new());
            let packed = compress(Compression::new(codec), &cut).unwrap().to_vec();
            // Deflate looks no further for a match than the input it has been given.
            assert!(codec == Codec::Gzip || packed == whole, "{codec}, chunks of {len}");
            assert!(decompress(codec, &packed, bytes.len()).unwrap() == bytes, "{codec}, chunks of {len}");
        }
    }
}

#[test]
fn the_limit_is_exact() {
    for bytes in [text(), text().repeat(1000), noise(200_000), vec![0; 1 << 20]] {
        for codec in Codec::ALL {
            let packed = packed(codec, &bytes);
            assert!(decompress(codec, &packed, bytes.len()).unwrap() == bytes, "{codec}");
            for limit in [bytes.len() - 1, bytes.len() / 2, 1, 0] {
                assert_eq!(fault(decompress(codec, &packed, limit)), CodecFault::TooLarge { limit }, "{codec}");
            }
        }
    }
}

#[test]
fn data_cut_anywhere_is_not_taken_for_whole() {
    let bytes = [text(), noise(300)].concat();
    for codec in REAL {
        let packed = packed(codec, &bytes);
        for len in 0..packed.len() {
            // Snappy has no end mark: at the end of a block it is whole, but shorter. A batch's record count notices.
            match decompress(codec, &packed[..len], 1 << 20) {
                Ok(part) => assert!(codec == Codec::Snappy && part.is_empty() && len == 16, "{codec} cut at {len}"),
                Err(error) => assert!(matches!(error.fault, CodecFault::Corrupt(_)), "{codec} cut at {len}: {error}"),
            }
        }
    }
}

#[test]
fn snappy_is_written_as_xerial_does() {
    let bytes = [text().repeat(200), noise(40_000)].concat();
    let packed = packed(Codec::Snappy, &bytes);
    let (header, mut rest) = packed.split_at(16);
    assert_eq!(header, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    for expected in bytes.chunks(32 << 10) {
        let (len, after) = rest.split_first_chunk::<4>().unwrap();
        let (block, after) = after.split_at(u32::from_be_bytes(*len) as usize);
        assert!(snap::raw::Decoder::new().decompress_vec(block).unwrap() == expected);
        rest = after;
    }
    assert!(rest.is_empty());
}

#[test]
fn snappy_is_read_with_and_without_framing() {
    let raw = snap::raw::Encoder::new().compress_vec(&text()).unwrap();
    assert_eq!(decompress(Codec::Snappy, &raw, 254), Ok(text()));
    // Two streams end to end, as Java reads them.
    let twice = packed(Codec::Snappy, &text()).repeat(2);
    assert_eq!(decompress(Codec::Snappy, &twice, 508), Ok(text().repeat(2)));
    // A block above 32 KiB, from a writer with other ideas.
    let large = snap::raw::Encoder::new().compress_vec(&text().repeat(1000)).unwrap();
    let framed =
        [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", &u32::try_from(large.len()).unwrap().to_be_bytes()[..], &large].concat();
    assert!(decompress(Codec::Snappy, &framed, 254_000).unwrap() == text().repeat(1000));
}

#[test]
fn snappy_that_lies_is_refused() {
    let good = packed(Codec::Snappy, &text());
    let mut newer = good.clone();
    newer[15] = 2;
    assert!(is_corrupt(decompress(Codec::Snappy, &newer, 1000)));
    let mut longer = good.clone();
    longer[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(is_corrupt(decompress(Codec::Snappy, &longer, 1000)));
    // A raw block of 3 bytes that claims half a GiB.
    assert!(is_corrupt(decompress(Codec::Snappy, &[0x80, 0x80, 0x80, 0x80, 0x02, 0, 1], usize::MAX)));
}

#[test]
fn lz4_is_written_as_kafka_reads_it() {
    let bytes = [text().repeat(400), noise(100_000)].concat();
    let packed = packed(Codec::Lz4, &bytes);
    let (header, mut rest) = packed.split_at(7);
    assert_eq!(header, [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    let mut stored = 0;
    for expected in bytes.chunks(64 << 10) {
        let (size, after) = rest.split_first_chunk::<4>().unwrap();
        let size = u32::from_le_bytes(*size);
        let (block, after) = after.split_at((size & 0x7fff_ffff) as usize);
        if size >> 31 == 1 {
            stored += 1;
            assert!(block == expected);
        } else {
            assert!(lz4_flex::block::decompress(block, 64 << 10).unwrap() == expected);
        }
        rest = after;
    }
    assert_eq!(stored, 2, "what does not shrink is stored");
    assert_eq!(rest, [0; 4]);
    assert_eq!(compress(Compression::new(Codec::Lz4), &[b""; 0]).unwrap().len(), 11);
    // The encoder crate's own reader agrees.
    let mut theirs = Vec::new();
    std::io::Read::read_to_end(&mut lz4_flex::frame::FrameDecoder::new(&packed[..]), &mut theirs).unwrap();
    assert!(theirs == bytes);
}

/// One block of [`text`], as the reference implementation's command line wrote it.
const LZ4_BLOCK: &str = "54000000f3067265636f72642030206f66206120746f7069633b2015001f311500011f321500011f331500011f3415
    00011f351500011f361500011f371500011f381500011f391500011f31d3000305d400507069633b20";
const LZ4_BLOCK_CHECKSUM: &str = "e6ea1404";
const LZ4_CONTENT_CHECKSUM: &str = "d19e4c3a";

#[test]
fn lz4_of_the_reference_implementation_is_read() {
    let frames = [
        ("60 40 82", "", ""),
        ("60 50 fb", "", ""),
        ("60 60 51", "", ""),
        ("60 70 73", "", ""),
        ("64 40 a7", "", LZ4_CONTENT_CHECKSUM),
        ("74 40 bd", LZ4_BLOCK_CHECKSUM, LZ4_CONTENT_CHECKSUM),
        ("7c 40 fe00000000000000 5e", LZ4_BLOCK_CHECKSUM, LZ4_CONTENT_CHECKSUM),
    ];
    for (descriptor, block_checksum, content_checksum) in frames {
        let frame = unhex(&format!("04224d18 {descriptor} {LZ4_BLOCK} {block_checksum} 00000000 {content_checksum}"));
        assert_eq!(decompress(Codec::Lz4, &frame, 254), Ok(text()), "{descriptor}");
        for len in 0..frame.len() {
            assert!(is_corrupt(decompress(Codec::Lz4, &frame[..len], 254)), "{descriptor} cut at {len}");
        }
        // Java's reader does not look behind the frame.
        assert_eq!(decompress(Codec::Lz4, &[frame, vec![1, 2, 3]].concat(), 254), Ok(text()), "{descriptor}");
    }
}

#[test]
fn lz4_that_kafka_does_not_read_is_refused() {
    let frame = |flg: u8, bd: u8| {
        let checksum = XxHash32::oneshot(0, &[flg, bd]).to_be_bytes()[2];
        [&[0x04, 0x22, 0x4d, 0x18, flg, bd, checksum][..], &unhex(LZ4_BLOCK), &[0; 4]].concat()
    };
    let refused = |frame: &[u8]| match fault(decompress(Codec::Lz4, frame, 254)) {
        CodecFault::Corrupt(what) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(decompress(Codec::Lz4, &frame(0x60, 0x40), 254), Ok(text()));
    assert_eq!(refused(&frame(0x40, 0x40)), "its blocks depend on each other, which Kafka does not read");
    for (flg, bd) in [(0x20, 0x40), (0xa0, 0x40), (0x61, 0x40), (0x62, 0x40), (0x60, 0xc0), (0x60, 0x41)] {
        assert_eq!(refused(&frame(flg, bd)), "its header has unknown bits", "{flg:x} {bd:x}");
    }
    for bd in [0x00, 0x30] {
        assert_eq!(refused(&frame(0x60, bd)), "its block size is unknown");
    }
    let mut bad = frame(0x60, 0x40);
    bad[6] ^= 1;
    assert_eq!(refused(&bad), "its header's checksum does not match");
    bad = frame(0x60, 0x40);
    bad[0] = 5;
    assert_eq!(refused(&bad), "it does not begin like an LZ4 frame");
    bad = frame(0x60, 0x40);
    bad[7..11].copy_from_slice(&(65_537_u32).to_le_bytes());
    assert_eq!(refused(&bad), "a block is larger than its frame allows");
    bad = unhex(&format!("04224d18 74 40 bd {LZ4_BLOCK} {LZ4_BLOCK_CHECKSUM} 00000000 {LZ4_CONTENT_CHECKSUM}"));
    let at = bad.len() - 12;
    bad[at] ^= 1;
    assert_eq!(refused(&bad), "a block's checksum does not match");
}

#[test]
fn gzip_is_one_member_when_written_and_any_number_when_read() {
    let one = packed(Codec::Gzip, &text());
    assert_eq!(one[..4], [0x1f, 0x8b, 8, 0]);
    let mut single = Vec::new();
    std::io::Read::read_to_end(&mut flate2::bufread::GzDecoder::new(&one[..]), &mut single).unwrap();
    assert_eq!(single, text());
    assert_eq!(decompress(Codec::Gzip, &one.repeat(3), 762), Ok(text().repeat(3)));
    // With a name and a time in its header, as the command line writes it.
    let mut named = flate2::GzBuilder::new().filename("a").mtime(7).write(Vec::new(), flate2::Compression::best());
    named.write_all(&text()).unwrap();
    assert_eq!(decompress(Codec::Gzip, &named.finish().unwrap(), 254), Ok(text()));
}

#[test]
fn gzip_with_a_wrong_checksum_or_length_is_refused() {
    let good = packed(Codec::Gzip, &text());
    for at in good.len() - 8..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(is_corrupt(decompress(Codec::Gzip, &bad, 254)), "{at}");
        assert!(is_corrupt(decompress(Codec::Gzip, &bad, 1000)), "{at}");
    }
}

#[test]
fn zstd_of_the_reference_implementation_is_read() {
    let frames = [
        // Streamed: no content size. With a checksum; without; level 22, whose window is 128 MiB; level -5.
        "28b52ffd0458e50100f87265636f72642030206f66206120746f7069633b20313233343536373839310c005793c16a94033403b400fa00cd
            002d803e4033400ba037ba9309c6275e62",
        "28b52ffd0058e50100f87265636f72642030206f66206120746f7069633b20313233343536373839310c005793c16a94033403b400fa00cd
            002d803e4033400ba037ba9309",
        "28b52ffd0488d5010004027265636f72642030206f66206120746f7069633b2031323334353637383931310ca810f0fa9f03b023eb108684
            23b13c0ec95aa1df88a0edc6275e62",
        "28b52ffd0448dd030014067265636f72642030206f66206120746f7069633b207265636f72642031206f66206120746f7069633b2032206f
            662033206f662034206f662035206f662036206f662037206f662038206f662039206f66203131206f66206120746f7069633b200a00
            56a308806880688068806880688068806880b45aa6cac6275e62",
    ];
    for frame in frames.map(unhex) {
        assert_eq!(decompress(Codec::Zstd, &frame, 254), Ok(text()));
        assert_eq!(fault(decompress(Codec::Zstd, &frame, 253)), CodecFault::TooLarge { limit: 253 });
        assert_eq!(decompress(Codec::Zstd, &frame, 1 << 20), Ok(text()));
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        let several = [&frame[..], &skippable, &packed(Codec::Zstd, &[]), &frame].concat();
        assert_eq!(decompress(Codec::Zstd, &several, 508), Ok(text().repeat(2)));
        assert_eq!(fault(decompress(Codec::Zstd, &several, 507)), CodecFault::TooLarge { limit: 507 });
    }
    let mut bad = unhex(frames[0]);
    *bad.last_mut().unwrap() ^= 1;
    assert!(is_corrupt(decompress(Codec::Zstd, &bad, 254)), "the checksum is compared");
}

#[test]
fn a_zstd_frame_that_lies_about_its_size_is_refused() {
    // One block of 1000 zeros by repetition; declared sizes 0 and 999.
    let frame = |size: u16| {
        let [a, b] = size.wrapping_sub(256).to_le_bytes();
        [0x28, 0xb5, 0x2f, 0xfd, 0b0110_0000, a, b, 0x43, 0x1f, 0, 0]
    };
    assert_eq!(decompress(Codec::Zstd, &frame(1000), 1000), Ok(vec![0; 1000]));
    assert!(is_corrupt(decompress(Codec::Zstd, &frame(999), 10_000)));
    assert!(is_corrupt(decompress(Codec::Zstd, &frame(1001), 10_000)));
    // A frame declared empty, with a window of 128 MiB and blocks behind.
    let mut empty = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1000_0000, 0x88, 0, 0, 0, 0];
    empty.extend_from_slice(&[0x02, 0, 0x10, 7].repeat(10));
    empty.extend_from_slice(&[0x03, 0, 0x10, 7]);
    assert!(is_corrupt(decompress(Codec::Zstd, &empty, 1 << 20)));
    // The 254 bytes of the text, said to be 240 and 253: malformed even though the limit would hold them.
    for size in ["f0", "fd"] {
        let frame = unhex(&format!(
            "28b52ffd 20 {size} e50100f87265636f72642030206f66206120746f7069633b20313233343536373839310c005793c16a94033403b4
             00fa00cd002d803e4033400ba037ba9309"
        ));
        assert!(is_corrupt(decompress(Codec::Zstd, &frame, 1000)), "{size}");
    }
    // A dictionary nobody has.
    assert!(is_corrupt(decompress(Codec::Zstd, &[0x28, 0xb5, 0x2f, 0xfd, 0x21, 9, 1, 9, 0, 0, 7], 1 << 20)));
}

fn any_input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (0_usize..100_000).prop_map(noise),
        (1_usize..400).prop_map(|times| text().repeat(times)),
    ]
}

/// The first bytes that each codec looks for, so that random bytes get further than those.
fn magic(codec: Codec) -> Vec<u8> {
    match codec {
        Codec::None => Vec::new(),
        Codec::Gzip => vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
        Codec::Snappy => b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0".to_vec(),
        Codec::Lz4 => unhex("04224d18604082"),
        Codec::Zstd => unhex("28b52ffd"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_input_comes_back(
        bytes in any_input(),
        codec in prop::sample::select(&REAL[..]),
        chunk_len in 1_usize..70_000,
    ) {
        let packed = compress(Compression::new(codec), &chunks(&bytes, chunk_len)).unwrap().to_vec();
        prop_assert!(decompress(codec, &packed, bytes.len()).unwrap() == bytes);
    }

    #[test]
    fn random_bytes_never_panic_nor_exceed_the_limit(
        tail in prop::collection::vec(any::<u8>(), 0..400),
        with_magic: bool,
    ) {
        for codec in REAL {
            let mut input = if with_magic { magic(codec) } else { Vec::new() };
            input.extend_from_slice(&tail);
            if let Ok(out) = decompress(codec, &input, 100_000) {
                prop_assert!(out.len() <= 100_000);
            }
        }
    }

    #[test]
    fn damaged_data_never_panics_nor_exceeds_the_limit(
        bytes in any_input(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        for codec in REAL {
            let mut packed = packed(codec, &bytes);
            for (at, byte) in &damage {
                let at = at.index(packed.len());
                packed[at] = *byte;
            }
            if let Ok(out) = decompress(codec, &packed, 100_000) {
                prop_assert!(out.len() <= 100_000);
            }
        }
    }
}
