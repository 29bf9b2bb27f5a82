use super::*;

fn tcp() -> Address {
    Address {
        host: "127.0.0.1".into(),
        port: 5433,
        user: "ada".into(),
        password: Some("it's @ \\ here".into()),
    }
}

#[test]
fn both_forms_read_back_as_the_same_address() {
    for address in [tcp(), Address::socket(Path::new("/tmp/a b"))] {
        assert_eq!(Address::parse(&address.url("some db")).unwrap(), address);
        assert_eq!(Address::parse(&address.conninfo("some db")).unwrap(), address);
    }
}

#[test]
fn a_socket_directory_is_a_percent_encoded_host() {
    let address = Address::socket(Path::new("/tmp/ermine-pg-0"));
    assert_eq!(address.url("trips"), "postgres://postgres@%2Ftmp%2Fermine-pg-0:5432/trips");
    assert!(address.is_socket());
}
