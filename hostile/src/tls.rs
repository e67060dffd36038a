//! Handshakes of TLS with somebody who does not play by the rules, from either end.

use std::cell::OnceCell;
use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use milena_tls::{Identity, Store, TlsClient, TlsConfig, TlsServer, TlsServerConfig, TlsVersion, Trust};
use milena_wire::TlsError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::runtime::{Builder, Runtime};

use crate::budget::Budget;
use crate::input::Input;

/// Keys for a handshake, buffers for what is sent and read, chains and their checks. Up to 64 KiB of a message are kept until it is whole.
const HANDSHAKE: Budget = Budget { per_byte: 256, at_least: 1 << 20 };

/// What either end says in a handshake, alerts included, is less.
const SAID_MAX: usize = 8 * 1024;

/// Longer errors than this are none for people, whatever the other side's certificate has in it.
const ERROR_MAX: usize = 1024;

/// Goes through once the handshake is done.
const PING: &[u8] = b"what is said in secret";

/// Nobody waits longer, in made-up time.
const PATIENCE: Duration = Duration::from_secs(10);

const CA: &[u8] = include_bytes!("../../crates/tls/tests/fixtures/ca.pem");
const IDENTITY: [&[u8]; 2] = [
    include_bytes!("../../crates/tls/tests/fixtures/ec.pem"),
    include_bytes!("../../crates/tls/tests/fixtures/ec.key"),
];

thread_local! {
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

/// `[how] [step] bytes`: what a server says to the client, or a client to the embedded broker's listener; or, with the right bit, an exchange of the
/// two of them in which `[at, two bytes] [change]…` happens to what one of them says.
pub fn tls(data: &[u8]) {
    let mut input = Input::new(data);
    let (how, step) = (How(input.byte()), input.byte());
    HANDSHAKE.hold("a handshake", data.len(), || {
        RUNTIME.with(|runtime| {
            let paused = || Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
            runtime.get_or_init(paused).block_on(async {
                if how.is_changed() {
                    between(how, &mut input).await;
                } else {
                    alone(how, usize::from(step).max(1), input.rest()).await;
                }
            });
        });
    });
}

#[derive(Clone, Copy)]
struct How(u8);

impl How {
    fn is_listener(self) -> bool {
        self.0 & 1 != 0
    }

    /// Version 1.2 alone, whose handshake can be read on its way.
    fn is_old(self) -> bool {
        self.0 & 2 != 0
    }

    /// The client shows a certificate, and the listener wants one.
    fn is_mutual(self) -> bool {
        self.0 & 4 != 0
    }

    fn is_changed(self) -> bool {
        self.0 & 8 != 0
    }

    fn host(self) -> &'static str {
        if self.0 & 16 == 0 { "localhost" } else { "kafka-1" }
    }

    fn client(self) -> &'static TlsClient {
        &CLIENTS[usize::from(self.0 >> 1 & 3)]
    }

    fn server(self) -> &'static TlsServer {
        &SERVERS[usize::from(self.0 >> 1 & 3)]
    }
}

/// By how: old, mutual.
static CLIENTS: LazyLock<[TlsClient; 4]> = LazyLock::new(|| {
    [0, 2, 4, 6].map(How).map(|how| {
        let mut config = TlsConfig::new().trust(trust());
        if how.is_old() {
            config = config.versions([TlsVersion::V1_2]);
        }
        if how.is_mutual() {
            config = config.identity(identity());
        }
        TlsClient::new(config).expect("a client")
    })
});

static SERVERS: LazyLock<[TlsServer; 4]> = LazyLock::new(|| {
    [0, 2, 4, 6].map(How).map(|how| {
        let mut config = TlsServerConfig::new(identity());
        if how.is_old() {
            config = config.versions([TlsVersion::V1_2]);
        }
        if how.is_mutual() {
            config = config.require_clients(trust());
        }
        TlsServer::new(config).expect("a server")
    })
});

fn trust() -> Trust {
    Trust::Stores(vec![Store::bytes(CA)])
}

fn identity() -> Identity {
    Identity::store(Store::bytes(IDENTITY.concat()))
}

/// One end, and bytes that were there before it said anything: it cannot come to terms with them.
async fn alone(how: How, step: usize, bytes: &[u8]) {
    let mut said = 0;
    let stream = Said { bytes, step, said: &mut said };
    let ended = if how.is_listener() {
        how.server().accept(stream).await.map(drop)
    } else {
        how.client().connect(how.host(), stream).await.map(drop)
    };
    check(&ended.expect_err("nobody knows what it will say"));
    assert!(said <= SAID_MAX, "{said} bytes said");
}

