use std::sync::Arc;

use ermine_core::{Body, Column, ColumnKind, Columns, SqlName, Timestamp, field};

use super::*;

fn columns() -> Layout {
    let kinds = [
        ("driver", ColumnKind::Text),
        ("trips", ColumnKind::Integer),
        ("km", ColumnKind::Real),
        ("ended", ColumnKind::Boolean),
        ("at", ColumnKind::Timestamp),
        ("extra", ColumnKind::Json),
    ];
    let column = |(name, kind)| Column { name: SqlName::new(name).unwrap(), kind, nullable: true };
    Layout::Columns(Arc::new(Columns {
        name: SqlName::new("trips").unwrap(),
        columns: kinds.map(column).into(),
    }))
}

fn sql(layout: &Layout, filter: &Filter) -> (String, Vec<Value>) {
    let mut values = vec![Value::Text("the tenant".into())];
    let text = condition(layout, filter, &mut values);
    (text, values.split_off(1))
}

fn document(filter: &Filter) -> String {
    sql(&Layout::Document, filter).0
}

fn flat(filter: &Filter) -> String {
    sql(&columns(), filter).0
}

fn at(path: &str) -> Field {
    field(path).unwrap()
}

#[test]
fn values_are_parameters_and_never_text() {
    let evil = "'; drop table events; --";
    for layout in [Layout::Document, columns()] {
        let (text, values) = sql(&layout, &at("driver").eq(evil).and(at("km").lt(1.5)));
        assert!(!text.contains("drop") && text.contains("$2") && text.contains("$3"), "{text}");
        assert_eq!(values, [Value::from(evil), Value::from(1.5)]);
    }
}

#[test]
fn a_text_is_compared_bytewise_by_the_head_that_an_index_holds() {
    assert_eq!(
        document(&at("driver.name").ge("ada")),
        "left((case when jsonb_typeof((data -> 'driver' -> 'name')) = 'string' then (data -> 'driver' -> 'name') #>> '{}' \
         end), 200) collate \"C\" >= $2::text"
    );
    assert_eq!(flat(&at("driver").lt("ada")), "left(\"driver\", 200) collate \"C\" < $2::text");
}

#[test]
fn a_long_text_is_compared_in_full_after_the_look_at_its_head() {
    let long = "é".repeat(200);
    assert_eq!(
        flat(&at("driver").lt(long.as_str())),
        "(left(\"driver\", 200) collate \"C\" <= left($2::text, 200) and \"driver\" collate \"C\" < $2::text)"
    );
}

#[test]
fn numbers_are_compared_as_json_and_booleans_are_kept_apart() {
    assert_eq!(
        document(&at("km").gt(3)),
        "((case when jsonb_typeof((data -> 'km')) in ('number', 'boolean') then (data -> 'km') end) > $2::jsonb \
         and jsonb_typeof((data -> 'km')) = 'number')"
    );
    assert_eq!(flat(&at("trips").gt(3)), "\"trips\" > $2::bigint");
    assert_eq!(flat(&at("trips").gt(0.5)), "\"trips\"::numeric > $2::numeric");
    assert_eq!(flat(&at("km").gt(3)), "\"km\" > $2::double precision");
    assert_eq!(flat(&at("km").gt(i64::MAX)), "to_jsonb(\"km\") > $2::jsonb", "a real cannot hold it");
    assert_eq!(flat(&at("ended").eq(true)), "\"ended\" = $2::boolean");
}

#[test]
fn the_opposite_is_never_null() {
    assert_eq!(flat(&at("trips").ne(3)), "not coalesce(\"trips\" = $2::bigint, false)");
    let both = at("trips").eq(1).or(at("trips").eq(2)).negated();
    assert_eq!(flat(&both), "not coalesce((\"trips\" = $2::bigint or \"trips\" = $3::bigint), false)");
    assert_eq!(flat(&Filter::And(Vec::new())), "true");
    assert_eq!(flat(&Filter::Or(Vec::new())), "false");
}

