//! `milena broker`: a cluster for others, and a log that outlives it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Child;

use milena_broker::EmbeddedCluster;

use crate::kit::{end, interrupt, milena, run, terminate, values};

/// Starts it and reads where it listens.
fn start(args: &[&str]) -> (Child, String) {
    let mut child = milena(args).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut addresses = String::new();
    stdout.read_line(&mut addresses).unwrap();
    (child, addresses.trim_end().to_owned())
}

#[test]
fn a_broker_started_again_on_its_folder_has_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    for line in ["one\n", "two\n"] {
        let (child, address) = start(&["broker", "--listen", "127.0.0.1:0", "--data", data]);
        let ended = run(&["produce", "--topic", "t", "--bootstrap", &address], line.as_bytes());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        terminate(&child);
        assert_eq!(end(child).status, Some(0));
    }
    let cluster = EmbeddedCluster::builder().data_dir(dir.path()).start_blocking().unwrap();
    assert_eq!(values(&cluster, "t"), [Some(b"one".to_vec()), Some(b"two".to_vec())]);
}

#[test]
fn every_node_has_an_address_and_topics_the_partitions_asked_for() {
    let (child, addresses) = start(&["broker", "--listen", "127.0.0.1:0", "--nodes", "3", "--partitions", "5"]);
    assert_eq!(addresses.split(',').count(), 3, "{addresses}");
    for address in addresses.split(',') {
        let args = ["produce", "--topic", "t", "--partition", "4", "--bootstrap", address];
        let ended = run(&args, b"one\n");
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let ended = run(&["produce", "--topic", "t", "--partition", "5", "--bootstrap", &addresses], b"one\n");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    interrupt(&child);
    assert_eq!(end(child).status, Some(0));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&["broker", "--listen", &address], b"");
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("in use"), "{ended:?}");
}

#[test]
fn a_folder_that_another_broker_has_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["broker", "--listen", "127.0.0.1:0", "--data", dir.path().to_str().unwrap()];
    let (first, _) = start(&args);
    let second = run(&args, b"");
    assert_eq!((second.status, second.stdout.as_str()), (Some(1), ""), "{second:?}");
    assert!(second.stderr.contains("another broker"), "{second:?}");
    terminate(&first);
    assert_eq!(end(first).status, Some(0));
}

#[test]
fn a_broker_with_tls_is_reached_by_who_trusts_it_and_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (child, address) = start(&["broker", "--listen", "127.0.0.1:0", "--tls-made", &path("ca.pem")]);
    let trust = format!("ssl.ca.location={}", path("ca.pem"));
    let ssl = ["produce", "--topic", "t", "--bootstrap", &address, "-X", "security.protocol=SSL", "-X", &trust];
    let ended = run(&ssl, b"one\n");
    assert_eq!(ended.status, Some(0), "{ended:?}");

    // Without a word about trust it is the operating system's, of which this is the usual replacement.
    for (authority, expected) in [(path("ca.pem"), Some(0)), (path("nobody.pem"), Some(2))] {
        let mut child = milena(&ssl[..7]);
        child.env("SSL_CERT_FILE", &authority).env_remove("SSL_CERT_DIR");
        let ended = end(child.spawn().unwrap());
        assert_eq!(ended.status, expected, "{authority}: {ended:?}");
    }

    // This is tried to the end: it may be a broker that restarts.
    let plain = ["produce", "--topic", "t", "--bootstrap", &address, "--connect-timeout", "10"];
    let ended = run(&plain, b"one\n");
    assert_ne!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("speaks TLS"), "{ended:?}");

    let stranger = milena_tls::issue::Authority::new("stranger").unwrap();
    std::fs::write(path("ca.pem"), stranger.certificate()).unwrap();
    let ended = run(&ssl, b"one\n");
    assert_ne!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("ssl.ca.location"), "{ended:?}");
    terminate(&child);
    assert_eq!(end(child).status, Some(0));
}

#[test]
fn a_broker_that_asks_clients_who_they_are_lets_in_those_it_knows() {
    use milena_tls::issue::{Authority, Validity};
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let authority = Authority::new("all of it").unwrap();
    let node = authority.server(&["127.0.0.1"], Validity::default()).unwrap();
    let alice = authority.client("alice", Validity::default()).unwrap();
    std::fs::write(path("ca.pem"), authority.certificate()).unwrap();
    std::fs::write(path("node.pem"), format!("{}{}", node.key, node.certificate)).unwrap();
    std::fs::write(path("alice.pem"), format!("{}{}", alice.key, alice.certificate)).unwrap();
    let clients = path("ca.pem");
    let (child, address) =
        start(&["broker", "--listen", "127.0.0.1:0", "--tls", &path("node.pem"), "--tls-clients", &clients]);
    let trust = format!("ssl.truststore.location={clients}");
    let own = format!("ssl.keystore.location={}", path("alice.pem"));
    let ssl = ["produce", "--topic", "t", "--bootstrap", &address, "-X", "security.protocol=SSL", "-X", &trust];
    let ended = run(&ssl, b"one\n");
    assert_ne!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("wants a certificate of this client"), "{ended:?}");
    let ended = run(&[&ssl[..], &["-X", &own]].concat(), b"one\n");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    terminate(&child);
    assert_eq!(end(child).status, Some(0));
    let ended = run(&["broker", "--tls-clients", &clients], b"");
    assert_eq!(ended.status, Some(2), "{ended:?}");
}

