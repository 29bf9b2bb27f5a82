//! Event projections: what each event changes.

use ermine::core::Filter;
use serde_json::{Value as Json, json};

use super::*;

/// What an event of these cases says that it changes.
#[derive(DomainEvent, Clone)]
#[event(prefix = "do")]
enum Do {
    Store {
        id: String,
        view: Json,
    },
    Delete {
        id: String,
    },
    Set {
        id: String,
        path: String,
        value: Json,
    },
    Increment {
        id: String,
        path: String,
        by: i64,
    },
    Push {
        id: String,
        path: String,
        value: Json,
    },
    Remove {
        id: String,
        path: String,
    },
    /// Several changes of one event.
    All {
        of: Vec<(String, i64)>,
    },
    /// Removes what one of the filters below is true of.
    Sweep {
        what: String,
    },
}

fn store(id: &str, view: Json) -> Do {
    Do::Store { id: id.into(), view }
}

fn delete(id: &str) -> Do {
    Do::Delete { id: id.into() }
}

fn set(id: &str, path: &str, value: Json) -> Do {
    Do::Set { id: id.into(), path: path.into(), value }
}

fn increment(id: &str, path: &str, by: i64) -> Do {
    Do::Increment { id: id.into(), path: path.into(), by }
}

fn push(id: &str, path: &str, value: Json) -> Do {
    Do::Push { id: id.into(), path: path.into(), value }
}

fn remove(id: &str, path: &str) -> Do {
    Do::Remove { id: id.into(), path: path.into() }
}

fn sweep(what: &str) -> Do {
    Do::Sweep { what: what.into() }
}

fn filter(what: &str) -> Result<Filter> {
    Ok(match what {
        "large" => field("n")?.ge(10),
        "deep" => field("at.city")?.eq("Wien"),
        "large and open" => field("n")?.ge(10).and(field("open")?.eq(true)),
        "large or deep" => field("n")?.gt(10).or(field("at.city")?.eq("Wien")),
        "not open" => field("open")?.eq(true).negated(),
        "no n" => field("n")?.eq(ermine::core::Value::Null),
        other => panic!("no filter is called {other}"),
    })
}

fn project(event: &Recorded<Do>, views: &mut ViewChanges<Json>) -> Result<(), ApplyError> {
    match event.data() {
        Do::Store { id, view } => views.store(id, view)?,
        Do::Delete { id } => views.delete(id)?,
        Do::Set { id, path, value } => views.patch(id, Patch::new().set(path, value)?)?,
        Do::Increment { id, path, by } => views.patch(id, Patch::new().increment(path, *by)?)?,
        Do::Push { id, path, value } => views.patch(id, Patch::new().push(path, value)?)?,
        Do::Remove { id, path } => views.patch(id, Patch::new().remove(path)?)?,
        Do::All { of } => {
            for (id, n) in of {
                views.store(id, &json!({"n": n}))?;
            }
        }
        Do::Sweep { what } => views.delete_where(filter(what)?),
    }
    Ok(())
}

/// The same in pages of every size, and with each append.
async fn docs(fresh: &Fresh) -> Result<ProjectionSpec> {
    let one = event_projection("One", project).page_events_max(at_most(1));
    let two = event_projection("Two", project).page_events_max(at_most(2)).cache_bytes_max(0);
    let inline = event_projection("Inline", project).inline();
    spec(fresh, [event_projection("All", project).into(), one.into(), two.into(), inline.into()]).await
}

async fn all_are<const N: usize>(spec: &ProjectionSpec, expected: [(&str, Json); N]) -> Result<()> {
    for name in ["All", "One", "Two", "Inline"] {
        spec.then_all(name, expected.clone()).await?;
    }
    Ok(())
}

async fn views_are_stored_over_and_deleted(fresh: Fresh) -> Result<()> {
    let mut spec = docs(&fresh).await?;
    spec.given("s", [store("a", json!({"n": 1})), store("b", json!("text")), store("c", json!(null))])
        .await?;
    spec.when("s", [store("a", json!([1, 2])), delete("b"), delete("nobody")]).await?;
    all_are(&spec, [("a", json!([1, 2])), ("c", json!(null))]).await?;
    spec.when("s", [delete("a"), store("a", json!({"n": 2})), delete("c")]).await?;
    all_are(&spec, [("a", json!({"n": 2}))]).await
}

async fn fields_are_patched(fresh: Fresh) -> Result<()> {
    let mut spec = docs(&fresh).await?;
    spec.given("s", [store("a", json!({"n": 1, "tags": ["x"], "gone": 1}))]).await?;
    spec.when(
        "s",
        [set("a", "at.city", json!("Wien")), increment("a", "n", -3), increment("a", "at.visits", 2)],
    )
    .await?;
    spec.when(
        "s",
        [push("a", "tags", json!({"y": 1})), push("a", "at.seen", json!(true)), remove("a", "gone")],
    )
    .await?;
    spec.when("s", [remove("a", "never.was"), set("a", "n2", json!(null)), increment("a", "n2", 4)]).await?;
    let expected = json!({
        "n": -2, "n2": 4, "tags": ["x", {"y": 1}], "at": {"city": "Wien", "visits": 2, "seen": [true]}
    });
    all_are(&spec, [("a", expected)]).await
}

