use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(30);
const METADATA: (ApiKey, ApiVersion) = (ApiKey::METADATA, ApiVersion(8));

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn connection() -> Connection {
    Connection::new(ConnId(1), at(0), TIMEOUT)
}

fn produce(number: u64) -> Purpose {
    Purpose::Produce(RequestId(number))
}

fn frame(correlation: i32) -> Bytes {
    Bytes::copy_from_slice(&[&correlation.to_be_bytes()[..], b"body"].concat())
}

#[test]
fn answers_go_to_requests_in_order() {
    let mut conn = connection();
    for number in 1..=3 {
        conn.push(at(0), produce(number), METADATA, false);
    }
    for number in 1..=3 {
        let answered = conn.on_frame(at(1), &frame(i32::try_from(number - 1).unwrap())).unwrap();
        assert_eq!(answered.request.purpose, produce(number));
        assert_eq!(&answered.body[..], b"body");
    }
    assert_eq!(conn.on_frame(at(1), &frame(3)).unwrap_err(), Fault::Unasked);
}

#[test]
fn an_answer_out_of_order_or_too_short_is_a_fault() {
    let mut conn = connection();
    conn.push(at(0), produce(1), METADATA, false);
    conn.push(at(0), produce(2), METADATA, false);
    let fault = Fault::Correlation { expected: CorrelationId(0), got: CorrelationId(1) };
    assert_eq!(conn.on_frame(at(1), &frame(1)).unwrap_err(), fault);
    assert!(matches!(conn.on_frame(at(1), &Bytes::from_static(&[0, 0])).unwrap_err(), Fault::Malformed(_)));
    assert!(matches!(conn.on_frame(at(1), &Bytes::new()).unwrap_err(), Fault::Malformed(_)));
    assert_eq!(conn.into_in_flight().len(), 2, "both are still to be reported lost");
}

#[test]
fn correlation_ids_wrap_around_and_leave_out_those_of_sasl() {
    let mut conn = connection();
    conn.next_correlation = SASL_CORRELATION - 1;
    assert_eq!(conn.push(at(0), produce(1), METADATA, false), CorrelationId(i32::MAX - 8));
    assert_eq!(conn.push(at(0), produce(2), METADATA, false), CorrelationId(i32::MIN));
    conn.next_correlation = -1;
    conn.push(at(0), produce(3), METADATA, false);
    assert_eq!(conn.push(at(0), produce(4), METADATA, false), CorrelationId(0));
}

#[test]
fn a_request_without_answer_is_done_when_it_is_written_and_not_before() {
    let mut conn = connection();
    conn.push(at(0), produce(1), METADATA, false);
    conn.push(at(0), produce(2), METADATA, true);
    assert_eq!(conn.on_written(at(1)), None, "the first was written");
    assert_eq!(conn.on_written(at(1)).map(|request| request.purpose), Some(produce(2)));
    assert_eq!(conn.on_written(at(1)), None, "nothing more was sent");
    assert_eq!(conn.load(), 1);
}

#[test]
fn an_answer_to_a_later_request_proves_that_earlier_ones_were_written() {
    let mut conn = connection();
    conn.push(at(0), produce(1), METADATA, true);
    conn.push(at(0), produce(2), METADATA, false);
    let answered = conn.on_frame(at(1), &frame(1)).unwrap();
    assert_eq!(answered.request.purpose, produce(2));
    assert_eq!(answered.written.iter().map(|request| request.purpose).collect::<Vec<_>>(), [produce(1)]);
    assert_eq!(conn.on_written(at(1)), None, "done already");
    assert_eq!(conn.on_written(at(1)), None);
    conn.push(at(2), produce(3), METADATA, true);
    assert_eq!(conn.on_written(at(2)).map(|request| request.purpose), Some(produce(3)));
}

#[test]
fn slots_are_limited_by_requests_in_flight_and_by_unwritten_frames() {
    let mut conn = connection();
    assert_eq!(conn.slots(at(0), 5), 2);
    for number in 1..=5 {
        conn.push(at(0), produce(number), METADATA, false);
        assert_eq!(conn.slots(at(0), 5), usize::from(number < 5), "with {number} in flight, one of them unwritten");
        conn.on_written(at(0));
    }
    assert_eq!(conn.slots(at(0), 5), 0);
    conn.on_frame(at(0), &frame(0)).unwrap();
    assert_eq!(conn.slots(at(0), 5), 1);
    assert_eq!(conn.slots(at(0), 0), 0, "zero counts as one, and four are in flight");
}

#[test]
fn a_throttle_stops_requests_and_extends_those_in_flight() {
    let mut conn = connection();
    conn.push(at(0), produce(1), METADATA, false);
    assert_eq!(conn.deadline(SECOND), at(30));
    conn.throttle(at(1), 5_000);
    assert_eq!(conn.throttled(at(1)), Some(at(6)));
    assert_eq!(conn.deadline(SECOND), at(35));
    assert_eq!(conn.slots(at(5), 5), 0);
    assert_eq!(conn.throttled(at(6)), None);
    assert_eq!(conn.slots(at(6), 5), 1);
    conn.throttle(at(6), 5_000);
    conn.throttle(at(7), 1_000);
    assert_eq!(conn.throttled(at(7)), Some(at(11)), "it is never shortened");
    conn.throttle(at(7), -1);
    conn.throttle(at(7), i32::MIN);
    assert_eq!(conn.throttled(at(7)), Some(at(11)));
    conn.throttle(at(7), i32::MAX);
    assert_eq!(conn.throttled(at(7)), Some(at(7) + THROTTLE_MAX));
}

#[test]
fn a_connection_is_idle_only_with_nothing_in_flight() {
    let mut conn = connection();
    assert_eq!(conn.deadline(SECOND), at(1));
    conn.push(at(5), produce(1), METADATA, false);
    assert_eq!(conn.deadline(SECOND), at(35));
    conn.on_frame(at(9), &frame(0)).unwrap();
    assert_eq!(conn.deadline(SECOND), at(10));
}

#[test]
fn flexible_response_headers_are_skipped_to_the_body() {
    let mut conn = connection();
    conn.push(at(0), produce(1), (ApiKey::PRODUCE, ApiVersion(9)), false);
    let frame = Bytes::from_static(&[0, 0, 0, 0, 1, 7, 2, 9, 9, b'x']);
    assert_eq!(&conn.on_frame(at(0), &frame).unwrap().body[..], b"x");
    conn.push(at(0), produce(2), (ApiKey::PRODUCE, ApiVersion(9)), false);
    let cut = Bytes::from_static(&[0, 0, 0, 1, 200]);
    assert!(matches!(conn.on_frame(at(0), &cut).unwrap_err(), Fault::Malformed(_)));
}

#[test]
fn a_written_frame_gives_itself_and_those_behind_it_new_time() {
    let mut conn = connection();
    conn.push(at(0), produce(1), METADATA, false);
    conn.on_written(at(0));
    conn.push(at(1), produce(2), METADATA, false);
    conn.push(at(2), produce(3), METADATA, false);
    conn.on_written(at(25));
    let deadlines = |conn: &Connection| conn.in_flight.iter().map(|request| request.deadline).collect::<Vec<_>>();
    assert_eq!(deadlines(&conn), [at(30), at(55), at(55)], "the first one's answer is no less late for it");
    conn.on_written(at(50));
    assert_eq!(deadlines(&conn), [at(30), at(55), at(80)]);
    conn.on_written(at(51));
    assert_eq!(deadlines(&conn), [at(30), at(55), at(80)], "a report too many says nothing");
}
