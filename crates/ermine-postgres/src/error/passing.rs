use std::error::Error as StdError;

use ermine_core::ErrorKind;

use super::{Effect, kind};

/// Whether an error, or one of its causes, is a fault of network or server that passes, or a pool of connections that had
/// none to spare.
pub(crate) fn is_passing(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if passes(error) {
            return true;
        }
        next = error.source();
    }
    false
}

fn passes(error: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
        return kind(error, Effect::Reads) == ErrorKind::Transient;
    }
    matches!(error.downcast_ref::<bb8::RunError<tokio_postgres::Error>>(), Some(bb8::RunError::TimedOut))
}

#[cfg(test)]
mod tests {
    use ermine_core::Error;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_postgres::{Config, NoTls, error::SqlState};

    use super::*;

    /// What the driver says when a server answers to the first message with `answer` and hangs up.
    async fn refusal(answer: &[u8]) -> tokio_postgres::Error {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let serve = async move {
            let mut startup = [0; 64];
            let _ = theirs.read(&mut startup).await.unwrap();
            theirs.write_all(answer).await.unwrap();
        };
        let mut config = Config::new();
        config.user("ada");
        let (connected, ()) = tokio::join!(config.connect_raw(ours, NoTls), serve);
        connected.map(drop).unwrap_err()
    }

    async fn error_of_the_server(code: &str) -> tokio_postgres::Error {
        let fields = format!("SERROR\0C{code}\0Mso it is\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap();
        let message = [&b"E"[..], &length.to_be_bytes(), fields.as_bytes()].concat();
        refusal(&message).await
    }

    #[tokio::test]
    async fn a_fault_of_the_server_passes_as_the_table_of_codes_says() {
        for (code, passes) in [
            ("40001", true),
            ("40P01", true),
            ("53300", true),
            ("55P03", true),
            ("57P01", true),
            ("57014", true),
            ("08006", true),
            ("23505", false),
            ("22012", false),
            ("42P01", false),
            ("P0001", false),
            ("28P01", false),
        ] {
            let error = error_of_the_server(code).await;
            assert_eq!(error.code().map(SqlState::code), Some(code));
            assert_eq!(is_passing(&error), passes, "{code}");
            let wrapped = Error::fatal("asking the tariff").with_source(error);
            assert_eq!(is_passing(&wrapped), passes, "{code} as a cause");
        }
    }

    #[tokio::test]
    async fn a_lost_connection_passes_and_a_wrong_setting_does_not() {
        assert!(is_passing(&refusal(b"").await), "the server has hung up");
        let setting = "postgres://ada@localhost/?connect_timeout=soon".parse::<Config>().unwrap_err();
        assert!(!is_passing(&setting));
    }

    #[tokio::test]
    async fn a_pool_without_a_free_connection_passes() {
        assert!(is_passing(&bb8::RunError::<tokio_postgres::Error>::TimedOut));
        assert!(is_passing(&bb8::RunError::User(error_of_the_server("53300").await)));
        assert!(!is_passing(&bb8::RunError::User(error_of_the_server("42601").await)));
        assert!(!is_passing(&std::fmt::Error));
    }
}
