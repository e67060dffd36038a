//! The floor: what no producer can be cheaper than. One thread, blocking sockets, no handles, no retries, no metadata, no codec.
//!
//! It fills a batch for each partition in turn, sends all of them in one request, and reads the oldest answer when five are under
//! way. Produce version 8 is the last whose encoding fits on a page.

mod stream;

use std::cell::RefCell;
use std::time::{Instant, SystemTime};

use peer_common::{Client, Ear, Payload, Schedule, Until, Work, fail};
use stream::Stream;

fn main() {
    peer_common::main::<Floor>();
}

/// Requests without an answer at most.
const IN_FLIGHT: usize = 5;
/// Of a record batch; the first 21 bytes are not covered by the CRC.
const HEADER: usize = 61;

struct Floor {
    // The client trait is shared by threads; the floor has one.
    socket: std::sync::Mutex<Socket>,
    payload: Payload,
    batch: usize,
    tls: bool,
}

struct Socket {
    stream: RefCell<Box<dyn Stream>>,
    producer: (i64, i16),
    sequences: Vec<i32>,
    correlation: i32,
    answers: RefCell<Vec<u8>>,
}

impl Socket {
    fn connect(work: &Work) -> Self {
        let mut socket = Self {
            stream: RefCell::new(stream::open(work)),
            producer: (-1, -1),
            sequences: vec![0; work.partitions as usize],
            correlation: 0,
            answers: RefCell::default(),
        };
        let mut request = Vec::new();
        begin(&mut request, 22, 0, 0); // InitProducerId
        string(&mut request, None);
        request.extend(60_000i32.to_be_bytes());
        socket.send(&mut request);
        let answer = socket.answer();
        // After correlation id, throttle time and error code.
        let field = |from: usize, to: usize| &answer[from..to];
        if field(8, 10) != [0, 0] {
            fail("no producer id");
        }
        let id = i64::from_be_bytes(field(10, 18).try_into().unwrap_or_else(|_| fail("short")));
        let epoch = i16::from_be_bytes(field(18, 20).try_into().unwrap_or_else(|_| fail("short")));
        drop(answer);
        socket.producer = (id, epoch);
        socket
    }

    fn send(&mut self, request: &mut [u8]) {
        let length = i32::try_from(request.len() - 4).unwrap_or_else(|_| fail("too long"));
        request[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.get_mut().write_all(request).unwrap_or_else(|error| fail(error));
    }

    fn answer(&self) -> std::cell::Ref<'_, Vec<u8>> {
        let mut length = [0; 4];
        let mut stream = self.stream.borrow_mut();
        stream.read_exact(&mut length).unwrap_or_else(|error| fail(error));
        {
            let mut answer = self.answers.borrow_mut();
            answer.resize(u32::from_be_bytes(length) as usize, 0);
            stream.read_exact(&mut answer).unwrap_or_else(|error| fail(error));
        }
        self.answers.borrow()
    }

    /// Reads the answer to a Produce request of one topic, and looks at the error code of each partition.
    fn acknowledged(&self, topic: &str) {
        let answer = self.answer();
        let partitions = 4 + 4 + 2 + topic.len();
        let count = u32::from_be_bytes(answer[partitions..partitions + 4].try_into().unwrap_or_else(|_| fail("short")));
        let mut at = partitions + 4;
        for _ in 0..count {
            if answer[at + 4..at + 6] != [0, 0] {
                fail(format_args!("a batch was refused: {:?}", &answer[at + 4..at + 6]));
            }
            // index, code, base offset, append time, start offset, then no record errors and no message
            at += 4 + 2 + 8 + 8 + 8 + 4 + 2;
        }
    }
}

/// The size is filled in later.
fn begin(request: &mut Vec<u8>, api: i16, version: i16, correlation: i32) {
    request.clear();
    request.extend([0; 4]);
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(correlation.to_be_bytes());
    string(request, Some("floor"));
}

fn string(request: &mut Vec<u8>, text: Option<&str>) {
    request.extend(text.map_or(-1, |text| text.len() as i16).to_be_bytes());
    request.extend(text.unwrap_or("").as_bytes());
}

fn begin_produce(request: &mut Vec<u8>, topic: &str, partitions: i32, correlation: i32) {
    begin(request, 0, 8, correlation);
    string(request, None);
    request.extend((-1i16).to_be_bytes()); // acks=all
    request.extend(30_000i32.to_be_bytes());
    request.extend(1i32.to_be_bytes());
    string(request, Some(topic));
    request.extend(partitions.to_be_bytes());
}

