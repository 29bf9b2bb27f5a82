use super::*;

#[test]
fn a_target_names_everything_but_the_password() {
    let target = Target::parse("postgres://ada:open%20sesame@db.example:5433/trips?sslmode=disable").unwrap();
    assert_eq!(target.to_string(), "db.example:5433, user \"ada\", database \"trips\"");
    assert!(!format!("{target:?}").contains("sesame"));
}

#[test]
fn a_socket_is_named_by_its_path() {
    let target = Target::parse("postgresql://ada@%2Fvar%2Frun%2Fpostgresql/trips").unwrap();
    assert_eq!(target.to_string(), "/var/run/postgresql/.s.PGSQL.5432, user \"ada\", database \"trips\"");
    assert_eq!(target.config.get_ssl_mode(), SslMode::Disable, "TLS does not run over sockets");
}

#[test]
fn every_sslmode_of_libpq_is_understood() {
    for (mode, wanted) in [
        ("disable", SslMode::Disable),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-full", SslMode::Require),
    ] {
        let target = Target::parse(&format!("postgres://db/trips?sslmode={mode}&connect_timeout=3"));
        assert_eq!(target.unwrap().config.get_ssl_mode(), wanted, "{mode}");
    }
    let refused = Target::parse("postgres://db/trips?sslmode=maybe").unwrap_err().to_string();
    assert!(refused.contains("sslmode=maybe is not known: use disable"), "{refused}");
}

#[test]
fn another_scheme_is_refused_without_repeating_the_url() {
    let refused = Target::parse("mysql://ada:sesame@db/trips").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a PostgreSQL URL looks like postgres://user:password@host:5432/database; this one has the scheme \"mysql\""
    );
    assert!(!refused.chain().contains("sesame"));
    assert!(Target::parse("localhost/trips").unwrap_err().to_string().ends_with("has no scheme"));
    let port = Target::parse("postgres://ada:sesame@db:port/trips").unwrap_err();
    assert!(port.chain().contains("cannot be read"), "{}", port.chain());
    assert!(!port.chain().contains("sesame"));
}
