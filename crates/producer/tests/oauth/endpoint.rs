//! A token endpoint that does as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use milena_producer::tls::issue::{Authority, Validity};
use milena_producer::tls::{TlsServer, TlsServerConfig};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Play {
    /// The token with this number of seconds to live.
    Token(u64),
    /// This status and body.
    Say(&'static str, String),
    /// Nothing.
    Hang,
}

#[derive(Clone)]
pub(crate) struct TokenEndpoint {
    pub(crate) url: String,
    /// What clients have to trust, in PEM.
    pub(crate) ca: String,
    play: Arc<Mutex<Play>>,
    asked: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
}

impl TokenEndpoint {
    pub(crate) async fn start(play: Play) -> Self {
        let authority = Authority::new("milena tests").unwrap();
        let identity = authority.server(&["127.0.0.1"], Validity::default()).unwrap().identity();
        let tls = TlsServer::new(TlsServerConfig::new(identity)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            url: format!("https://{}/token?key=k3y", listener.local_addr().unwrap()),
            ca: authority.certificate().to_owned(),
            play: Arc::new(Mutex::new(play)),
            asked: Arc::default(),
            last: Arc::default(),
        };
        let served = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, tls) = (served.clone(), tls.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        served.serve(stream).await;
                    }
                });
            }
        });
        this
    }

    pub(crate) fn play(&self, play: Play) {
        *self.play.lock() = play;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The last request.
    pub(crate) fn last(&self) -> String {
        self.last.lock().clone()
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut request = Vec::new();
        while !is_whole(&request) {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        *self.last.lock() = String::from_utf8(request).unwrap();
        let count = self.asked.fetch_add(1, Ordering::SeqCst);
        let play = self.play.lock().clone();
        let (status, body) = match play {
            Play::Token(life) => {
                let token = format!("t0ken-{count}");
                ("200 OK", format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{life}}}"#))
            }
            Play::Say(status, body) => (status, body),
            Play::Hang => {
                while stream.read_buf(&mut Vec::with_capacity(64)).await.is_ok_and(|read| read > 0) {}
                return;
            }
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        drop(stream.write_all(answer.as_bytes()).await);
        drop(stream.shutdown().await);
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}