/// A varint of a small number that is not negative, as Kafka writes signed ones.
#[inline]
fn varint(bytes: &mut Vec<u8>, value: usize) {
    let mut value = value << 1;
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[inline]
fn varint_len(value: usize) -> usize {
    match value << 1 {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

impl Floor {
    /// One batch with records from `first` on, until it is full or has `max` records; tells how many.
    fn batch(&self, request: &mut Vec<u8>, socket: &mut Socket, partition: i32, first: u64, max: u64) -> u64 {
        request.extend(partition.to_be_bytes());
        let start = request.len() + 4;
        request.resize(start + HEADER, 0);
        let mut records = 0;
        while records < max {
            let value = self.payload.of(first + records);
            let delta = records as usize;
            // attributes, timestamp delta, no key, no headers: one byte each
            let length = 4 + varint_len(delta) + varint_len(value.len()) + value.len();
            if request.len() - start + length + 4 > self.batch && records > 0 {
                break;
            }
            varint(request, length);
            request.extend([0, 0]);
            varint(request, delta);
            request.push(1); // -1: no key
            varint(request, value.len());
            request.extend_from_slice(value);
            request.push(0);
            records += 1;
        }
        let batch = request.len() - start;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
        put(start - 4, &(batch as i32).to_be_bytes());
        put(start + 8, &(batch as i32 - 12).to_be_bytes());
        put(start + 12, &0i32.to_be_bytes());
        put(start + 16, &[2]);
        put(start + 23, &(records as i32 - 1).to_be_bytes());
        put(start + 27, &now.to_be_bytes());
        put(start + 35, &now.to_be_bytes());
        put(start + 43, &socket.producer.0.to_be_bytes());
        put(start + 51, &socket.producer.1.to_be_bytes());
        put(start + 53, &socket.sequences[partition as usize].to_be_bytes());
        put(start + 57, &(records as i32).to_be_bytes());
        let crc = crc32c::crc32c(&request[start + 21..]);
        request[start + 17..start + 21].copy_from_slice(&crc.to_be_bytes());
        socket.sequences[partition as usize] += records as i32;
        records
    }
}

impl Client for Floor {
    fn connect(work: &Work) -> Self {
        let batch = if work.batch > 0 { work.batch } else { 256 * 1024 };
        Self {
            socket: std::sync::Mutex::new(Socket::connect(work)),
            payload: Payload::new(work),
            batch,
            tls: work.tls.is_some(),
        }
    }

    fn settings(&self) -> String {
        let tls = if self.tls { " tls=rustls with graviola" } else { "" };
        format!("batch={} in_flight={IN_FLIGHT} acks=all, producer id and sequences{tls}", self.batch)
    }

    fn one_each(&self, work: &Work) {
        let mut socket = self.socket.lock().unwrap_or_else(|error| fail(error));
        let mut request = Vec::new();
        begin_produce(&mut request, work.topic(0), 1, 0);
        self.batch(&mut request, &mut socket, 0, 0, 1);
        socket.send(&mut request);
        socket.acknowledged(work.topic(0));
    }

    fn stream(&self, work: &Work, first: u64, until: Until) -> u64 {
        let mut socket = self.socket.lock().unwrap_or_else(|error| fail(error));
        let mut request = Vec::new();
        let (mut records, mut in_flight) = (0, 0);
        while !until.is_over() {
            socket.correlation += 1;
            begin_produce(&mut request, work.topic(0), work.partitions, socket.correlation);
            for partition in 0..work.partitions {
                records += self.batch(&mut request, &mut socket, partition, first + records, u64::MAX);
            }
            if in_flight == IN_FLIGHT {
                socket.acknowledged(work.topic(0));
                in_flight -= 1;
            }
            socket.send(&mut request);
            in_flight += 1;
        }
        (0..in_flight).for_each(|_| socket.acknowledged(work.topic(0)));
        records
    }

    /// The raw round trip: one record, one request, and the wait for its answer.
    fn rate(&self, work: &Work, schedule: Schedule, ear: &'static Ear) -> bool {
        let mut socket = self.socket.lock().unwrap_or_else(|error| fail(error));
        let mut request = Vec::new();
        schedule.run(ear, |number| {
            let began = Instant::now();
            begin_produce(&mut request, work.topic(0), 1, 0);
            let partition = (number % work.partitions as u64) as i32;
            self.batch(&mut request, &mut socket, partition, number, 1);
            socket.send(&mut request);
            socket.acknowledged(work.topic(0));
            ear.took(began.elapsed());
        });
        true
    }
}
