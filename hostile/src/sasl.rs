//! SASL, from both sides.

use std::cell::RefCell;
use std::sync::LazyLock;

use bytes::Bytes;
use milena_broker::SaslServer;
use milena_broker::hostile::{Door, Verdict};
use milena_sasl::{
    BearerClient, BearerToken, Extensions, KeyCache, ScramClient, ScramHash, ScramIdentity, ScramServer, ScramVerifier,
    Secret, Step, plain_token,
};
use milena_wire::message::sasl_authenticate::{AuthBytes, SaslAuthenticateRequest, SaslAuthenticateResponse};
use milena_wire::message::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
use milena_wire::{ApiKey, ApiVersion, CorrelationId, Reader, ResponseHeader};

use crate::budget::Budget;
use crate::input::Input;

/// A message and what is made of it: a few copies, and the tree of a JSON text, whose nodes are 32 bytes for two of text.
const MESSAGE: Budget = Budget { per_byte: 128, at_least: 16 * 1024 };

const USER: &str = "user";
const PASSWORD: &str = "pencil";
const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";
const SALT: &str = "QSXCR+Q6sek8bf92";
const SERVER_NONCE: &str = "3rfcNHYJY1ZVvWVs7j";

thread_local! {
    static CACHE: RefCell<KeyCache> = RefCell::new(KeyCache::new());
}

/// `[mechanism] (length message)…`: what a broker, or somebody who pretends to be one, says to a client.
pub fn sasl_client(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => scram(ScramHash::Sha256, &mut input),
        1 => scram(ScramHash::Sha512, &mut input),
        2 => bearer(&mut input),
        _ => token(input.rest()),
    }
}

fn scram(hash: ScramHash, input: &mut Input<'_>) {
    let identity = ScramIdentity::new(USER, Secret::new(PASSWORD));
    let mut client = ScramClient::new(hash, &identity, NONCE).expect("a user and a nonce");
    CACHE.with_borrow_mut(|cache| {
        assert!(matches!(client.step(b"", cache), Ok(Step::Send(_))));
        let mut over = false;
        while !input.is_over() {
            let challenge = input.piece();
            if derives(challenge) {
                return;
            }
            let step = MESSAGE.hold("SCRAM", challenge.len(), || client.step(challenge, cache));
            assert!(!over || step.is_err(), "an exchange that is over stays so");
            assert!(!format!("{step:?}{client:?}").contains(PASSWORD));
            // Nobody here knows the password, so nobody can prove that.
            assert_ne!(step, Ok(Step::Done));
            over |= step.is_err();
        }
    });
}

/// Whether a message would have keys derived that are not in the cache: that takes milliseconds, of which ten million are too many.
/// One in 256 is worth it.
fn derives(challenge: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(challenge) else { return false };
    let known = text.contains(&format!(",s={SALT},i=4096"));
    let sum: u32 = challenge.iter().map(|byte| u32::from(*byte)).sum();
    text.starts_with(&format!("r={NONCE}")) && !known && !sum.is_multiple_of(256)
}

fn bearer(input: &mut Input<'_>) {
    let token = BearerToken::new("a.b.c").expect("a token");
    let mut client = BearerClient::new(token);
    let mut over = false;
    let _ = client.step(b"");
    while !input.is_over() {
        let challenge = input.piece();
        let step = MESSAGE.hold("OAUTHBEARER", challenge.len(), || client.step(challenge));
        assert!(!over || step.is_err(), "an exchange that is over stays so");
        if let Ok(Step::GiveUp { error, .. }) = &step {
            let shown = error.to_string();
            assert!(shown.chars().all(|c| !c.is_control()), "{shown:?} would disturb a terminal");
            assert!(shown.len() < 8192);
        }
        over |= !matches!(step, Ok(Step::Send(_)));
    }
}