#[test]
fn null_is_what_is_missing() {
    assert_eq!(flat(&at("trips").eq(Value::Null)), "\"trips\" is null");
    assert_eq!(flat(&at("trips").lt(Value::Null)), "false");
    assert_eq!(flat(&at("unheard").ge(Value::Null)), "true");
    assert_eq!(document(&at("x").eq(Value::Null)), "coalesce(jsonb_typeof((data -> 'x')), 'null') = 'null'");
}

#[test]
fn a_moment_is_compared_as_one_only_where_its_text_is_that_of_the_view() {
    let native = "\"at\" < $2::timestamptz";
    assert_eq!(flat(&at("at").lt("2026-01-31T12:00:00.000000Z")), native);
    assert_eq!(flat(&at("at").lt(Timestamp::UNIX_EPOCH)), native);
    for text in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000+01", "2026", "zebra"] {
        let text = flat(&at("at").lt(text));
        assert!(
            text.starts_with("to_char(\"at\" at time zone 'UTC'") && text.contains("collate \"C\""),
            "{text}"
        );
    }
}

#[test]
fn what_cannot_match_is_false() {
    assert_eq!(flat(&at("trips").eq("3")), "false");
    assert_eq!(flat(&at("km.of.what").eq(3)), "false");
    for never in [Value::Json(Body::from_json("1").unwrap()), f64::NAN.into()] {
        assert_eq!(document(&at("x").eq(never.clone())), "false");
        assert_eq!(flat(&at("extra.x").ne(never)), "not coalesce(false, false)");
    }
}

#[test]
fn a_column_of_json_is_looked_into() {
    assert!(flat(&at("extra.x").eq("y")).contains("jsonb_typeof((\"extra\" -> 'x')) = 'string'"));
    assert!(flat(&at("extra").eq(true)).contains("jsonb_typeof(\"extra\")"));
}

#[test]
fn an_order_has_the_ranks_of_the_kinds_and_ends_with_the_id() {
    assert_eq!(order_by(&columns(), &[]), "v.id");
    let orders = [at("km").descending(), at("unheard").ascending(), at("driver").ascending()];
    assert_eq!(
        order_by(&columns(), &orders),
        "v.\"km\" desc nulls last, v.\"driver\" collate \"C\" asc nulls first, v.id"
    );
    let document = order_by(&Layout::Document, &[at("x").ascending()]);
    assert_eq!(document.matches(" asc nulls first").count(), 3, "{document}");
}

#[test]
fn an_index_holds_what_the_comparison_asks_for() {
    for (path, kind, value) in
        [("a.b", FieldKind::Text, Value::from("x")), ("n", FieldKind::Number, Value::from(7))]
    {
        let (held, _) = index(&Layout::Document, &FieldIndex { field: at(path), kind }).unwrap();
        let held = held.trim_start_matches('(').trim_end_matches(" collate \"C\"").trim_end_matches(')');
        let asked = document(&at(path).le(value));
        assert!(asked.contains(held), "{asked} does not hold {held}");
    }
    assert_eq!(index(&columns(), &FieldIndex { field: at("nothing"), kind: FieldKind::Text }), None);
}

#[test]
fn a_text_with_a_nul_is_compared_by_what_is_before_it() {
    let cut = |filter: Filter| sql(&columns(), &filter);
    let text = |operator: &str| format!("left(\"driver\", 200) collate \"C\" {operator} $2::text");
    let before = vec![Value::from("a")];
    assert_eq!(cut(at("driver").lt("a\0b")), (text("<="), before.clone()));
    assert_eq!(cut(at("driver").le("a\0b\0c")), (text("<="), before.clone()));
    assert_eq!(cut(at("driver").gt("a\0b")), (text(">"), before.clone()));
    assert_eq!(cut(at("driver").ge("a\0b")), (text(">"), before));
    assert_eq!(cut(at("driver").eq("a\0b")), ("false".into(), Vec::new()));
    assert_eq!(cut(at("driver").ne("a\0b")).0, "not coalesce(false, false)");
    assert_eq!(cut(at("trips").lt("a\0b")), ("false".into(), Vec::new()));
}
