use ermine_conformance::{CASES, Case};

const PORTS: [(&str, &str); 11] = [
    ("append", include_str!("../../../ermine-core/src/ports/append.rs")),
    ("read", include_str!("../../../ermine-core/src/ports/read.rs")),
    ("highwater", include_str!("../../../ermine-core/src/ports/highwater.rs")),
    ("wakeup", include_str!("../../../ermine-core/src/ports/wakeup.rs")),
    ("view", include_str!("../../../ermine-core/src/ports/view.rs")),
    ("progress", include_str!("../../../ermine-core/src/ports/progress.rs")),
    ("schema", include_str!("../../../ermine-core/src/ports/schema.rs")),
    ("streams", include_str!("../../../ermine-core/src/ports/streams.rs")),
    ("outbox", include_str!("../../../ermine-core/src/ports/outbox.rs")),
    ("letters", include_str!("../../../ermine-core/src/ports/letters.rs")),
    ("wishes", include_str!("../../../ermine-core/src/ports/wishes.rs")),
];

/// The lines under *Contract* in the docs of a port.
fn promises(source: &str) -> Vec<String> {
    let contract = source.lines().map(str::trim).skip_while(|line| *line != "/// # Contract").skip(1);
    // The docs of the trait end where the trait begins.
    let contract = contract.map_while(|line| line.strip_prefix("///")).map(str::trim);
    let mut promises: Vec<String> = Vec::new();
    for line in contract.take_while(|line| !line.starts_with('#')) {
        match (line.strip_prefix("- "), promises.last_mut()) {
            (Some(promise), _) => promises.push(promise.to_owned()),
            (None, Some(open)) if !line.is_empty() => {
                open.push(' ');
                open.push_str(line);
            }
            _ => {}
        }
    }
    promises
}

#[test]
fn every_line_of_a_contract_has_a_case_and_every_case_a_line() {
    for (port, source) in PORTS {
        let promises = promises(source);
        assert!(!promises.is_empty(), "the contract of {port} was not found");
        let cases = CASES.iter().filter(|case| case.port() == port);
        let cases: Vec<&str> = cases.map(Case::promise).collect();
        assert_eq!(cases, promises, "cases and contract lines of {port}");
    }
}

#[test]
fn every_port_is_looked_at() {
    let table = include_str!("../../../ermine-core/src/ports.rs");
    let mut ports: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    let mut looked_at: Vec<&str> = PORTS.iter().map(|(port, _)| *port).collect();
    ports.sort_unstable();
    looked_at.sort_unstable();
    assert_eq!(ports, looked_at);
}

#[test]
fn a_contract_line_may_go_on_in_the_next() {
    let source =
        "/// # Contract\n///\n/// - One\n///   and a half.\n/// - Two.\ntrait Port {\n    /// Not this.\n}";
    assert_eq!(promises(source), ["One and a half.", "Two."]);
}
