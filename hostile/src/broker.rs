//! The embedded broker's core, with clients that send whatever they like.

use std::collections::BTreeMap;

use bytes::Bytes;
use milena_broker::EmbeddedCluster;
use milena_broker::{Keep, SimulatedCluster, SimulatedConn, SimulatedEvent};
use milena_wire::message::produce::ProduceRequestIn;
use milena_wire::{
    ApiKey, ApiVersion, BATCH_HEADER_LEN, BatchHeader, BrokerId, CorrelationId, Reader, RequestHeader, ResponseHeader,
    Timestamp,
};

use crate::budget::Budget;
use crate::input::Input;
use crate::messages;

/// Partitions there may be; few, so that asking for many is cheap to refuse and dear to grant.
const PARTITIONS: usize = 32;
const CONNECTIONS: usize = 3;
const NODES: i32 = 2;

/// A request, its answer and what it leaves behind: a topic of one byte takes some two kilobytes, and any request may be answered
/// with all that is there (metadata of all partitions, each batch that was ever appended).
const CLUSTER: Budget = Budget { per_byte: 4096, at_least: 4 << 20 };

/// `([how] [length, two bytes] frame)…`: requests on three connections to two nodes, with time passing in between.
pub fn broker(data: &[u8]) {
    CLUSTER.hold("the cluster", data.len(), || Stranger::new().run(Input::new(data)));
}

struct Stranger {
    cluster: SimulatedCluster,
    now: Timestamp,
    conns: [Option<SimulatedConn>; CONNECTIONS],
    /// What was asked on a connection and not answered, oldest first.
    asked: BTreeMap<SimulatedConn, Vec<Asked>>,
}

#[derive(Clone, Copy)]
struct Asked {
    api: ApiKey,
    version: ApiVersion,
    correlation: CorrelationId,
}

impl Stranger {
    fn new() -> Self {
        let builder = EmbeddedCluster::builder().nodes(2).partitions_max(PARTITIONS).keep(Keep::All);
        let mut cluster = builder.replication_lag(std::time::Duration::from_millis(3)).simulated();
        let now = Timestamp::from_millis(1);
        cluster.create_topic_with(now, "alpha", 2, 2, &[]).expect("a topic");
        Self { cluster, now, conns: [None; CONNECTIONS], asked: BTreeMap::new() }
    }

    fn run(mut self, mut input: Input<'_>) {
        while !input.is_over() {
            let how = input.byte();
            let len = usize::from(input.u16());
            let mut frame = input.take(len).to_vec();
            if how & 0x04 != 0 {
                mend(&mut frame);
            }
            self.send(usize::from(how & 0x03) % CONNECTIONS, frame);
            if how & 0x08 != 0 {
                self.pass(1 << (how >> 4));
            }
            self.listen();
        }
        // Whatever still waits has its time, and none waits for longer than it said.
        for _ in 0..64 {
            let Some(next) = self.cluster.next_timer() else { break };
            self.now = self.now.max(next);
            self.cluster.tick(self.now);
            self.listen();
        }
    }

    fn send(&mut self, at: usize, frame: Vec<u8>) {
        let conn = match self.conns[at] {
            Some(conn) => conn,
            None => {
                let node = BrokerId(1 + i32::try_from(at).unwrap_or(0) % NODES);
                let conn = self.cluster.connect(node).expect("all nodes run");
                self.conns[at] = Some(conn);
                conn
            }
        };
        let frame = Bytes::from(frame);
        if let Some(asked) = asked(&frame) {
            self.asked.entry(conn).or_default().push(asked);
        }
        self.cluster.receive(self.now, conn, frame);
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now + std::time::Duration::from_millis(millis);
        self.cluster.tick(self.now);
    }

    /// Every answer is one to the oldest request of its connection, and has the form of its version.
    fn listen(&mut self) {
        while let Some((conn, event)) = self.cluster.poll() {
            match event {
                SimulatedEvent::Send(frame) => {
                    let body = frame.slice(4..);
                    assert_eq!(frame[..4], u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
                    let waiting = self.asked.get_mut(&conn).expect("an answer to a request");
                    let correlation = CorrelationId(i32::from_be_bytes([body[0], body[1], body[2], body[3]]));
                    // Those with acks=0 have no answer.
                    let place =
                        waiting.iter().position(|asked| asked.correlation == correlation).expect("it was asked");
                    let unanswered: Vec<_> = waiting.drain(..=place).collect();
                    let (asked, before) = unanswered.split_last().expect("one at least");
                    assert!(before.iter().all(|asked| asked.api == ApiKey::PRODUCE));
                    let mut reader = Reader::new(&body);
                    ResponseHeader::decode(asked.api, asked.version, &mut reader).expect("a header");
                    messages::must_be_response(asked.api, asked.version, &body.slice(reader.position()..));
                }
                SimulatedEvent::SendPart(_) => unreachable!("nothing is scripted"),
                SimulatedEvent::Closed => {
                    self.asked.remove(&conn);
                    for open in self.conns.iter_mut().filter(|open| **open == Some(conn)) {
                        *open = None;
                    }
                }
            }
        }
    }
}

fn asked(frame: &Bytes) -> Option<Asked> {
    let header = RequestHeader::decode(&mut Reader::new(frame)).ok()?;
    Some(Asked { api: header.api_key, version: header.version, correlation: header.correlation })
}

/// Puts right the lengths and checksums of batches in a Produce request: by chance they never would be, and what lies behind the check would
/// never be tried.
fn mend(frame: &mut [u8]) {
    let whole = Bytes::copy_from_slice(frame);
    let mut reader = Reader::shared(&whole);
    let Ok(header) = RequestHeader::decode(&mut reader) else { return };
    if header.api_key != ApiKey::PRODUCE {
        return;
    }
    let Ok(request) = ProduceRequestIn::decode(header.version, &mut reader) else { return };
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    for records in partitions.filter_map(|partition| partition.records.as_ref()) {
        let start = records.as_ptr() as usize - whole.as_ptr() as usize;
        let Some(batch) = frame.get_mut(start..start + records.len()) else { continue };
        if batch.len() < BATCH_HEADER_LEN {
            continue;
        }
        let length = i32::try_from(batch.len() - 12).unwrap_or(0);
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        let Ok(header) = BatchHeader::decode(batch) else { continue };
        let payload = [Bytes::copy_from_slice(&batch[BATCH_HEADER_LEN..])];
        batch[..BATCH_HEADER_LEN].copy_from_slice(&header.encode(&payload));
    }
}

/// Conversations of golden requests.
pub(crate) fn broker_seeds() -> Vec<Vec<u8>> {
    let one =
        |how: u8, frame: &[u8]| [&[how], &u16::try_from(frame.len()).unwrap_or(0).to_be_bytes()[..], frame].concat();
    let requests = messages::request_seeds();
    let produce: Vec<_> = requests.iter().filter(|frame| frame.starts_with(&[0, 0])).collect();
    let mut seeds: Vec<_> = requests.iter().map(|frame| one(0x0c, frame)).collect();
    for frame in produce {
        seeds.push([one(0x04, frame), one(0x1d, frame), one(0x54, frame)].concat());
    }
    let all = requests.iter().rev().step_by(7).enumerate();
    seeds.push(all.flat_map(|(at, frame)| one(u8::try_from(at % 3).unwrap_or(0) | 0x04, frame)).collect());
    seeds
}
