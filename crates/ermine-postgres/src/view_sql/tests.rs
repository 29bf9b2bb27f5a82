use std::collections::HashSet;

use ermine_core::ProjectionName;

use super::*;

fn name(projection: &str, version: u32) -> String {
    table_name(&ViewTable::new(ProjectionName::new(projection).unwrap(), version))
}

#[test]
fn a_plain_name_is_kept() {
    assert_eq!(name("trips", 1), "view_trips_v1_g1");
}

#[test]
fn two_projections_never_share_a_table() {
    let long = "x".repeat(99);
    let same = [
        "Trip",
        "trip",
        "TRIP",
        "tri p",
        "tri_p",
        "tri.p",
        "trip\"",
        "é",
        "è",
        &long,
        &format!("{long}y"),
        name("Trip", 1)["view_".len()..].trim_end_matches("_v1_g1"),
    ]
    .map(|projection| name(projection, 1));
    let different: HashSet<&String> = same.iter().collect();
    assert_eq!(different.len(), same.len(), "{same:?}");
    for name in same {
        assert!(name.len() <= NAME_BYTES_MAX && name.is_ascii() && !name.contains('"'), "{name}");
    }
    assert!(name(&long, u32::MAX).len() <= NAME_BYTES_MAX);
    assert_ne!(name("a", 11), name("a_v1", 1));
}