async fn a_patch_makes_no_view(fresh: Fresh) -> Result<()> {
    let mut spec = docs(&fresh).await?;
    spec.when(
        "s",
        [set("a", "n", json!(1)), increment("b", "n", 1), push("c", "n", json!(1)), remove("d", "n")],
    )
    .await?;
    all_are(&spec, []).await?;
    spec.when("s", [store("a", json!({"n": 1})), delete("a"), increment("a", "n", 1)]).await?;
    all_are(&spec, []).await?;
    spec.when(
        "s",
        [
            store("a", json!({})),
            increment("a", "n", 1),
            delete("a"),
            store("a", json!({})),
            increment("a", "n", 5),
        ],
    )
    .await?;
    all_are(&spec, [("a", json!({"n": 5}))]).await
}

async fn filters_say_what_goes(fresh: Fresh) -> Result<()> {
    let given = [
        store("a", json!({"n": 9, "open": true})),
        store("b", json!({"n": 10, "open": true})),
        store("c", json!({"n": 11, "open": false})),
        store("d", json!({"at": {"city": "Wien"}, "open": true})),
        store("e", json!({"n": "11", "at": "Wien", "open": "true"})),
        store("f", json!([])),
    ];
    let mut spec = docs(&fresh).await?;
    for (what, left) in [
        ("large", vec!["a", "d", "e", "f"]),
        ("deep", vec!["a", "b", "c", "e", "f"]),
        ("large and open", vec!["a", "c", "d", "e", "f"]),
        ("large or deep", vec!["a", "b", "e", "f"]),
        ("not open", vec!["a", "b", "d"]),
        ("no n", vec!["a", "b", "c", "e"]),
    ] {
        spec.given("s", given.clone()).await?;
        spec.when("s", [sweep(what)]).await?;
        for name in ["All", "One", "Two", "Inline"] {
            let views = spec.ermine().query_of::<Json>(name)?.all().await?;
            let ids: Vec<&str> = views.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(ids, left, "{what} in {name}");
        }
    }
    Ok(())
}

async fn changes_of_one_page_come_one_after_the_other(fresh: Fresh) -> Result<()> {
    let mut spec = docs(&fresh).await?;
    spec.given("s", [store("old", json!({"n": 20})), store("small", json!({"n": 1}))]).await?;
    spec.when(
        "s",
        [
            store("new", json!({"n": 12})),
            increment("small", "n", 8),
            sweep("large"),
            increment("new", "n", 1),
            increment("small", "n", 8),
            store("late", json!({"n": 99})),
            Do::All { of: vec![("x".into(), 1), ("y".into(), 50), ("x".into(), 2)] },
        ],
    )
    .await?;
    let late = json!({"n": 99});
    all_are(
        &spec,
        [("small", json!({"n": 17})), ("late", late), ("x", json!({"n": 2})), ("y", json!({"n": 50}))],
    )
    .await?;
    spec.when("s", [sweep("large"), store("y", json!({"n": 3})), sweep("large"), increment("y", "n", 1)])
        .await?;
    all_are(&spec, [("x", json!({"n": 2})), ("y", json!({"n": 4}))]).await
}

async fn a_sweep_stays_within_its_tenant(fresh: Fresh) -> Result<()> {
    let mut spec = docs(&fresh).await?;
    let large = || store("a", json!({"n": 10}));
    let acme = tenant("acme");
    spec.when_batch(batch([of("s", [large()]), of("s", [large()]).for_tenant(acme.clone())])).await?;
    spec.when_batch(batch([of("s", [sweep("large")]).for_tenant(acme.clone())])).await?;
    for name in ["All", "One", "Two", "Inline"] {
        spec.then_all(name, [("a", json!({"n": 10}))]).await?;
        spec.then_of(&acme, name, "a", None::<Json>).await?;
    }
    Ok(())
}

async fn a_patch_that_does_not_fit_refuses_its_event(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [event_projection("All", project).into()]).await?;
    spec.given("s", [store("a", json!({"n": "text"}))]).await?;
    let refused = spec.when("s", [increment("a", "n", 1)]).await.unwrap_err();
    assert_eq!(
        *refused.kind(),
        ermine::ErrorKind::Apply { seq: ermine::core::Seq::new(2) },
        "{}",
        refused.chain()
    );
    assert!(refused.chain().contains("not a number to add 1 to"), "{}", refused.chain());
    spec.then_all("All", [("a", json!({"n": "text"}))]).await
}

on_every_store!(
    views_are_stored_over_and_deleted,
    fields_are_patched,
    a_patch_makes_no_view,
    filters_say_what_goes,
    changes_of_one_page_come_one_after_the_other,
    a_sweep_stays_within_its_tenant,
    a_patch_that_does_not_fit_refuses_its_event,
);
