//! What a server may do to a client that only wants a token.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::sync::Arc;
use std::time::Duration;

use milena_http::{Endpoint, HttpAnswer, HttpClient, HttpError, HttpRequest};
use milena_tls::issue::{Authority, Validity};
use milena_tls::{TlsConfig, TlsServer, TlsServerConfig};
use milena_wire::TlsFault;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a server does once it has read a request.
#[derive(Clone)]
enum Play {
    /// Sends this, and closes.
    Say(Vec<u8>),
    /// Sends the first, then the second until it is hung up on.
    Repeat(Vec<u8>, Vec<u8>),
    /// Sends this, and leaves the connection open.
    Stall(Vec<u8>),
}

fn say(text: &str) -> Play {
    Play::Say(text.as_bytes().to_vec())
}

async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, play: Play) -> Vec<u8> {
    let mut request = Vec::new();
    // All requests here end with their head, or with a body that ends in a dot.
    while !(request.ends_with(b"\r\n\r\n") || request.ends_with(b".")) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return request;
        }
    }
    match play {
        Play::Say(answer) => {
            drop(stream.write_all(&answer).await);
            drop(stream.shutdown().await);
        }
        Play::Repeat(head, part) => {
            drop(stream.write_all(&head).await);
            while stream.write_all(&part).await.is_ok() && stream.flush().await.is_ok() {}
        }
        Play::Stall(answer) => {
            drop(stream.write_all(&answer).await);
            drop(stream.flush().await);
            // Until the client has gone.
            while stream.read_buf(&mut Vec::with_capacity(64)).await.is_ok_and(|read| read > 0) {}
        }
    }
    request
}

/// A server for one request; its address, its authority, and what it was asked.
async fn serve(what: Play, names: &[&str]) -> (Endpoint, TlsConfig, tokio::task::JoinHandle<Vec<u8>>) {
    let authority = Authority::new("milena tests").unwrap();
    let identity = authority.server(names, Validity::default()).unwrap().identity();
    let tls = TlsServer::new(TlsServerConfig::new(identity)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/token?a=1", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        match tls.accept(stream).await {
            Ok(stream) => play(stream, what).await,
            Err(_) => Vec::new(),
        }
    });
    (Endpoint::parse(&url).unwrap(), TlsConfig::new().trust(authority.trust()), served)
}

fn request() -> HttpRequest {
    HttpRequest::post("text/plain", "what is wanted.").header("authorization", "Basic s3cr3t")
}

async fn ask(what: Play) -> Result<HttpAnswer, HttpError> {
    let (endpoint, tls, served) = serve(what, &["127.0.0.1"]).await;
    // Long enough for whatever ends by itself, and waited for by that alone which does not.
    let client = HttpClient::new(tls).answer_timeout(Duration::from_millis(700)).answer_max(100_000);
    let answer = client.send(&endpoint, request()).await;
    let asked = served.await.unwrap();
    assert!(asked.starts_with(b"POST /token?a=1 HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&asked));
    let shown = format!("{answer:?}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    answer
}

#[tokio::test]
async fn a_request_and_its_answer_are_whole() {
    let (endpoint, tls, served) = serve(say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), &["127.0.0.1"]).await;
    let answer = HttpClient::new(tls).send(&endpoint, request()).await.unwrap();
    assert_eq!((answer.status, answer.body.expose()), (200, &b"hello"[..]));
    let asked = String::from_utf8(served.await.unwrap()).unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "what is wanted.");
    for line in ["authorization: Basic s3cr3t", "content-type: text/plain", "content-length: 15", "connection: close"] {
        assert!(head.to_lowercase().contains(&line.to_lowercase()), "{head}");
    }
}

#[tokio::test]
async fn bodies_of_every_kind_are_read_to_their_end() {
    let large = "x".repeat(99_999);
    let chunked: String = (0..5000).map(|_| "1\r\ny\r\n").collect::<String>() + "0\r\n\r\n";
    for (answer, length) in [
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{large}", large.len()), large.len()),
        (format!("HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"), 5000),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end".to_owned(), 13),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 0),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".to_owned(), 1),
    ] {
        let head = answer[..30.min(answer.len())].to_owned();
        assert_eq!(ask(say(&answer)).await.unwrap().body.expose().len(), length, "{head}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_left_at_its_limit() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"] {
        let answer = ask(Play::Repeat(head.into(), vec![b'x'; 5000])).await;
        assert_eq!(answer.unwrap_err(), HttpError::TooLong(100_000));
    }
    let chunks = Play::Repeat(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        b"400\r\n".iter().copied().chain([b'x'; 1024]).chain(*b"\r\n").collect(),
    );
    assert_eq!(ask(chunks).await.unwrap_err(), HttpError::TooLong(100_000));
    let headers = ask(Play::Repeat(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".repeat(100))).await.unwrap_err();
    assert!(matches!(headers, HttpError::Broken(_)), "{headers:?}");
    let line = ask(Play::Repeat(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 1000])).await.unwrap_err();
    assert!(matches!(line, HttpError::Broken(_)), "{line:?}");
}

#[tokio::test]
async fn a_server_that_takes_its_time_is_not_waited_for() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "HTTP/1.1 200 OK\r\nx: "] {
        let error = ask(Play::Stall(said.into())).await.unwrap_err();
        assert_eq!(error, HttpError::AnswerTimeout(Duration::from_millis(700)), "{said}");
    }
    // Interim answers without an end.
    let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    let error = ask(Play::Repeat(Vec::new(), interim.to_vec())).await.unwrap_err();
    assert!(matches!(error, HttpError::AnswerTimeout(_) | HttpError::Broken(_)), "{error:?}");
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let client = HttpClient::new(TlsConfig::new().trust(Authority::new("x").unwrap().trust()));
    let limit = Duration::from_millis(300);
    let error = client.connect_timeout(limit).send(&endpoint, request()).await.unwrap_err();
    assert_eq!(error, HttpError::ConnectTimeout(limit));
}