/// A token and its extensions, as a provider gives them.
fn token(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0);
    let value = parts.next().unwrap_or_default();
    let Ok(token) = MESSAGE.hold("token", value.len(), || BearerToken::new(Secret::new(value))) else { return };
    let texts: Vec<_> = parts.filter_map(|part| std::str::from_utf8(part).ok()).collect();
    let pairs: Vec<_> = texts.iter().filter_map(|text| text.split_once('=')).collect();
    if let Ok(extensions) = Extensions::new(pairs) {
        let Ok(Step::Send(message)) = BearerClient::new(token.with_extensions(extensions)).step(b"") else {
            unreachable!("a token can be sent")
        };
        assert!(message.starts_with(b"n,,\x01auth=Bearer ") && message.ends_with(b"\x01\x01"));
        // Nothing in it can be taken for the end of the message.
        assert!(!message[..message.len() - 2].windows(2).any(|pair| pair == b"\x01\x01"));
    }
}

static SERVER: LazyLock<SaslServer> = LazyLock::new(|| {
    SaslServer::new(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
        .user(USER, PASSWORD)
        .tokens(|token| token == "a.b.c")
});

static VERIFIER: LazyLock<ScramVerifier> =
    LazyLock::new(|| ScramVerifier::new(ScramHash::Sha256, PASSWORD, b"salt", 4096));

/// `[0] frames…` with two bytes of length each: what a stranger says at a listener with SASL. `[1] mechanism (length message)…`: the same, inside
/// of well-formed frames. `[2] (length message)…`: to the broker's half of SCRAM itself.
pub fn sasl_server(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => {
            let mut door = Door::new(&SERVER);
            while !input.is_over() {
                let len = usize::from(input.u16());
                if !knock(&mut door, &Bytes::copy_from_slice(input.take(len))) {
                    break;
                }
            }
        }
        1 => {
            let mut door = Door::new(&SERVER);
            let mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
            let mechanism = mechanisms[usize::from(input.byte()) % 4].to_owned();
            let hello = SaslHandshakeRequest { mechanism }.encode_frame(ApiVersion(1), CorrelationId(0), None);
            let mut open = knock(&mut door, &Bytes::from(hello.to_vec()).slice(4..));
            while open && !input.is_over() {
                let auth_bytes = AuthBytes(Bytes::copy_from_slice(input.piece()));
                let frame = SaslAuthenticateRequest { auth_bytes }.encode_frame(ApiVersion(2), CorrelationId(1), None);
                open = knock(&mut door, &Bytes::from(frame.to_vec()).slice(4..));
            }
        }
        _ => {
            let first = input.piece();
            let Ok((_, bare, _)) = MESSAGE.hold("first", first.len(), || ScramServer::read_first(first)) else {
                return;
            };
            let started = MESSAGE.hold("start", bare.len(), || ScramServer::start(&VERIFIER, &bare, SERVER_NONCE));
            let (server, _) = started.expect("it was read before");
            let last = input.piece();
            let _ = MESSAGE.hold("finish", first.len() + last.len(), || server.finish(last));
        }
    }
}

/// Whether the connection goes on. What is answered can be read.
fn knock(door: &mut Door, frame: &Bytes) -> bool {
    match MESSAGE.hold("a frame at the door", frame.len(), || door.look(frame)) {
        Verdict::Pass => true,
        Verdict::Close => false,
        Verdict::Answer(answer, goes_on) => {
            let api = ApiKey(i16::from_be_bytes([frame[0], frame[1]]));
            let version = ApiVersion(i16::from_be_bytes([frame[2], frame[3]]));
            let mut reader = Reader::new(&answer[4..]);
            let header = ResponseHeader::decode(api, version, &mut reader).expect("an answer has a header");
            assert_eq!(header.correlation.0.to_be_bytes(), frame[4..8]);
            if api == ApiKey::SASL_HANDSHAKE {
                SaslHandshakeResponse::decode(version, reader.rest()).expect("an answer can be read");
            } else {
                SaslAuthenticateResponse::decode(version, reader.rest()).expect("an answer can be read");
            }
            goes_on
        }
    }
}

