use std::task::Waker;

use super::*;

/// Takes at most `most` bytes per write and counts what it is given.
struct Narrow {
    most: usize,
    taken: Vec<u8>,
    writes: usize,
    most_slices: usize,
}

impl Narrow {
    fn new(most: usize) -> Self {
        Self { most, taken: Vec::new(), writes: 0, most_slices: 0 }
    }
}

impl AsyncWrite for Narrow {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes += 1;
        self.most_slices = self.most_slices.max(bufs.len());
        let bytes = bufs.iter().flat_map(|buf| buf.iter().copied()).take(self.most);
        let before = self.taken.len();
        self.taken.extend(bytes);
        Poll::Ready(Ok(self.taken.len() - before))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn frame(parts: &[&'static str]) -> Frame {
    let mut frame = Frame::default();
    for part in parts {
        frame.push(Bytes::from_static(part.as_bytes()));
    }
    frame
}

/// Writes everything; after each write, how many bytes were taken and how many frames were told as complete.
fn drain(outbox: &mut Outbox, stream: &mut Narrow) -> Vec<(usize, usize)> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut told = 0;
    let mut log = Vec::new();
    while !outbox.is_empty() {
        let Poll::Ready(Ok(frames)) = outbox.poll_write(&mut cx, stream) else { panic!("this stream is always ready") };
        told += frames;
        log.push((stream.taken.len(), told));
    }
    log
}

#[test]
fn a_frame_counts_as_written_with_its_last_byte_whatever_each_write_takes() {
    let frames = [frame(&["ab", "c", "defg"]), frame(&["h"]), frame(&["ij", "klmno"])];
    let ends = [7, 8, 15];
    for most in 1..=16 {
        let mut outbox = Outbox::default();
        frames.iter().for_each(|frame| outbox.push(frame.clone()));
        let mut stream = Narrow::new(most);
        for (taken, told) in drain(&mut outbox, &mut stream) {
            assert_eq!(told, ends.iter().filter(|end| **end <= taken).count(), "{taken} bytes, {most} at a time");
        }
        assert_eq!(stream.taken, b"abcdefghijklmno");
    }
}

#[test]
fn a_frame_is_begun_with_its_first_byte() {
    let starts = [0, 7, 8];
    for most in 1..=15 {
        let mut outbox = Outbox::default();
        [frame(&["ab", "c", "defg"]), frame(&["h"]), frame(&["ij", "klmno"])].into_iter().for_each(|f| outbox.push(f));
        let mut stream = Narrow::new(most);
        let mut cx = Context::from_waker(Waker::noop());
        while !outbox.is_empty() {
            assert_eq!(outbox.begun(), starts.iter().filter(|at| **at < stream.taken.len()).count() as u64);
            assert!(outbox.poll_write(&mut cx, &mut stream).is_ready());
        }
        assert_eq!(outbox.begun(), 3);
    }
}

#[test]
fn several_frames_go_out_in_one_write() {
    let mut outbox = Outbox::default();
    (0..10).for_each(|_| outbox.push(frame(&["head", "payload"])));
    let mut stream = Narrow::new(usize::MAX);
    assert_eq!(drain(&mut outbox, &mut stream), [(110, 10)]);
}

#[test]
fn a_write_never_has_more_slices_than_a_system_takes() {
    let mut outbox = Outbox::default();
    let mut many = Frame::default();
    (0..5000).for_each(|_| many.push(Bytes::from_static(b"xy")));
    outbox.push(many);
    outbox.push(frame(&["end"]));
    let mut stream = Narrow::new(usize::MAX);
    assert_eq!(drain(&mut outbox, &mut stream).last(), Some(&(10_003, 2)));
    assert_eq!(stream.most_slices, 1023);
    assert_eq!(stream.writes, 5);
}

#[test]
fn empty_frames_are_written_at_once_and_in_their_place() {
    let mut outbox = Outbox::default();
    outbox.push(frame(&[]));
    let mut stream = Narrow::new(1);
    assert_eq!(drain(&mut outbox, &mut stream), [(0, 1)]);
    outbox.push(frame(&["ab"]));
    outbox.push(frame(&[]));
    assert_eq!(drain(&mut outbox, &mut stream), [(1, 0), (2, 2)]);
}

#[test]
fn slices_are_let_go_as_soon_as_they_are_written() {
    let payload = Bytes::from(vec![7; 100]);
    let mut outbox = Outbox::default();
    let mut sent = Frame::default();
    sent.push(payload.clone());
    sent.push(Bytes::from_static(b"tail"));
    outbox.push(sent);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(!payload.is_unique());
    assert!(outbox.poll_write(&mut cx, &mut Narrow::new(100)).is_ready());
    assert!(payload.is_unique());
    assert!(!outbox.is_empty());
}

#[test]
fn a_stream_that_takes_nothing_is_an_error_and_not_a_loop() {
    let mut outbox = Outbox::default();
    outbox.push(frame(&["ab"]));
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = outbox.poll_write(&mut cx, &mut Narrow::new(0)) else { panic!("no error") };
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    assert_eq!(outbox.begun(), 1, "a stream that fails may have sent what it was given");
}
