//! Lists of addresses to find a cluster by.

use std::fmt;

use milena_cluster::{HostPort, HostPortError};

/// Reads a comma-separated list of `host:port`, as in `bootstrap.servers`. IPv6 addresses are in brackets.
///
/// White space around entries and empty entries between commas are skipped; an entry that is there twice is kept once.
///
/// # Errors
///
/// Every entry that is not an address, or that there is none at all.
pub fn bootstrap_list(text: &str) -> Result<Vec<HostPort>, BootstrapError> {
    let mut servers = Vec::new();
    let mut wrong = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match entry.parse::<HostPort>() {
            Ok(server) if servers.contains(&server) => {}
            Ok(server) => servers.push(server),
            Err(error) => wrong.push(error),
        }
    }
    if servers.is_empty() || !wrong.is_empty() {
        return Err(BootstrapError { wrong });
    }
    Ok(servers)
}

/// What is wrong with a list of addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BootstrapError {
    /// Empty if there were no entries.
    wrong: Vec<HostPortError>,
}

impl fmt::Display for BootstrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.wrong.is_empty() {
            return f.write_str("the list names no server; write host:port, several separated by commas");
        }
        for (i, error) in self.wrong.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BootstrapError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_white_space_gaps_and_brackets() {
        let servers = bootstrap_list(" kafka-1:9092, [::1]:9093 ,,10.0.0.1:1,kafka-1:9092,").unwrap();
        let expected = [HostPort::new("kafka-1", 9092), HostPort::new("::1", 9093), HostPort::new("10.0.0.1", 1)];
        assert_eq!(servers, expected);
    }

    #[test]
    fn every_wrong_entry_is_named() {
        let error = bootstrap_list("good:1,noport,bad:0,http://x:80").unwrap_err().to_string();
        for entry in ["\"noport\"", "\"bad:0\"", "\"http://x:80\""] {
            assert!(error.contains(entry), "{error}");
        }
        assert!(!error.contains("good"), "{error}");
    }

    #[test]
    fn an_empty_list_is_wrong() {
        for empty in ["", " ", ",,"] {
            assert!(bootstrap_list(empty).unwrap_err().to_string().contains("names no server"));
        }
    }
}
