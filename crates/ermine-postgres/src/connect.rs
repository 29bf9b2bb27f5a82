//! Opening a session, and saying clearly why not.

use std::time::Duration;

use ermine_core::{Error, ErrorKind, Result};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls, error::SqlState};

use crate::{
    error::Fault,
    target::{Session, Target},
};

/// The oldest major version that everything here works on.
const OLDEST_MAJOR: u32 = 14;

/// A fresh session: its client, and what moves its bytes.
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) driver: Driver,
}

type Plain = tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>;
type Tls = tokio_postgres::Connection<
    tokio_postgres::Socket,
    <tokio_postgres_rustls::MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<
        tokio_postgres::Socket,
    >>::Stream,
>;

/// Moves the bytes of a session, with TLS or without.
pub(crate) enum Driver {
    Plain(Box<Plain>),
    Tls(Box<Tls>),
}

impl Driver {
    fn server_version(&self) -> Option<&str> {
        match self {
            Self::Plain(connection) => connection.parameter("server_version"),
            Self::Tls(connection) => connection.parameter("server_version"),
        }
    }

    pub(crate) fn poll_message(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<tokio_postgres::AsyncMessage, tokio_postgres::Error>>> {
        match self {
            Self::Plain(connection) => connection.poll_message(cx),
            Self::Tls(connection) => connection.poll_message(cx),
        }
    }

    /// Moves bytes until the session ends.
    pub(crate) async fn run(mut self) {
        while let Some(Ok(_)) = std::future::poll_fn(|cx| self.poll_message(cx)).await {}
    }
}

/// Opens a session.
pub(crate) async fn open(target: &Target, session: &Session) -> Result<Opened> {
    // The driver's own limit is per address and covers no more than the socket.
    let deadline = session.connect_timeout + Duration::from_millis(500);
    let opened = match timeout(deadline, attempt(target)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return Err(explain(target, error)),
        Err(_) => {
            return Err(Error::transient(format!(
                "cannot reach PostgreSQL at {target}: no answer within {deadline:?}"
            )));
        }
    };
    check_version(target, opened.driver.server_version())?;
    Ok(opened)
}

async fn attempt(target: &Target) -> Result<Opened, tokio_postgres::Error> {
    match &target.tls.0 {
        Some(tls) => {
            let (client, connection) = target.config.connect(tls.clone()).await?;
            Ok(Opened { client, driver: Driver::Tls(Box::new(connection)) })
        }
        None => {
            let (client, connection) = target.config.connect(NoTls).await?;
            Ok(Opened { client, driver: Driver::Plain(Box::new(connection)) })
        }
    }
}

fn explain(target: &Target, error: tokio_postgres::Error) -> Error {
    use std::error::Error as _;
    let (kind, why) = match error.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD => {
            (ErrorKind::Configuration, "the password is wrong, or the user does not exist")
        }
        Some(code) if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            ErrorKind::Configuration,
            "the server does not let this user in: see its pg_hba.conf, and sslmode here",
        ),
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
            (ErrorKind::Configuration, "there is no such database: create it")
        }
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => (
            ErrorKind::Transient,
            "the server has no connection left: make the pool smaller or max_connections larger",
        ),
        Some(code) if code.code().starts_with("57P") || code.code().starts_with("53") => {
            (ErrorKind::Transient, "the server is starting, stopping or out of resources")
        }
        // PgBouncer knows few settings, and refuses whoever begins with another.
        Some(code) if code.code() == "08P01" && says(&error, "unsupported startup parameter") => (
            ErrorKind::Configuration,
            "a pooler in between does not take the settings of sessions: give a direct URL as `control`, and say \
             `transaction_pooler` of a pooler in transaction mode; one in session mode can ignore them",
        ),
        Some(code) if code.code().starts_with("08") => (ErrorKind::Transient, "the connection failed"),
        Some(_) => (ErrorKind::Configuration, "the server refused the connection"),
        None => without_code(error.source(), &error.to_string()),
    };
    Error::new(kind, format!("cannot connect to PostgreSQL at {target}: {why}"))
        .with_source(Fault::Driver(error))
}

fn says(error: &tokio_postgres::Error, words: &str) -> bool {
    error.as_db_error().is_some_and(|db| db.message().contains(words))
}

fn without_code(source: Option<&(dyn std::error::Error + 'static)>, text: &str) -> (ErrorKind, &'static str) {
    use std::io::ErrorKind as Io;
    if text.contains("TLS") {
        return (ErrorKind::Configuration, "TLS failed: see sslmode and sslrootcert");
    }
    if text.contains("configuration") || text.contains("password missing") {
        return (ErrorKind::Configuration, "the URL lacks something that the server asks for");
    }
    let reason =
        match source.and_then(|source| source.downcast_ref::<std::io::Error>()).map(std::io::Error::kind) {
            Some(Io::ConnectionRefused | Io::NotFound) => "nobody listens there: is the server running?",
            Some(Io::TimedOut) => "nobody answers there: is a firewall in between?",
            Some(Io::PermissionDenied) => "this process may not open the socket",
            _ => "the host is unknown or cannot be reached",
        };
    (ErrorKind::Transient, reason)
}

fn check_version(target: &Target, version: Option<&str>) -> Result<()> {
    match version.and_then(major) {
        Some(major) if major < OLDEST_MAJOR => Err(Error::new(
            ErrorKind::Refused,
            format!("PostgreSQL at {target} is version {major}: Ermine needs {OLDEST_MAJOR} or newer"),
        )),
        // A fork that hides its version is given the benefit of the doubt; the checks at start look at what matters.
        _ => Ok(()),
    }
}

fn major(version: &str) -> Option<u32> {
    let digits = version.find(|c: char| !c.is_ascii_digit()).map_or(version, |end| &version[..end]);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_older_than_14_is_refused_and_said_so() {
        let target = Target::parse("postgres://ada@db/trips?sslmode=disable").unwrap();
        let refused = check_version(&target, Some("13.22 (Debian 13.22-1.pgdg120+1)")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "PostgreSQL at db:5432, user \"ada\", database \"trips\" is version 13: Ermine needs 14 or newer"
        );
        assert_eq!(*refused.kind(), ErrorKind::Refused);
        for fine in ["14.0", "15.18 (Debian 15.18-0+deb12u1)", "18beta1", "unknown"] {
            assert!(check_version(&target, Some(fine)).is_ok(), "{fine}");
        }
        assert!(check_version(&target, None).is_ok());
    }
}
