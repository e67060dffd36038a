//! One batch on its way to the socket, and back.

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use milena_accumulator::{AccumulatorConfig, SealedBatch};
use milena_benches::{Queues, Shape, text};
use milena_wire::message::produce::{ProducePartition, ProduceRequest, ProduceTopic};
use milena_wire::{
    ApiVersion, BatchView, Codec, Compression, Compressor, CorrelationId, PartitionId, PayloadCrc, TopicId, TopicName,
    decompress,
};

const SIZES: [usize; 3] = [16 << 10, 64 << 10, 256 << 10];
const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn main() {
    divan::main();
}

/// One full batch of 100-byte records in that many bytes.
fn batch(batch_size: usize) -> SealedBatch {
    let mut queues = Queues::new(AccumulatorConfig { batch_size, ..AccumulatorConfig::default() }, 1);
    let shape = Shape::value(100);
    (0..batch_size / 100).for_each(|token| queues.append_with_token(&shape, token as u64));
    queues.seal_all().swap_remove(0)
}

#[divan::bench(args = SIZES)]
fn seal_and_settle(bencher: Bencher<'_, '_>, batch_size: usize) {
    let mut queues = Queues::new(AccumulatorConfig { batch_size, ..AccumulatorConfig::default() }, 1);
    let shape = Shape::value(1000);
    bencher.counter(BytesCount::new(batch_size)).bench_local(|| {
        (0..batch_size / 1000).for_each(|token| queues.append_with_token(&shape, token as u64));
        Queues::settle(queues.seal_all());
    });
}

#[divan::bench(args = SIZES)]
fn crc_of_a_payload(bencher: Bencher<'_, '_>, bytes: usize) {
    let payload = [Bytes::from(text(bytes))];
    bencher.counter(BytesCount::new(bytes)).bench_local(|| PayloadCrc::of(black_box(&payload)));
}

#[divan::bench(args = SIZES)]
fn header_of_an_attempt(bencher: Bencher<'_, '_>, bytes: usize) {
    let batch = batch(bytes);
    bencher.bench_local(|| black_box(&batch).header(None));
}

#[divan::bench(args = CODECS)]
fn compress_64_kib(bencher: Bencher<'_, '_>, codec: Codec) {
    let input = [Bytes::from(text(64 << 10))];
    let compression = Compression::new(codec);
    let mut compressor = Compressor::new();
    let mut out = Vec::with_capacity(64 << 10);
    bencher.counter(BytesCount::new(64_usize << 10)).bench_local(|| {
        out.clear();
        compressor.compress(compression, black_box(&input), &mut out).expect("memory suffices");
    });
}

#[divan::bench(args = CODECS)]
fn decompress_64_kib(bencher: Bencher<'_, '_>, codec: Codec) {
    let compression = Compression::new(codec);
    let small = milena_wire::compress(compression, &[text(64 << 10)]).expect("memory suffices").to_vec();
    bencher
        .counter(BytesCount::new(64_usize << 10))
        .bench_local(|| decompress(codec, black_box(&small), 64 << 10).expect("it was compressed above"));
}

#[divan::bench(args = SIZES)]
fn decode_and_check(bencher: Bencher<'_, '_>, bytes: usize) {
    let batch = batch(bytes);
    let mut wire = batch.header(None).to_vec();
    batch.payload().iter().for_each(|slice| wire.extend_from_slice(slice));
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        let (view, _) = BatchView::parse(black_box(&wire)).expect("it was encoded above");
        view.verify_crc().expect("nothing was changed");
        view.records(bytes).expect("it is not compressed").iter().filter(Result::is_ok).count()
    });
}

/// A request of so many partitions, one batch of 16 KiB each.
#[divan::bench(args = [1, 6, 100])]
fn encode_a_produce_request(bencher: Bencher<'_, '_>, partitions: i32) {
    let batch = batch(16 << 10);
    let partition = |index| ProducePartition {
        index: PartitionId(index),
        header: batch.header(None),
        payload: batch.payload().clone(),
    };
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topics: vec![ProduceTopic {
            name: TopicName::new("letters"),
            id: TopicId::default(),
            partitions: (0..partitions).map(partition).collect(),
        }],
    };
    bencher.bench_local(|| black_box(&request).encode_frame(ApiVersion(12), CorrelationId(1), Some("benches")));
}