#[tokio::test]
async fn what_is_no_http_or_ends_too_soon_is_no_answer() {
    for said in [
        "",
        "SSH-2.0-OpenSSH_9.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "\0\0\0\0",
    ] {
        let answer = ask(say(said)).await;
        assert!(matches!(answer, Err(HttpError::Broken(_))), "{said:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = elsewhere.local_addr().unwrap();
    let answer =
        ask(say(&format!("HTTP/1.1 307 Temporary\r\nLocation: https://{address}/\r\nContent-Length: 0\r\n\r\n")));
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, answer.location), (307, Some(format!("https://{address}/"))));
    // Whoever is connected to would be there by now: the answer is.
    let nobody = tokio::select! {
        biased;
        _ = elsewhere.accept() => false,
        () = std::future::ready(()) => true,
    };
    assert!(nobody);
}

#[tokio::test]
async fn nothing_is_sent_to_whoever_cannot_show_who_they_are() {
    // For another host.
    let (endpoint, tls, served) = serve(say("HTTP/1.1 200 OK\r\n\r\n"), &["idp.example"]).await;
    let error = HttpClient::new(tls).send(&endpoint, request()).await.unwrap_err();
    assert!(matches!(&error, HttpError::Tls(error) if error.fault == TlsFault::WrongName), "{error:?}");
    assert!(error.to_string().starts_with("shows a certificate for other names: "), "{error}");
    assert!(served.await.unwrap().is_empty(), "not a byte of the request");
    // By an authority that nobody trusts.
    let (endpoint, _, served) = serve(say("HTTP/1.1 200 OK\r\n\r\n"), &["127.0.0.1"]).await;
    let stranger = TlsConfig::new().trust(Authority::new("another").unwrap().trust());
    let error = HttpClient::new(stranger).send(&endpoint, request()).await.unwrap_err();
    assert!(matches!(&error, HttpError::Tls(error) if error.fault == TlsFault::UnknownIssuer), "{error:?}");
    assert!(served.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_from_https() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let served = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let mut seen = vec![0; 4096];
        let read = stream.read(&mut seen).await.unwrap();
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        seen.truncate(read);
        seen
    });
    let client = HttpClient::new(TlsConfig::new().trust(Authority::new("x").unwrap().trust()));
    let error = client.send(&endpoint, request()).await.unwrap_err();
    assert!(matches!(&error, HttpError::Tls(error) if error.fault == TlsFault::NotTls), "{error:?}");
    assert!(error.to_string().starts_with("does not speak TLS: "), "{error}");
    assert!(!served.await.unwrap().windows(6).any(|part| part == b"s3cr3t"));
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint::parse(&format!("http://localhost:{port}/")).unwrap();
    let served = tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        play(stream, say("HTTP/1.1 200 OK\r\n\r\nhere")).await
    });
    let client = Arc::new(HttpClient::new(TlsConfig::new()));
    assert_eq!(client.send(&endpoint, HttpRequest::get()).await.unwrap().body.expose(), b"here");
    assert!(served.await.unwrap().starts_with(b"GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = Endpoint::parse(&format!("http://{address}/")).unwrap();
    let error = HttpClient::new(TlsConfig::new()).send(&endpoint, request()).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable(_)), "{error:?}");
    // Longer than any name may be, so that no server is asked.
    let nowhere = Endpoint::parse(&format!("https://{}/", "x".repeat(300))).unwrap();
    let trusting = TlsConfig::new().trust(Authority::new("x").unwrap().trust());
    let error = HttpClient::new(trusting).send(&nowhere, request()).await.unwrap_err();
    assert!(matches!(error, HttpError::Unresolved(_)), "{error:?}");
    let split = HttpRequest::get().header("authorization", "a\r\nb: c");
    let error = HttpClient::new(TlsConfig::new()).send(&endpoint, split).await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable(_) | HttpError::Broken(_)), "{error:?}");
}
