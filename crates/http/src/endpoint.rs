//! Where a request goes.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;

/// An address of `https`; or of `http`, if that stays within this machine or was asked for.
///
/// `Display` and `Debug` leave out what is behind the question mark, which may be anybody's key.
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoint {
    pub(crate) tls: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// With brackets, and the port unless it is the scheme's own.
    pub(crate) authority: String,
    /// With what is behind the question mark.
    pub(crate) path: String,
    /// Whether `http` may leave this machine.
    pub(crate) plaintext: bool,
}

/// An address that no request is sent to. Holds no part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BadEndpoint {
    /// It is none.
    NoUrl,
    /// It is of another scheme than `https` and `http`.
    Scheme,
    /// It holds a user's name or password, which would turn up in logs.
    UserInfo,
    /// It is `http` to another machine: everybody on the way would read what is sent.
    Plaintext,
}

impl fmt::Display for BadEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "is no URL with a host",
            Self::Scheme => "is neither https nor http",
            Self::UserInfo => "holds a name or password before the host; they do not belong there",
            Self::Plaintext => {
                "is http to another machine, so that everybody on the way could read what is secret; use https"
            }
        })
    }
}

impl std::error::Error for BadEndpoint {}

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// If it is none, or what is sent there could be read by others.
    pub fn parse(url: &str) -> Result<Self, BadEndpoint> {
        Self::read(url, false)
    }

    /// Reads a URL that may be of `http` and on another machine, so that whoever is on the way reads all secrets.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn dangerously_parse_plaintext(url: &str) -> Result<Self, BadEndpoint> {
        Self::read(url, true)
    }

    fn read(url: &str, plaintext: bool) -> Result<Self, BadEndpoint> {
        let url = url.trim();
        // Never sent, and `Uri` would drop it in silence.
        if url.contains('#') {
            return Err(BadEndpoint::NoUrl);
        }
        let uri: Uri = url.parse().map_err(|_| BadEndpoint::NoUrl)?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(BadEndpoint::Scheme),
            None => return Err(BadEndpoint::NoUrl),
        };
        let authority = uri.authority().ok_or(BadEndpoint::NoUrl)?;
        if authority.as_str().contains('@') {
            return Err(BadEndpoint::UserInfo);
        }
        let bracketed = authority.host();
        let host = bracketed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(bracketed);
        // What follows the host has to be a port, and not something that reads as one only by half.
        let port = match authority.as_str().strip_prefix(bracketed) {
            Some("") => None,
            Some(rest) => Some(rest.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or(BadEndpoint::NoUrl)?),
            None => return Err(BadEndpoint::NoUrl),
        };
        if host.is_empty() || port == Some(0) {
            return Err(BadEndpoint::NoUrl);
        }
        let here = host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if !(tls || plaintext || here) {
            return Err(BadEndpoint::Plaintext);
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            plaintext,
        })
    }

    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_what_may_be_a_key() {
        for (url, host, port, path, shown) in [
            ("https://idp.example/token", "idp.example", 443, "/token", "https://idp.example/token"),
            (" https://idp:8443/a?key=s3cr3t ", "idp", 8443, "/a?key=s3cr3t", "https://idp:8443/a"),
            ("https://[2001:db8::1]:1/", "2001:db8::1", 1, "/", "https://[2001:db8::1]:1/"),
            ("https://idp", "idp", 443, "/", "https://idp/"),
            ("HTTPS://idp", "idp", 443, "/", "https://idp/"),
            ("http://localhost:8080/t", "localhost", 8080, "/t", "http://localhost:8080/t"),
            ("http://127.0.0.9/t", "127.0.0.9", 80, "/t", "http://127.0.0.9/t"),
            ("http://[::1]/t", "::1", 80, "/t", "http://[::1]/t"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.path.as_str()), (host, port, path));
            assert_eq!(
                (endpoint.to_string(), format!("{endpoint:?}")),
                (shown.to_owned(), format!("Endpoint({shown})"))
            );
        }
    }

    #[test]
    fn what_would_give_secrets_away_is_no_address() {
        for (url, bad) in [
            ("", BadEndpoint::NoUrl),
            ("idp.example/token", BadEndpoint::NoUrl),
            ("https:///token", BadEndpoint::NoUrl),
            ("https://idp/to ken", BadEndpoint::NoUrl),
            ("https://idp/a#b", BadEndpoint::NoUrl),
            ("https://idp:0/", BadEndpoint::NoUrl),
            ("https://idp:/", BadEndpoint::NoUrl),
            ("https://idp:99999/", BadEndpoint::NoUrl),
            ("ftp://idp/token", BadEndpoint::Scheme),
            ("https://me:s3cr3t@idp/token", BadEndpoint::UserInfo),
            ("https://idp\\@other/token", BadEndpoint::NoUrl),
            ("http://idp/token", BadEndpoint::Plaintext),
            ("http://127.0.0.1.example/token", BadEndpoint::Plaintext),
            ("http://localhost.example/token", BadEndpoint::Plaintext),
            ("http://169.254.169.254/token", BadEndpoint::Plaintext),
        ] {
            assert_eq!(Endpoint::parse(url), Err(bad), "{url}");
        }
        assert!(Endpoint::dangerously_parse_plaintext("http://idp/token").is_ok());
        assert_eq!(Endpoint::dangerously_parse_plaintext("http://me@idp/"), Err(BadEndpoint::UserInfo));
    }
}
