//! `milena broker`'s options for SASL.

use milena::property::referred;
use milena::sasl::Secret;
use milena_broker::SaslServer;

/// What is offered if nothing is said.
const MECHANISMS: [&str; 3] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];

/// Who has to say who they are.
#[derive(clap::Args, Debug)]
pub(crate) struct Sasl {
    /// Let in only clients that authenticate by SASL, this user among them; may be given several times. The password is better given as
    /// ${env:NAME} or ${file:PATH}
    #[arg(long, value_name = "NAME=PASSWORD")]
    sasl_user: Vec<Secret>,
    /// The SASL mechanisms that are offered, all of these by default
    #[arg(long, value_name = "MECHANISM,…", value_delimiter = ',', value_parser = MECHANISMS, requires = "sasl_user")]
    sasl_mechanisms: Vec<String>,
    /// Have clients authenticate again after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), requires = "sasl_user")]
    sasl_session: Option<u64>,
}

#[derive(Debug)]
struct User {
    name: String,
    password: Secret,
}

impl User {
    /// What is wrong is told without the password.
    fn read(text: &str) -> Result<Self, String> {
        let (name, password) = text.split_once('=').ok_or("is not of the form NAME=PASSWORD")?;
        let password = match referred(password) {
            Some(found) => found.map_err(|wrong| format!("the password of {name} {wrong}"))?,
            None => Secret::from(password),
        };
        match () {
            () if name.is_empty() => Err("has no name before the password".into()),
            () if password.is_empty() => Err(format!("the password of {name} is empty")),
            () if password.expose_str().is_none() => Err(format!("the password of {name} is no text")),
            () => Ok(Self { name: name.to_owned(), password }),
        }
    }
}

impl Sasl {
    /// The broker's side; nothing if it was not asked for.
    ///
    /// # Errors
    ///
    /// What is wrong with a user, in words for people.
    pub(crate) fn server(&self) -> Result<Option<SaslServer>, String> {
        let users = self.users()?;
        if users.is_empty() {
            return Ok(None);
        }
        let mut server = SaslServer::new(&self.mechanisms());
        for User { name, password } in users {
            server = server.user(&name, password.expose_str().unwrap_or_default());
        }
        Ok(Some(match self.sasl_session {
            Some(seconds) => server.session_lifetime(std::time::Duration::from_secs(seconds)),
            None => server,
        }))
    }

    fn users(&self) -> Result<Vec<User>, String> {
        let read = |written: &Secret| User::read(written.expose_str().unwrap_or_default());
        self.sasl_user.iter().map(read).collect::<Result<_, _>>().map_err(|wrong| format!("--sasl-user: {wrong}"))
    }

    fn mechanisms(&self) -> Vec<&str> {
        match self.sasl_mechanisms.as_slice() {
            [] => MECHANISMS.to_vec(),
            chosen => chosen.iter().map(String::as_str).collect(),
        }
    }

    /// What a client has to set, but for the protocol.
    pub(crate) fn client_settings(&self) -> Vec<String> {
        let users = self.users().unwrap_or_default();
        let Some(User { name, .. }) = users.first() else { return Vec::new() };
        let mechanism = self.mechanisms().first().copied().unwrap_or_default();
        vec![
            format!("sasl.mechanism={mechanism}"),
            format!("sasl.username={name}"),
            "sasl.password=${env:PASSWORD}".to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_and_what_is_wrong_with_one_is_told_without_the_password() {
        let user = User::read("alice=a=b").unwrap();
        assert_eq!((user.name.as_str(), user.password.expose()), ("alice", &b"a=b"[..]));
        assert!(!format!("{user:?}").contains("a=b"));
        let user = User::read("bob=${env:CARGO_PKG_NAME}").unwrap();
        assert_eq!(user.password.expose(), b"milena-cli");
        for (wrong, why) in [
            ("hunter2", "NAME=PASSWORD"),
            ("=hunter2", "no name"),
            ("alice=", "empty"),
            ("alice=${env:NOBODY_SETS_THIS}", "not set"),
            ("alice=${file:/nowhere}", "cannot be read"),
        ] {
            let told = User::read(wrong).unwrap_err();
            assert!(told.contains(why) && !told.contains("hunter2"), "{told}");
        }
    }
}
