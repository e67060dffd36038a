//! A broker for one run.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::process;

/// A sink, that ends with this.
#[derive(Debug)]
pub(crate) struct Sink {
    child: Child,
    pub(crate) bootstrap: String,
    pub(crate) tls: Option<Tls>,
}

/// What a sink with TLS says of it.
#[derive(Debug)]
pub(crate) struct Tls {
    /// What clients have to trust.
    pub(crate) trusted: PathBuf,
    /// Protocol and cipher.
    pub(crate) agreed: String,
}

impl Sink {
    pub(crate) fn start(topics: &str, tls: bool) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("sink");
        let mut command = Command::new(&program);
        command.args(topics.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped());
        let trusted =
            tls.then(|| std::env::temp_dir().join(format!("milena-peers-{}-trusted.pem", std::process::id())));
        if let Some(trusted) = &trusted {
            command.arg(format!("--tls={}", trusted.display()));
        }
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let mut lines = child.stdout.take().map(|output| BufReader::new(output).lines());
        let mut line = || lines.as_mut().and_then(Iterator::next).and_then(Result::ok);
        let mut sink = Self { child, bootstrap: line().ok_or("the sink did not start")?, tls: None };
        if let Some(trusted) = trusted {
            sink.tls = Some(Tls { trusted, agreed: line().ok_or("the sink speaks no TLS")? });
        }
        Ok(sink)
    }

    pub(crate) fn cpu(&self) -> f64 {
        process::cpu_of(self.child.id())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(tls) = &self.tls {
            drop(std::fs::remove_file(&tls.trusted));
        }
    }
}