fn pieces(head: &[u8], messages: &[&[u8]]) -> Vec<u8> {
    let one = |message: &&[u8]| [&[u8::try_from(message.len()).unwrap_or(u8::MAX)], *message].concat();
    [head, &messages.iter().flat_map(one).collect::<Vec<_>>()].concat()
}

/// Exchanges as the RFCs have them, refusals, and tokens.
pub(crate) fn client_seeds() -> Vec<Vec<u8>> {
    let first = format!("r={NONCE}{SERVER_NONCE},s={SALT},i=4096");
    let other = format!("r={NONCE}x,s={SALT},i=131072");
    let last = b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    vec![
        pieces(&[0], &[first.as_bytes(), last]),
        pieces(&[1], &[first.as_bytes(), b"e=other-error"]),
        pieces(&[0], &[b"e=unknown-user,ext=1"]),
        pieces(&[0], &[other.as_bytes()]),
        pieces(&[2], &[b""]),
        pieces(&[2], &[br#"{"status":"invalid_token","scope":"produce","openid-configuration":"https://x/y"}"#, b""]),
        pieces(&[2], &[br#"[[[[[[1.5e3,null,"\u00e4\u001b"]]]]]]"#]),
        b"\x03eyJhbGciOiJub25lIn0.eyJpYXQiOjEwMDAsImV4cCI6MjAwMC4yNX0.\0traceId=a b\0logicalCluster=lkc-1".to_vec(),
    ]
}

/// What honest clients say.
pub(crate) fn server_seeds() -> Vec<Vec<u8>> {
    let scram_first = format!("n,,n={USER},r={NONCE}");
    let scram_last = format!("c=biws,r={NONCE}n1,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
    let whole_last = format!("c=biws,r={NONCE}{SERVER_NONCE},p=v0X8v3Bz2T0CJGbJQyF0X+HI4TswEJ5Q9Zd3bG5qVwA=");
    let plain = plain_token(USER, &Secret::new(PASSWORD)).expect("a user");
    let hello = |version, mechanism: &str| {
        let frame = SaslHandshakeRequest { mechanism: mechanism.to_owned() };
        frame.encode_frame(ApiVersion(version), CorrelationId(7), Some("c")).to_vec().split_off(4)
    };
    let say = |version, bytes: &[u8]| {
        let auth_bytes = AuthBytes(Bytes::copy_from_slice(bytes));
        let frame = SaslAuthenticateRequest { auth_bytes };
        frame.encode_frame(ApiVersion(version), CorrelationId(8), None).to_vec().split_off(4)
    };
    let long = |frames: &[Vec<u8>]| {
        let one = |frame: &Vec<u8>| [&u16::try_from(frame.len()).unwrap_or(0).to_be_bytes(), &frame[..]].concat();
        [&[0], &frames.iter().flat_map(one).collect::<Vec<_>>()[..]].concat()
    };
    vec![
        long(&[hello(1, "PLAIN"), say(0, plain.expose())]),
        long(&[hello(1, "OAUTHBEARER"), say(2, b"n,,\x01auth=Bearer x\x01\x01"), say(2, b"\x01")]),
        long(&[hello(1, "SCRAM-SHA-512"), say(1, scram_first.as_bytes()), say(1, scram_last.as_bytes())]),
        long(&[hello(1, "GSSAPI")]),
        pieces(&[1, 0], &[plain.expose()]),
        pieces(&[1, 1], &[scram_first.as_bytes(), scram_last.as_bytes()]),
        pieces(&[1, 3], &[b"n,,\x01auth=Bearer a.b.c\x01\x01"]),
        pieces(&[2], &[scram_first.as_bytes(), whole_last.as_bytes()]),
        pieces(&[2], &[b"n,a=x,n=a=2Cb=3D,r=y,tokenauth=true", b"c=biws,r=y,p="]),
    ]
}