/// Both ends, one of which is heard wrong: either it comes to nothing, or what goes through is what was said.
async fn between(how: How, input: &mut Input<'_>) {
    let (client, at_client) = duplex(64 * 1024);
    let (server, at_server) = duplex(64 * 1024);
    let mut changes = Vec::new();
    while !input.is_over() {
        changes.push((usize::from(input.u16() & 0x0fff), input.byte()));
    }
    let dial = async {
        let mut stream = how.client().connect(how.host(), client).await?;
        stream.write_all(PING).await?;
        stream.flush().await?;
        // Only now is it certain that the listener accepts this client.
        let mut heard = [0; PING.len()];
        stream.read_exact(&mut heard).await?;
        io::Result::Ok(heard)
    };
    let listen = async {
        let mut stream = how.server().accept(server).await?;
        let mut heard = [0; PING.len()];
        stream.read_exact(&mut heard).await?;
        stream.write_all(&heard).await?;
        stream.flush().await?;
        io::Result::Ok(heard)
    };
    let to_listener = how.is_listener();
    let carried = async {
        let (from_client, into_client) = tokio::io::split(at_client);
        let (from_server, into_server) = tokio::io::split(at_server);
        let none = Vec::new();
        let (up, down) = if to_listener { (&changes, &none) } else { (&none, &changes) };
        tokio::join!(carry(from_client, into_server, up), carry(from_server, into_client, down));
    };
    let patient = |end| tokio::time::timeout(PATIENCE, end);
    let ends =
        async { tokio::join!(patient(Box::pin(dial) as Pin<Box<dyn Future<Output = _>>>), patient(Box::pin(listen))) };
    let (dialled, listened) = tokio::select! {
        ends = ends => ends,
        () = async { carried.await; std::future::pending().await } => unreachable!("it goes on for ever"),
    };
    for ended in [dialled, listened] {
        match ended {
            Ok(Ok(heard)) => assert_eq!(&heard, PING, "something else than was said"),
            Ok(Err(error)) if TlsError::of(&error).is_some() => check(&error),
            // Lost once it was secure, or waited for in vain.
            Ok(Err(_)) | Err(_) => assert!(!changes.is_empty() || how.host() != "localhost", "for no reason"),
        }
    }
}

/// Carries bytes until one side has no more, and changes some by where they are.
async fn carry(
    mut from: tokio::io::ReadHalf<DuplexStream>,
    mut into: tokio::io::WriteHalf<DuplexStream>,
    changes: &[(usize, u8)],
) {
    let (mut at, mut bytes) = (0, vec![0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        for (place, change) in changes {
            if let Some(byte) = place.checked_sub(at).and_then(|place| bytes[..read].get_mut(place)) {
                *byte ^= change;
            }
        }
        at += read;
        if into.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
    let _gone = into.shutdown().await;
}

/// It has a name, and what the other side had a part in harms no terminal.
fn check(error: &io::Error) {
    let told = TlsError::of(error).expect("an error of TLS").to_string();
    assert!(told.len() <= ERROR_MAX, "{} bytes: {told}", told.len());
    assert!(!told.chars().any(char::is_control), "{told:?}");
}

/// Gives out a few bytes at a time, then nothing more; takes whatever comes.
struct Said<'a> {
    bytes: &'a [u8],
    step: usize,
    said: &'a mut usize,
}

impl AsyncRead for Said<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let taken = self.step.min(self.bytes.len()).min(out.remaining());
        out.put_slice(&self.bytes[..taken]);
        self.bytes = &self.bytes[taken..];
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Said<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        *self.said += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What both ends say to each other in each version, to be said again to somebody else; and exchanges that nothing happens to, or little.
pub(crate) fn tls_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for how in [0, 2, 4, 6] {
        let [by_client, by_server] = record(How(how));
        for step in [7, 255] {
            seeds.push([&[how, step], &by_server[..]].concat());
            seeds.push([&[how | 1, step], &by_client[..]].concat());
        }
        for to in [0, 1] {
            seeds.push(vec![how | to | 8, 0]);
            seeds.push(vec![how | to | 8, 0, 0, 40, 1, 1, 0, 0x80]);
        }
    }
    seeds.push(vec![8 | 16, 0]);
    seeds.push(b"\0\xffHTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    seeds.push(vec![0, 255, 0x15, 3, 3, 0, 2, 2, 40]);
    seeds
}

/// What client and server say in a handshake.
fn record(how: How) -> [Vec<u8>; 2] {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let (client, mut at_client) = duplex(64 * 1024);
        let (server, mut at_server) = duplex(64 * 1024);
        let mut said = [Vec::new(), Vec::new()];
        let ends = async {
            let (client, server) = tokio::join!(how.client().connect(how.host(), client), how.server().accept(server));
            assert!(client.is_ok() && server.is_ok());
        };
        let [by_client, by_server] = &mut said;
        let carried = async {
            let (mut up, mut down) = (vec![0; 4096], vec![0; 4096]);
            loop {
                tokio::select! {
                    Ok(read @ 1..) = at_client.read(&mut up) => {
                        by_client.extend_from_slice(&up[..read]);
                        at_server.write_all(&up[..read]).await.expect("is there");
                    }
                    Ok(read @ 1..) = at_server.read(&mut down) => {
                        by_server.extend_from_slice(&down[..read]);
                        at_client.write_all(&down[..read]).await.expect("is there");
                    }
                    else => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = ends => {}
            () = carried => {}
        }
        said
    })
}
