use proptest::prelude::*;

use super::*;
use crate::error::SaslErrorKind as Kind;
use crate::secret::Secret;
use crate::step::Step;

fn client(hash: ScramHash, user: &str, password: &str, nonce: &str) -> ScramClient {
    ScramClient::new(hash, &ScramIdentity::new(user, password.into()), nonce).unwrap()
}

fn sent(step: Result<Step, crate::SaslError>) -> String {
    match step {
        Ok(Step::Send(bytes)) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The whole exchange of RFC 7677, section 3.
#[test]
fn the_exchange_is_that_of_rfc_7677() {
    let mut cache = KeyCache::new();
    let mut client = client(ScramHash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
    assert_eq!(sent(client.step(b"", &mut cache)), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    assert_eq!(
        sent(client.step(first, &mut cache)),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let last = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(client.step(last, &mut cache), Ok(Step::Done));
}

/// The server of the same exchange, so that the two sides here are not only right towards each other.
#[test]
fn the_server_of_rfc_7677_answers_as_written_there() {
    let salt = super::text::from_base64("W22ZaJ0SNY7soEsUEjb6gQ==", 's').unwrap();
    let verifier = ScramVerifier::new(ScramHash::Sha256, "pencil", &salt, 4096);
    let (user, bare, token) = ScramServer::read_first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    assert_eq!((user.as_str(), token), ("user", false));
    let (server, answer) = ScramServer::start(&verifier, &bare, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0").unwrap();
    assert_eq!(answer, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    let proof =
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(server.finish(proof).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

/// librdkafka before 2.6.1 puts its part of the nonce in front of the whole once more, which Kafka takes.
#[test]
fn the_server_takes_a_nonce_that_ends_as_it_should_and_no_other() {
    let hash = ScramHash::Sha256;
    let verifier = ScramVerifier::new(hash, "pencil", b"salt", 4096);
    let keys = super::keys::Keys::derive(hash, b"pencil", b"salt", 4096);
    for (nonce, taken) in [
        ("ourstheirs", true),
        ("oursourstheirs", true),
        ("theirs", false),
        ("ours", false),
        ("ourstheirsx", false),
        ("", false),
    ] {
        let (server, answer) = ScramServer::start(&verifier, "n=user,r=ours", "theirs").unwrap();
        let unproven = format!("c=biws,r={nonce}");
        let signature = hash.hmac(&hash.digest(&keys.client), format!("n=user,r=ours,{answer},{unproven}").as_bytes());
        let proof: Vec<u8> = keys.client.iter().zip(signature.iter()).map(|(key, byte)| key ^ byte).collect();
        let told = server.finish(format!("{unproven},p={}", super::text::base64(&proof)).as_bytes());
        assert_eq!(
            told.as_ref().map_err(|error| error.kind).err(),
            (!taken).then_some(Kind::Nonce),
            "{nonce}: {told:?}"
        );
    }
}

/// As computed by Python's hashlib and hmac: the RFC has no exchange with this hash.
#[test]
fn keys_of_sha_512_are_those_of_another_implementation() {
    let keys = super::keys::Keys::derive(ScramHash::Sha512, b"password", b"salt", 4096);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&keys.client), CLIENT_KEY_512);
    assert_eq!(hex(&keys.server), SERVER_KEY_512);
}
const CLIENT_KEY_512: &str = "877b6413a86b21bb5e85053e542144749560c4ec2b75f77fd474a167a6a1a52f20d6fd1f4b8ba94b8603aa28588cc1f867d44d650131c9e33c9216f0b3ca0196";
const SERVER_KEY_512: &str = "fac17c3693b3785075179fbbdba74aceefa271e9d3f34a09939531a1d5a0e022fdccc3a29b107220f31ae35a618b4c8e4afd8380c319a84eae9a1da3ff1688d6";

/// Runs both sides until the client is satisfied or one of them is not.
fn meet(client: &mut ScramClient, verifier: &ScramVerifier) -> Result<(), (Kind, &'static str)> {
    let mut cache = KeyCache::new();
    let first = sent(client.step(b"", &mut cache));
    let (_, bare, _) = ScramServer::read_first(first.as_bytes()).unwrap();
    let (server, answer) = ScramServer::start(verifier, &bare, "theirs").unwrap();
    let proof = client.step(answer.as_bytes(), &mut cache).map_err(|error| (error.kind, "client"))?;
    let last = server.finish(sent(Ok(proof)).as_bytes()).map_err(|error| (error.kind, "server"))?;
    assert_eq!(client.step(last.as_bytes(), &mut cache).map_err(|error| (error.kind, "client"))?, Step::Done);
    Ok(())
}

#[test]
fn both_sides_meet_with_either_hash_and_with_names_that_need_escaping() {
    for hash in [ScramHash::Sha256, ScramHash::Sha512] {
        for user in ["alice", "a=b,c", "Ünïcödé"] {
            let verifier = ScramVerifier::new(hash, "pencil", b"salt", 4096);
            assert_eq!(meet(&mut client(hash, user, "pencil", "ours"), &verifier), Ok(()));
            assert_eq!(meet(&mut client(hash, user, "pencil2", "ours"), &verifier), Err((Kind::Refused, "server")));
        }
    }
}

#[test]
fn a_delegation_token_says_that_it_is_one() {
    let mut identity = ScramIdentity::new("token-id", "hmac".into());
    identity.delegation_token = true;
    let mut client = ScramClient::new(ScramHash::Sha256, &identity, "ours").unwrap();
    let first = sent(client.step(b"", &mut KeyCache::new()));
    assert_eq!(first, "n,,n=token-id,r=ours,tokenauth=true");
    assert!(ScramServer::read_first(first.as_bytes()).unwrap().2);
}

fn after_first(challenge: &str) -> Result<Step, crate::SaslError> {
    let mut client = client(ScramHash::Sha256, "user", "pencil", "ours");
    let mut cache = KeyCache::new();
    client.step(b"", &mut cache).unwrap();
    client.step(challenge.as_bytes(), &mut cache)
}

#[test]
fn a_broker_that_does_not_keep_to_the_mechanism_gets_no_proof() {
    for (challenge, kind) in [
        ("r=oursandtheirs,s=c2FsdA==,i=4095", Kind::Iterations),
        ("r=oursandtheirs,s=c2FsdA==,i=0", Kind::Iterations),
        ("r=oursandtheirs,s=c2FsdA==,i=1", Kind::Iterations),
        ("r=oursandtheirs,s=c2FsdA==,i=131073", Kind::Iterations),
        ("r=oursandtheirs,s=c2FsdA==,i=4294967296", Kind::Iterations),
        ("r=oursandtheirs,s=c2FsdA==,i=99999999999999999999999", Kind::Iterations),
        ("r=oursandtheirs,s=c2FsdA==,i=-4096", Kind::Challenge),
        ("r=oursandtheirs,s=c2FsdA==,i=+4096", Kind::Challenge),
        ("r=oursandtheirs,s=c2FsdA==,i=", Kind::Challenge),
        ("r=ours,s=c2FsdA==,i=4096", Kind::Nonce),
        ("r=theirs,s=c2FsdA==,i=4096", Kind::Nonce),
        ("r=our,s=c2FsdA==,i=4096", Kind::Nonce),
        ("r=,s=c2FsdA==,i=4096", Kind::Nonce),
        ("r=oursandtheirs,s=,i=4096", Kind::Challenge),
        ("r=oursandtheirs,s=!,i=4096", Kind::Challenge),
        ("r=oursandtheirs,i=4096", Kind::Challenge),
        ("m=new,r=oursandtheirs,s=c2FsdA==,i=4096", Kind::Challenge),
        ("", Kind::Challenge),
        ("e=unknown-user", Kind::Refused),
    ] {
        let error = after_first(challenge).expect_err(challenge);
        assert_eq!(error.kind, kind, "{challenge}: {error}");
    }
    assert!(after_first("r=oursandtheirs,s=c2FsdA==,i=4096,x=extension").is_ok());
    assert_eq!(
        after_first(&format!("r=ours{},s=c2FsdA==,i=4096", "r".repeat(20_000))).unwrap_err().kind,
        Kind::Challenge
    );
}

#[test]
fn a_broker_that_does_not_know_the_password_is_found_out() {
    for last in ["v=AAAA", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v="] {
        let mut client = client(ScramHash::Sha256, "user", "pencil", "ours");
        let mut cache = KeyCache::new();
        client.step(b"", &mut cache).unwrap();
        client.step(b"r=oursandtheirs,s=c2FsdA==,i=4096", &mut cache).unwrap();
        assert_eq!(client.step(last.as_bytes(), &mut cache).unwrap_err().kind, Kind::ServerSignature, "{last}");
        assert_eq!(client.step(last.as_bytes(), &mut cache).unwrap_err().kind, Kind::Challenge, "it is over");
    }
    let mut client = client(ScramHash::Sha256, "user", "pencil", "ours");
    assert_eq!(client.step(b"e=x", &mut KeyCache::new()).unwrap_err().kind, Kind::Challenge, "nobody asked");
}

#[test]
fn a_broker_that_skips_its_proof_is_not_believed() {
    let mut client = client(ScramHash::Sha256, "user", "pencil", "ours");
    let mut cache = KeyCache::new();
    client.step(b"", &mut cache).unwrap();
    client.step(b"r=oursandtheirs,s=c2FsdA==,i=4096", &mut cache).unwrap();
    assert!(client.step(b"", &mut cache).is_err());
}

#[test]
fn keys_are_derived_once_for_one_salt_and_anew_when_anything_differs() {
    let mut cache = KeyCache::new();
    let password = Secret::from("pencil");
    let keys = cache.keys(ScramHash::Sha256, &password, b"salt", 4096);
    let at = cache.place();
    assert_eq!(*cache.keys(ScramHash::Sha256, &password, b"salt", 4096).client, *keys.client);
    assert_eq!(cache.place(), at, "derived again");
    for (hash, password, salt, iterations) in [
        (ScramHash::Sha512, "pencil", &b"salt"[..], 4096),
        (ScramHash::Sha256, "pencil2", b"salt", 4096),
        (ScramHash::Sha256, "pencil", b"salt2", 4096),
        (ScramHash::Sha256, "pencil", b"salt", 4097),
    ] {
        cache.keys(ScramHash::Sha256, &Secret::from("pencil"), b"salt", 4096);
        let other = cache.keys(hash, &password.into(), salt, iterations);
        assert_ne!(*other.client, *keys.client);
        assert_eq!(*other.client, *super::keys::Keys::derive(hash, password.as_bytes(), salt, iterations).client);
    }
}

#[test]
fn a_password_is_prepared_as_the_rfc_has_it_unless_told_otherwise() {
    // U+2168 (Roman numeral nine) is IX, and U+00AD (soft hyphen) is nothing: two examples of RFC 4013.
    let odd = "\u{2168}p\u{ad}";
    let verifier = ScramVerifier::new(ScramHash::Sha256, "IXp", b"salt", 4096);
    assert_eq!(meet(&mut client(ScramHash::Sha256, "user", odd, "ours"), &verifier), Ok(()));
    let mut raw = ScramIdentity::new("user", odd.into());
    assert!(raw.is_ambiguous() && !ScramIdentity::new("user", "pencil".into()).is_ambiguous());
    raw.unprepared = true;
    let verifier = ScramVerifier::new(ScramHash::Sha256, odd, b"salt", 4096);
    let mut unprepared = ScramClient::new(ScramHash::Sha256, &raw, "ours").unwrap();
    assert_eq!(meet(&mut unprepared, &verifier), Ok(()));
    let named = |user: &str| sent(client(ScramHash::Sha256, user, "pencil", "ours").step(b"", &mut KeyCache::new()));
    assert_eq!(named(odd), "n,,n=IXp,r=ours");
    // What the RFC forbids is taken as it is: Kafka may know it.
    let forbidden = "bell\u{7}";
    let verifier = ScramVerifier::new(ScramHash::Sha256, forbidden, b"salt", 4096);
    assert_eq!(meet(&mut client(ScramHash::Sha256, "user", forbidden, "ours"), &verifier), Ok(()));
}

#[test]
fn nothing_shows_a_password_or_a_key() {
    let mut client = client(ScramHash::Sha256, "user", "pencil", "ours");
    let mut cache = KeyCache::new();
    let verifier = ScramVerifier::new(ScramHash::Sha256, "pencil", b"salt", 4096);
    let mut shown = format!("{:?} {verifier:?} {:?}", client, ScramIdentity::new("user", "pencil".into()));
    shown += &format!("{:?}", client.step(b"", &mut cache));
    shown += &format!("{:?}", client.step(b"r=oursandtheirs,s=c2FsdA==,i=4096", &mut cache));
    shown += &format!("{client:?} {cache:?} {:?}", client.step(b"v=AAAA", &mut cache));
    assert!(!shown.contains("pencil") && !shown.contains("p=") && !shown.contains("112, 101"), "{shown}");
}

proptest! {
    #[test]
    fn whatever_the_other_side_says_does_no_harm(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..4),
        texts in proptest::collection::vec("[rsiecvm=,ours0-9a-z+/]{0,60}", 1..4),
    ) {
        let mut one = client(ScramHash::Sha256, "user", "pencil", "ours");
        let mut two = client(ScramHash::Sha512, "user", "pencil", "ours");
        let mut cache = KeyCache::new();
        one.step(b"", &mut cache).unwrap();
        two.step(b"", &mut cache).unwrap();
        for message in &messages {
            prop_assert!(one.step(message, &mut cache) != Ok(Step::Done));
            let _ = ScramServer::read_first(message);
        }
        for text in &texts {
            prop_assert!(two.step(text.as_bytes(), &mut cache) != Ok(Step::Done));
            let _ = ScramServer::read_first(text.as_bytes());
        }
    }
}
