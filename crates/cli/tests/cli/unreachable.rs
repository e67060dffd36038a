//! Nothing to produce to: status 1, one line that says why, and an account, in bounded time.

use std::io::Write;
use std::net::TcpListener;

use crate::kit::run;

fn unreachable(bootstrap: &str, because: &str) {
    let args = ["produce", "--topic", "t", "--bootstrap", bootstrap, "--json", "--connect-timeout", "5"];
    let ended = run(&args, b"a line\n");
    assert_eq!((ended.status, ended.account()), (Some(1), [0, 0, 0, 0]), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(bootstrap) && ended.stderr.contains(because), "{ended:?}");
}

#[test]
fn a_closed_port_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    unreachable(&port.to_string(), "refused");
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    // Longer than any name may be, so that no server is asked.
    unreachable(&format!("{}:9092", "x".repeat(300)), "cannot be resolved");
}

#[test]
fn a_port_that_speaks_http_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    unreachable(&address, "HTTP");
}

#[test]
fn a_bench_without_a_cluster_measures_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let args = ["bench", "--topic", "t", "--bootstrap", &port, "--records", "1", "--size", "1", "--json"];
    let ended = run(&[&args[..], &["--connect-timeout", "5"]].concat(), b"");
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("refused"), "{ended:?}");
}
