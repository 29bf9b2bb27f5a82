//! Where a server listens and who may come in.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_postgres::config::{Config, Host};

/// Everything that a URL to a server needs, except the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host name, an IP address or the directory of a unix socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
}

const DEFAULT_PORT: u16 = 5432;
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

impl Address {
    /// A server whose unix socket is in `dir` and that trusts whoever can reach it.
    pub(crate) fn socket(dir: &Path) -> Self {
        let host = dir.to_str().expect("socket directories have plain names").to_owned();
        Self { host, port: DEFAULT_PORT, user: "postgres".into(), password: None }
    }

    /// Reads a URL or a `key=value` connection string.
    pub(crate) fn parse(conninfo: &str) -> Result<Self, tokio_postgres::Error> {
        let config: Config = conninfo.parse()?;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(dir)) => dir.display().to_string(),
            None => "localhost".into(),
        };
        Ok(Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(DEFAULT_PORT),
            user: config.get_user().unwrap_or("postgres").into(),
            password: config.get_password().map(|password| String::from_utf8_lossy(password).into_owned()),
        })
    }

    /// Whether the server is reached through a unix socket.
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// The password, where the server asks for one.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The same server, asked by another user.
    #[must_use]
    pub fn with_login(&self, user: &str, password: Option<&str>) -> Self {
        Self { user: user.into(), password: password.map(Into::into), ..self.clone() }
    }

    /// `postgres://user:password@host:port/database`; a socket directory stands percent-encoded where the host does.
    pub fn url(&self, database: &str) -> String {
        let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let password =
            self.password.as_deref().map(|password| format!(":{}", escape(password))).unwrap_or_default();
        let (user, host, port) = (escape(&self.user), escape(&self.host), self.port);
        format!("postgres://{user}{password}@{host}:{port}/{}", escape(database))
    }

    /// The same as `key=value` pairs, the form that libpq's programs take as well.
    pub fn conninfo(&self, database: &str) -> String {
        let quote = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"));
        let password =
            self.password.as_deref().map(|it| format!(" password={}", quote(it))).unwrap_or_default();
        let (host, port, user, database) = (quote(&self.host), self.port, quote(&self.user), quote(database));
        format!("host={host} port={port} user={user}{password} dbname={database}")
    }
}

#[cfg(test)]
mod tests;