/// Alice's broker, TLS and SASL both; her password comes from the environment.
fn guarded(ca: &str, more: &[&str]) -> (Child, String, String) {
    let args = ["broker", "--listen", "127.0.0.1:0", "--tls-made", ca, "--sasl-user", "alice=${env:ALICE}"];
    let mut child = milena(&[&args[..], more].concat()).env("ALICE", "p:e=n c\"il").spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut addresses = String::new();
    stdout.read_line(&mut addresses).unwrap();
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    (child, addresses.trim_end().to_owned(), told)
}

#[test]
fn sasl_ssl_is_tried_with_nothing_but_two_commands_and_passwords_from_files_or_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (child, address, told) = guarded(&path("ca.pem"), &[]);
    assert!(told.contains("security.protocol=SASL_SSL") && told.contains("sasl.username=alice"), "{told}");
    assert!(told.contains("ca.pem") && !told.contains("c\"il"), "{told}");
    std::fs::write(path("password"), "p:e=n c\"il\n").unwrap();

    // What the broker says is needed is enough.
    let settings: Vec<String> =
        told.split('\'').skip(1).step_by(2).flat_map(|setting| ["-X".to_owned(), setting.to_owned()]).collect();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let produce = |more: &[&str], environment: &str| {
        let args = ["produce", "--topic", "t", "--bootstrap", &address, "--json"];
        let mut child = milena(&[&args[..], more].concat());
        child.env("PASSWORD", environment).stdin(std::process::Stdio::piped());
        let mut child = child.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"one\n").unwrap();
        end(child)
    };
    let ended = produce(&settings, "p:e=n c\"il");
    assert_eq!((ended.status, ended.account()), (Some(0), [1, 1, 0, 0]), "{ended:?}");

    let from_file = format!("sasl.password=${{file:{}}}", path("password"));
    let by_name = format!("milena.sasl.password.file={}", path("password"));
    let ca = format!("ssl.ca.location={}", path("ca.pem"));
    let base = ["-X", "security.protocol=SASL_SSL", "-X", &ca, "-X", "sasl.username=alice", "-X"];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mechanism = format!("sasl.mechanism={mechanism}");
        for password in [&from_file, &by_name] {
            let ended = produce(&[&base[..], &[&mechanism, "-X", password]].concat(), "");
            assert_eq!(ended.status, Some(0), "{mechanism}, {password}: {ended:?}");
        }
    }

    // As Java's clients have it; the password is put in place whatever characters are in it.
    let jaas = "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"alice\" \
                password=\"${env:PASSWORD}\";";
    let java = ["-X", "security.protocol=SASL_SSL", "-X", &ca, "-X", "sasl.mechanism=SCRAM-SHA-512", "-X", jaas];
    let ended = produce(&java, "p:e=n c\"il");
    assert_eq!((ended.status, ended.account()), (Some(0), [1, 1, 0, 0]), "{ended:?}");

    // And who does not know it is told so at once: nothing says here that the time for connecting is over.
    for settings in [&settings[..], &java] {
        let ended = produce(&[settings, &["--connect-timeout", "3600"]].concat(), "crayon");
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("check user name and password") && ended.stderr.contains(&address), "{ended:?}");
        assert!(!ended.stderr.contains("crayon"), "{ended:?}");
    }
    terminate(&child);
    assert_eq!(end(child).status, Some(0));
}

#[test]
fn sessions_end_and_only_what_is_offered_is_spoken() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem").to_str().unwrap().to_owned();
    let (child, address, told) = guarded(&ca, &["--sasl-mechanisms", "SCRAM-SHA-256", "--sasl-session", "1"]);
    assert!(told.contains("sasl.mechanism=SCRAM-SHA-256"), "{told}");
    let trust = format!("ssl.ca.location={ca}");
    let ended = run(
        &[
            "produce",
            "--topic",
            "t",
            "--bootstrap",
            &address,
            "-X",
            "security.protocol=SASL_SSL",
            "-X",
            &trust,
            "-X",
            "sasl.mechanism=PLAIN",
            "-X",
            "sasl.username=alice",
            "-X",
            "sasl.password=x",
        ],
        b"one\n",
    );
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("it offers SCRAM-SHA-256"), "{ended:?}");
    terminate(&child);
    assert_eq!(end(child).status, Some(0));
}

#[test]
fn users_of_a_broker_are_checked_and_their_passwords_not_shown() {
    for (args, why) in [
        (&["--sasl-user", "hunter2"][..], "NAME=PASSWORD"),
        (&["--sasl-user", "alice=${env:NOBODY_SETS_THIS}"], "not set"),
        (&["--sasl-user", "=hunter2"], "no name"),
        (&["--sasl-mechanisms", "PLAIN"], "--sasl-user"),
        (&["--sasl-user", "alice=hunter2", "--sasl-mechanisms", "GSSAPI"], "GSSAPI"),
    ] {
        let ended = run(&[&["broker", "--listen", "127.0.0.1:0"], args].concat(), b"");
        assert_eq!(ended.status, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(why) && !ended.stderr.contains("hunter2"), "{args:?}: {ended:?}");
    }
}
