//! Ports that are no brokers, names that are no hosts: each a clear error in bounded time, wherever somebody asks.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use milena_broker::EmbeddedCluster;
use milena_producer::{BoxFuture, FailureKind, Fate, Producer, ProducerBuilder, Record, Resolver, SendError};
use milena_wire::BrokerId;

use crate::support::*;

/// A port whose every connection is handled by `serve`, on a thread that ends with the test's process.
fn port(serve: impl Fn(TcpStream) + Send + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads something of the request, answers `bytes`, closes.
fn answering(bytes: &'static [u8]) -> SocketAddr {
    port(move |mut stream| {
        let mut request = [0; 4096];
        // A client that is gone by then needs no answer.
        if stream.read(&mut request).is_ok() && stream.write_all(bytes).is_ok() {
            drop(stream.shutdown(Shutdown::Write));
            while stream.read(&mut request).is_ok_and(|n| n > 0) {}
        }
    })
}

/// Everybody who asks once the cause is known is told `words`, soon: `wait_ready` in its chain of causes, a record in its one text.
async fn says(builder: ProducerBuilder, words: &[&str]) {
    let producer = builder
        .linger(Duration::ZERO)
        .request_timeout(Duration::from_millis(200))
        .delivery_timeout(Duration::from_millis(600))
        .build()
        .unwrap();
    producer.wait_ready(Duration::ZERO).await.unwrap_err();
    until("the cause is known", || producer.health().cluster.last_error.is_some()).await;
    let error = producer.wait_ready(Duration::from_millis(100)).await.unwrap_err();
    let ready = chain(&error);
    let error = producer.prepare(&["t"], Duration::from_millis(100)).await.unwrap_err();
    let prepare = chain(&error);
    let Err(SendError::Delivery(error)) = producer.send(Record::to("t").value("v")).await else { panic!("delivered") };
    assert_eq!((error.kind(), error.fate()), (FailureKind::DeliveryTimeout, Fate::NotWritten));
    for text in [ready, prepare, error.to_string()] {
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
        assert_eq!(text.matches(words[0]).count(), 1, "said twice: {text}");
    }
    producer.close(LONG).await.unwrap();
}

fn at(address: SocketAddr) -> ProducerBuilder {
    Producer::builder(address.to_string())
}

/// Knows addresses and no names, and says so sooner than some systems do.
struct Nameless;

impl Resolver for Nameless {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let unknown = || io::Error::other("failed to lookup address information: Name or service not known");
        let address = host.parse::<IpAddr>().map_err(|_| unknown()).map(|ip| vec![SocketAddr::new(ip, port)]);
        Box::pin(async move { address })
    }
}

#[test]
fn a_name_that_resolves() {
    run(async {
        let cluster = one_node().await;
        let (_, port) = cluster.address(BrokerId(1)).unwrap();
        let producer = Producer::builder(format!("localhost:{port}")).build().unwrap();
        producer.wait_ready(LONG).await.unwrap();
    });
}

#[test]
fn a_name_that_does_not_resolve() {
    run(says(
        Producer::builder("no-such-host.invalid:9092").resolver(Arc::new(Nameless)),
        &["no-such-host.invalid:9092", "cannot be resolved", "check the spelling in bootstrap.servers"],
    ));
}

#[test]
fn a_port_that_is_closed() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run(says(at(address), &[&address.to_string(), "connection refused", "check the port"]));
}

#[test]
fn a_port_that_speaks_http() {
    let address = answering(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    run(says(at(address), &[&address.to_string(), "speaks HTTP, not Kafka", "another server"]));
}

#[test]
fn a_port_that_accepts_and_never_answers() {
    let address = port(|mut stream| while stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {});
    let hasty = at(address).connect_timeout(Duration::from_millis(50));
    run(says(hasty, &[&address.to_string(), "not usable in time", "never answers"]));
}

#[test]
fn a_tls_listener_that_answers_with_an_alert() {
    // Alert, TLS 1.2, two bytes: fatal, unexpected message.
    let address = answering(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a]);
    run(says(at(address), &[&address.to_string(), "speaks TLS", "security.protocol"]));
}

#[test]
fn a_tls_listener_that_closes_at_once() {
    let address = port(drop);
    run(says(at(address), &[&address.to_string(), "closed the connection", "often this listener expects TLS"]));
    let address = answering(b"");
    run(says(at(address), &[&address.to_string(), "closed the connection", "often this listener expects TLS"]));
}

#[test]
fn a_port_that_sends_garbage() {
    // A frame of eight bytes, of another correlation id.
    let address = answering(&[0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
    run(says(at(address), &[&address.to_string(), "not a Kafka broker"]));
    // A negative size.
    let address = answering(&[0xff; 64]);
    run(says(at(address), &[&address.to_string(), "impossible size", "not a Kafka broker"]));
    // Shorter than any answer.
    let address = answering(&[0, 0, 0, 1, 7]);
    run(says(at(address), &[&address.to_string(), "not a Kafka broker"]));
}

#[test]
fn a_port_that_announces_a_giant_frame_is_not_believed() {
    let address = answering(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1]);
    run(says(at(address), &[&address.to_string(), "impossible size", "2147483647"]));
    // With a limit of the user's, a smaller one is giant enough.
    let address = answering(&[0, 0, 8, 0, 0, 0, 0, 1]);
    run(says(at(address).max_frame(1_024), &[&address.to_string(), "impossible size", "2048"]));
}

#[test]
fn one_working_address_among_broken_ones_suffices() {
    run(async {
        let cluster = one_node().await;
        let silent = port(|mut stream| while stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {});
        let http = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let list = format!("no-such-host.invalid:9092,{silent},{http},{}", cluster.bootstrap());
        let producer = Producer::builder(list)
            .resolver(Arc::new(Nameless))
            .connect_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        producer.wait_ready(LONG).await.unwrap();
        producer.send(Record::to("t").value("v")).await.unwrap();
    });
}

#[test]
fn a_cluster_that_starts_late_is_found() {
    run(async {
        let cluster = one_node().await;
        cluster.stop_node(BrokerId(1));
        let producer = producer(&cluster);
        let early = producer.enqueue(Record::to("t").value("early")).await.unwrap();
        // What a node has accepted right before it stops is closed; the next attempt is refused.
        while !chain(&producer.wait_ready(Duration::from_millis(50)).await.unwrap_err()).contains("connection refused")
        {
        }
        cluster.start_node(BrokerId(1)).await.unwrap();
        producer.wait_ready(LONG).await.unwrap();
        early.await.unwrap();
    });
}

#[test]
fn a_leader_whose_advertised_address_is_wrong_is_named_in_the_failure() {
    run(async {
        let cluster = started(EmbeddedCluster::builder().advertise("no-such-host.invalid")).await;
        let (_, port) = cluster.address(BrokerId(1)).unwrap();
        let producer = Producer::builder(format!("127.0.0.1:{port}"))
            .resolver(Arc::new(Nameless))
            .linger(Duration::ZERO)
            .request_timeout(Duration::from_millis(200))
            .delivery_timeout(Duration::from_millis(600))
            .build()
            .unwrap();
        producer.prepare(&["t"], LONG).await.unwrap();
        let failed = || producer.health().broker(BrokerId(1)).is_some_and(|broker| broker.last_error.is_some());
        until("the leader cannot be reached", failed).await;
        let Err(SendError::Delivery(error)) = producer.send(Record::to("t")).await else { panic!("delivered") };
        let text = error.to_string();
        for word in ["broker 1", "no-such-host.invalid", "advertised.listeners"] {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
    });
}
