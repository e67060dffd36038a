use bytes::BufMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn wire(frames: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for frame in frames {
        wire.put_i32(i32::try_from(frame.len()).unwrap());
        wire.put_slice(frame);
    }
    wire
}

/// Feeds `pieces` one after the other, taking what is whole after each.
fn receive<'a>(inbox: &mut Inbox, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Bytes>, LostCause> {
    let mut frames = Vec::new();
    for piece in pieces {
        inbox.room().put_slice(piece);
        while let Some(frame) = inbox.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

#[test]
fn frames_come_out_whole_wherever_the_wire_is_cut() {
    let sent: [&[u8]; 4] = [b"first", b"", b"a longer third frame", b"x"];
    let wire = wire(&sent);
    for cut in 0..=wire.len() {
        let (head, tail) = wire.split_at(cut);
        let got = receive(&mut Inbox::new(100), [head, tail]).unwrap();
        assert_eq!(got, sent, "cut at {cut}");
    }
    let got = receive(&mut Inbox::new(100), wire.chunks(1)).unwrap();
    assert_eq!(got, sent, "one byte at a time");
}

#[test]
fn a_frame_is_there_only_with_its_last_byte() {
    let mut inbox = Inbox::new(100);
    let wire = wire(&[b"abc"]);
    assert!(receive(&mut inbox, [&wire[..6]]).unwrap().is_empty());
    assert_eq!(receive(&mut inbox, [&wire[6..]]).unwrap(), ["abc"]);
}

#[test]
fn a_size_at_the_cap_is_taken_and_one_above_is_not() {
    let fits = wire(&[&[7; 100]]);
    assert_eq!(receive(&mut Inbox::new(100), [&fits[..]]).unwrap(), [[7; 100].as_slice()]);

    let too_large = wire(&[&[7; 101]]);
    let lost = receive(&mut Inbox::new(100), [&too_large[..10]]).unwrap_err();
    assert_eq!(lost, LostCause::FrameSize { size: 101, limit: 100, start: Bytes::copy_from_slice(&too_large[..10]) });
}

#[test]
fn a_negative_size_ends_it_and_shows_at_most_64_bytes() {
    for size in [-1, i32::MIN] {
        let mut wire = size.to_be_bytes().to_vec();
        wire.resize(200, b'!');
        let lost = receive(&mut Inbox::new(100), [&wire[..]]).unwrap_err();
        assert_eq!(lost, LostCause::FrameSize { size, limit: 100, start: Bytes::copy_from_slice(&wire[..64]) });
    }
}

#[test]
fn frames_before_a_bad_size_are_still_given_out() {
    let mut bytes = wire(&[b"good"]);
    bytes.put_i32(-1);
    let mut inbox = Inbox::new(100);
    inbox.room().put_slice(&bytes);
    assert_eq!(inbox.next_frame().unwrap().unwrap(), "good");
    assert!(inbox.next_frame().is_err());
}

#[test]
fn an_announced_size_alone_reserves_no_more_than_a_step() {
    let mut inbox = Inbox::new(usize::MAX);
    inbox.room().put_slice(&i32::MAX.to_be_bytes());
    assert!(inbox.next_frame().unwrap().is_none());
    let mut arrived = 4;
    while arrived < 10 * STEP {
        let room = inbox.room();
        assert!(room.capacity() > room.len(), "there is always room to read into");
        assert!(room.capacity() <= 4 * arrived.max(STEP), "{} reserved for {arrived}", room.capacity());
        room.put_slice(&[0; 1000]);
        arrived += 1000;
    }
}

proptest! {
    #[test]
    fn any_frames_survive_any_cuts(frames in vec(vec(any::<u8>(), 0..300), 0..20), cut in 1usize..400) {
        let sent: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let got = receive(&mut Inbox::new(300), wire(&sent).chunks(cut)).unwrap();
        prop_assert_eq!(got, sent);
    }

    #[test]
    fn no_bytes_make_it_panic_or_give_out_more_than_the_cap(bytes in vec(any::<u8>(), 0..2000), cut in 1usize..100) {
        if let Ok(frames) = receive(&mut Inbox::new(64), bytes.chunks(cut)) {
            prop_assert!(frames.iter().all(|frame| frame.len() <= 64));
        }
    }
}
