//! Where a URL leads to, and what to say when nobody is there.

use std::{fmt, sync::Arc, time::Duration};

use ermine_core::{Error, Result};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use crate::tls::{self, Tls, Verify};

/// A server and database that can be connected to. Its text never holds the password.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) config: Config,
    pub(crate) tls: Arc<Tls>,
}

impl Target {
    /// Reads a `postgres://` URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        if !matches!(scheme, "postgres" | "postgresql") {
            let what =
                if scheme.is_empty() { "no scheme".into() } else { format!("the scheme \"{scheme}\"") };
            return Err(Error::configuration(format!(
                "a PostgreSQL URL looks like postgres://user:password@host:5432/database; this one has {what}"
            )));
        }
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut settings = Settings::default();
        let kept: Vec<&str> = query.split('&').filter(|pair| settings.keep(pair)).collect();
        let verify = settings.verify()?;
        let mut config: Config = format!("postgres://{base}?{}", kept.join("&")).parse().map_err(|err| {
            Error::configuration(
                "a PostgreSQL URL looks like postgres://user:password@host:5432/database; this one cannot be read",
            )
            .with_source(err)
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        let sockets_only = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        config.ssl_mode(match verify {
            Verify::Off => SslMode::Disable,
            _ if sockets_only => SslMode::Disable,
            Verify::IfOffered => SslMode::Prefer,
            Verify::Nothing | Verify::Chain | Verify::Name => SslMode::Require,
        });
        let tls = if sockets_only { Tls::off() } else { tls::connector(verify, settings.root.as_deref())? };
        Ok(Self { config, tls: Arc::new(tls) })
    }

    /// Applies what every session of ours has.
    pub(crate) fn with_session(mut self, session: &Session) -> Self {
        let config = &mut self.config;
        config.connect_timeout(session.connect_timeout);
        config.keepalives_idle(Duration::from_secs(10));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(20));
        if config.get_application_name().is_none() || session.application_name_given {
            config.application_name(&session.application_name);
        }
        if !session.behind_pooler {
            // Later ones win, so a URL may bring options of its own but not these.
            let own = config.get_options().map(|given| format!("{given} ")).unwrap_or_default();
            config.options(format!("{own}{}", session.options()));
        }
        self
    }
}

/// What the URL says of TLS, which `tokio-postgres` does not understand in full.
#[derive(Default)]
struct Settings {
    mode: Option<String>,
    root: Option<String>,
}

impl Settings {
    /// Takes what is ours out of a query string; whether the pair should stay in it.
    fn keep(&mut self, pair: &str) -> bool {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => self.mode = Some(mode.to_owned()),
            Some(("sslrootcert", path)) => self.root = Some(path.replace("%2F", "/").replace("%2f", "/")),
            _ => return !pair.is_empty(),
        }
        false
    }

    fn verify(&self) -> Result<Verify> {
        Ok(match self.mode.as_deref() {
            None | Some("prefer" | "allow") => Verify::IfOffered,
            Some("disable") => Verify::Off,
            // As in libpq: a root certificate that is named is used.
            Some("require") if self.root.is_some() => Verify::Chain,
            Some("require") => Verify::Nothing,
            Some("verify-ca") => Verify::Chain,
            Some("verify-full") => Verify::Name,
            Some(other) => {
                return Err(Error::configuration(format!(
                    "sslmode={other} is not known: use disable, prefer, require, verify-ca or verify-full"
                )));
            }
        })
    }
}

/// How the sessions of a store are set up.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) application_name: String,
    pub(crate) application_name_given: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    /// A pooler in transaction mode: it refuses options and hands every transaction to another session.
    pub(crate) behind_pooler: bool,
}

impl Session {
    fn options(&self) -> String {
        format!(
            "-c search_path=pg_catalog -c default_transaction_isolation=read\\ committed \
             -c default_transaction_read_only=off -c default_transaction_deferrable=off \
             -c statement_timeout={} -c idle_in_transaction_session_timeout=60000 -c jit=off -c enable_memoize=off \
             -c extra_float_digits=1",
            self.statement_timeout.as_millis()
        )
    }

    /// How long to wait for an answer: longer than the server works on a statement, so that its own message comes first.
    pub(crate) fn answer_timeout(&self) -> Duration {
        self.statement_timeout + Duration::from_secs(5)
    }
}

/// `host:port, user "u", database "d"`: never the password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
            let comma = if n > 0 { ", " } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}:{port}")?,
                Host::Unix(dir) => write!(f, "{comma}{}/.s.PGSQL.{port}", dir.display())?,
            }
        }
        match self.config.get_user() {
            Some(user) => write!(f, ", user \"{user}\"")?,
            None => write!(f, ", user of this process")?,
        }
        match self.config.get_dbname() {
            Some(name) => write!(f, ", database \"{name}\""),
            None => write!(f, ", database named like the user"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests;
