//! Frames in both directions, over memory and over TCP.

use crate::support::*;
use bytes::Bytes;
use milena_pool::{LostCause, PoolEvents};
use milena_wire::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

#[tokio::test]
async fn frames_cross_a_wire_cut_at_every_byte() {
    for buffer in 1..=24 {
        let (mut pool, mut events, mut peer) = over_memory(buffer).await;
        let echo = tokio::spawn(async move {
            for _ in 0..3 {
                let body = read_frame(&mut peer).await;
                write_frame(&mut peer, &body).await;
            }
            peer
        });
        let sent: [&[&[u8]]; 3] = [&[b"head", b"and", b"tail"], &[b"x"], &[b"the last", b" one"]];
        for parts in sent {
            pool.send(CONN, frame(parts));
            assert_written(next(&mut events).await);
            assert_eq!(received(next(&mut events).await), parts.concat(), "buffer of {buffer}");
        }
        drop(echo.await.unwrap());
        assert_eq!(
            lost(next(&mut events).await),
            LostCause::Eof { partial: Bytes::new(), bytes_received: 3 * 4 + 11 + 1 + 12 }
        );
    }
}

async fn one_byte_at_a_time(mut peer: impl AsyncWrite + Unpin, mut events: PoolEvents) {
    let bodies: [&[u8]; 3] = [b"one", b"", b"another one"];
    for body in bodies {
        for byte in frame(&[body]).to_vec() {
            peer.write_all(&[byte]).await.unwrap();
            peer.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(received(next(&mut events).await), body);
    }
}

#[tokio::test]
async fn a_peer_that_writes_one_byte_at_a_time_is_understood() {
    let (_pool, events, peer) = over_memory(1).await;
    one_byte_at_a_time(peer, events).await;
    let (_pool, events, peer) = over_tcp().await;
    one_byte_at_a_time(peer, events).await;
}

async fn many_frames_in_one_write(mut peer: impl AsyncWrite + Unpin, mut events: PoolEvents) {
    let bodies: Vec<Vec<u8>> = (0..=255).map(|n| vec![n; usize::from(n)]).collect();
    let wire: Vec<u8> = bodies.iter().flat_map(|body| frame(&[body]).to_vec()).collect();
    let (written, ()) = tokio::join!(peer.write_all(&wire), async {
        for body in &bodies {
            assert_eq!(received(next(&mut events).await), body);
        }
    });
    written.unwrap();
    assert!(events.try_next().is_none());
}

#[tokio::test]
async fn many_frames_in_one_write_come_out_one_by_one() {
    let (_pool, events, peer) = over_memory(1 << 20).await;
    many_frames_in_one_write(peer, events).await;
    let (_pool, events, peer) = over_tcp().await;
    many_frames_in_one_write(peer, events).await;
}

async fn a_large_frame(
    mut peer: impl AsyncRead + AsyncWrite + Unpin,
    pool: &mut milena_pool::Pool,
    mut events: PoolEvents,
) {
    let mut large = Frame::default();
    let mut body = Vec::new();
    large.push(Bytes::copy_from_slice(&(5000 * 1000_i32).to_be_bytes()));
    for n in 0..5000_u32 {
        let part = n.to_be_bytes().repeat(250);
        body.extend_from_slice(&part);
        large.push(part.into());
    }
    pool.send(CONN, large);
    let (arrived, ()) = tokio::join!(read_frame(&mut peer), async { assert_written(next(&mut events).await) });
    assert!(arrived == body, "the frame was changed on its way out");

    let ((), back) = tokio::join!(write_frame(&mut peer, &body), async { received(next(&mut events).await) });
    assert!(back == body, "the frame was changed on its way in");
}

#[tokio::test]
async fn a_frame_of_thousands_of_slices_crosses_unchanged() {
    let (mut pool, events, peer) = over_memory(4096).await;
    a_large_frame(peer, &mut pool, events).await;
    let (mut pool, events, peer) = over_tcp().await;
    a_large_frame(peer, &mut pool, events).await;
}

#[tokio::test]
async fn a_frame_queued_before_the_connection_is_open_is_sent() {
    let (peers, mut others) = tokio::sync::mpsc::unbounded_channel();
    let (mut pool, mut events) = pool_with(Memory { buffer: 64, peers });
    pool.connect(CONN, anywhere());
    pool.send(CONN, frame(&[b"early"]));
    let mut peer = others.recv().await.unwrap();
    assert_eq!(read_frame(&mut peer).await, b"early");
    assert_connected(next(&mut events).await);
    assert_written(next(&mut events).await);
}

#[tokio::test]
async fn a_frame_is_written_only_when_its_last_byte_is_taken() {
    let (mut pool, mut events, mut peer) = over_memory(10).await;
    pool.send(CONN, frame(&[b"0123456789"])); // 14 bytes with its size
    let mut start = [0; 3];
    peer.read_exact(&mut start).await.unwrap();
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert!(events.try_next().is_none(), "13 of 14 bytes are not the whole frame");
    peer.read_exact(&mut start[..1]).await.unwrap();
    assert_written(next(&mut events).await);
}

#[tokio::test]
async fn both_directions_move_when_both_are_full() {
    let (mut pool, mut events, peer) = over_memory(16).await;
    let body = vec![1; 10_000];
    pool.send(CONN, frame(&[&body]));
    let (mut reader, mut writer) = tokio::io::split(peer);
    // Neither side reads before its own frame is out: only a connection that does both at once gets through.
    let other = tokio::spawn(async move {
        write_frame(&mut writer, &[2; 10_000]).await;
        read_frame(&mut reader).await
    });
    assert_eq!(received(next(&mut events).await), vec![2; 10_000]);
    assert_written(next(&mut events).await);
    assert_eq!(other.await.unwrap(), body);
}

async fn hears_of(wire: &[u8], peer: &mut (impl AsyncWrite + Unpin), events: &mut PoolEvents) -> (i32, Bytes) {
    peer.write_all(wire).await.unwrap();
    match lost(next(events).await) {
        LostCause::FrameSize { size, start, limit } => {
            assert_eq!(limit, milena_pool::DEFAULT_MAX_FRAME);
            (size, start)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection_and_are_shown() {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let tls_alert = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46];
    let cases: [(&[u8], i32); 5] = [
        (&(-1_i32).to_be_bytes(), -1),
        (&i32::MIN.to_be_bytes(), i32::MIN),
        (&i32::MAX.to_be_bytes(), i32::MAX),
        (http, 0x4854_5450),
        (&tls_alert, 0x1503_0300),
    ];
    for (wire, expected) in cases {
        let (_pool, mut events, mut peer) = over_memory(100).await;
        let (size, start) = hears_of(wire, &mut peer, &mut events).await;
        assert_eq!((size, &start[..]), (expected, wire));

        let (_pool, mut events, mut peer) = over_tcp().await;
        let (size, start) = hears_of(wire, &mut peer, &mut events).await;
        assert_eq!(size, expected);
        assert!(wire.starts_with(&start) && start.len() >= 4, "{start:?}");
    }
}

async fn half_close(mut peer: impl AsyncRead + AsyncWrite + Unpin, events: &mut PoolEvents) {
    let mut wire = frame(&[b"answer"]).to_vec();
    wire.extend_from_slice(b"\0\0\0\x09half");
    peer.write_all(&wire).await.unwrap();
    peer.shutdown().await.unwrap();
    let (frames, cause) = until_lost(events).await;
    assert_eq!(frames, ["answer"]);
    assert_eq!(cause, LostCause::Eof { partial: Bytes::from_static(b"\0\0\0\x09half"), bytes_received: 18 });
    // Having lost the connection, the pool closes its side too.
    assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_half_closed_connection_gives_its_frames_and_is_lost() {
    let (_pool, mut events, peer) = over_memory(100).await;
    half_close(peer, &mut events).await;
    let (_pool, mut events, peer) = over_tcp().await;
    half_close(peer, &mut events).await;
}

#[tokio::test]
async fn an_answer_sent_just_before_the_peer_goes_is_still_heard() {
    let (mut pool, mut events, mut peer) = over_memory(1000).await;
    write_frame(&mut peer, b"goodbye").await;
    drop(peer);
    pool.send(CONN, frame(&[b"too late"]));
    let (frames, _) = until_lost(&mut events).await;
    assert_eq!(frames, ["goodbye"]);
}
