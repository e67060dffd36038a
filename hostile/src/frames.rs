//! Streams cut into frames, on both sides.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use milena_broker::hostile::read_frame;
use milena_pool::LostCause;
use milena_pool::hostile::Receiver;
use tokio::io::{AsyncRead, ReadBuf};

use crate::budget::Budget;
use crate::input::Input;

/// Larger frames are refused.
const MAX_FRAME: usize = 4096;

/// The client makes room for 32 KiB and grows with what has come; an announced size alone costs nothing. Each time that the rest moves to a new
/// buffer it is asked for again.
const CLIENT: Budget = Budget { per_byte: 64, at_least: 80 * 1024 };

/// The broker reads 256 KiB at a time, and reserves a frame of up to 16 MiB at once.
const BROKER: Budget = Budget { per_byte: 64, at_least: 600 * 1024 };

/// `[step] bytes`: the same frames come out however the bytes are split, those that are there and no more.
pub fn frames(data: &[u8]) {
    let mut input = Input::new(data);
    let step = usize::from(input.byte()) + 1;
    let bytes = input.rest();
    let expected = cut(bytes);

    let (frames, error) = CLIENT.hold("the client", bytes.len(), || client(bytes, step));
    assert_eq!((&frames, error), (&expected.0, expected.1), "the client, {step} bytes at a time");
    let (frames, error) = BROKER.hold("the broker", bytes.len(), || broker(bytes, step));
    assert_eq!((&frames, error), (&expected.0, expected.1), "the broker, {step} bytes at a time");
}

/// What must come out: all whole frames in front of the first impossible size, and whether there was one.
fn cut(mut bytes: &[u8]) -> (Vec<Bytes>, bool) {
    let mut frames = Vec::new();
    while let Some((size, rest)) = bytes.split_first_chunk() {
        let Some(size) = usize::try_from(i32::from_be_bytes(*size)).ok().filter(|size| *size <= MAX_FRAME) else {
            return (frames, true);
        };
        let Some((frame, rest)) = rest.split_at_checked(size) else { break };
        frames.push(Bytes::copy_from_slice(frame));
        bytes = rest;
    }
    (frames, false)
}

fn client(mut bytes: &[u8], step: usize) -> (Vec<Bytes>, bool) {
    let mut receiver = Receiver::new(MAX_FRAME);
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let taken = receiver.read(&bytes[..step.min(bytes.len())]);
        assert!(taken > 0, "there is always room");
        bytes = &bytes[taken..];
        loop {
            match receiver.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(cause) => {
                    assert!(matches!(cause, LostCause::FrameSize { limit: MAX_FRAME, .. }));
                    assert_eq!(receiver.next_frame(), Err(cause), "for ever");
                    return (frames, true);
                }
            }
        }
    }
    let _ = receiver.end();
    (frames, false)
}

fn broker(bytes: &[u8], step: usize) -> (Vec<Bytes>, bool) {
    let (mut stream, mut buffer, mut frames) = (Steps { bytes, step }, BytesMut::new(), Vec::new());
    loop {
        let next = pin!(read_frame(&mut stream, &mut buffer, MAX_FRAME));
        let Poll::Ready(next) = next.poll(&mut Context::from_waker(Waker::noop())) else {
            unreachable!("the stream is always ready")
        };
        match next {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, false),
            Err(error) => return (frames, error.kind() == io::ErrorKind::InvalidData),
        }
    }
}

/// Gives out a few bytes at a time.
struct Steps<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl AsyncRead for Steps<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let taken = self.step.min(self.bytes.len()).min(out.remaining());
        out.put_slice(&self.bytes[..taken]);
        self.bytes = &self.bytes[taken..];
        Poll::Ready(Ok(()))
    }
}

/// Frames behind one another, by the byte and at once.
pub(crate) fn frame_seeds() -> Vec<Vec<u8>> {
    let framed = |bodies: &[&[u8]]| -> Vec<u8> {
        let one = |body: &&[u8]| [&u32::try_from(body.len()).unwrap_or(0).to_be_bytes(), *body].concat();
        bodies.iter().flat_map(one).collect()
    };
    let streams = [
        framed(&[b"one", b"", b"another one"]),
        framed(&[&[7; 300], &[8; 200]]),
        [framed(&[b"whole"]), vec![0, 0, 0, 9, b'h']].concat(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0x15, 0x03, 0x03, 0, 2, 2, 70],
        [framed(&[b"x"]), vec![0xff; 4]].concat(),
        vec![0, 0, 0x10, 0, 1, 2, 3],
    ];
    streams.iter().flat_map(|stream| [0, 6, 255].map(|step| [&[step], &stream[..]].concat())).collect()
}
