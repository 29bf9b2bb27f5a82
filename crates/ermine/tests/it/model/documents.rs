//! Random documents and random questions: every store answers like the one in memory.

use ermine::{
    core::{Comparison, Filter, Order, Value},
    prelude::*,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value as Json};

use super::{for_all, unexpected};
use crate::{
    alike::Alike,
    stores::{Fresh, StoreKind},
};

#[derive(Clone, Debug, DomainEvent)]
#[event(prefix = "doc")]
enum DocEvent {
    Put { doc: Json },
}

#[derive(Clone, Debug)]
struct Question {
    filter: Option<Filter>,
    order: Vec<Order>,
    after: Option<usize>,
    offset: usize,
    limit: usize,
}

#[test]
fn every_store_answers_like_the_one_in_memory() {
    let cases = if StoreKind::ALL.len() > 1 { 16 } else { 4 };
    for_all(cases, (vec(document(), 0..14), vec(question(), 12)), async |(documents, questions)| {
        let mut of_memory = Vec::new();
        for kind in StoreKind::ALL {
            let fresh = kind.fresh().await;
            let ermine = filled(&fresh, &documents).await?;
            for (nth, question) in questions.iter().enumerate() {
                let answer = ask(&ermine, question).await.map_err(unexpected)?;
                if *kind == StoreKind::Memory {
                    of_memory.push(answer);
                } else {
                    let (ids, count, views) = &of_memory[nth];
                    prop_assert_eq!(&answer.0, ids, "{:?} says otherwise to {:?}", kind, question);
                    prop_assert_eq!(answer.1, *count, "{:?} counts otherwise for {:?}", kind, question);
                    prop_assert_eq!(&answer.2, views, "{:?} gives other views for {:?}", kind, question);
                }
            }
        }
        Ok(())
    });
}

/// In the order of their bytes `A`, `a0`, `a1`, .. and `á`.
fn id(nth: usize) -> String {
    match nth {
        0 => "á".into(),
        1 => "A".into(),
        nth => format!("a{nth}"),
    }
}

async fn filled(fresh: &Fresh, documents: &[Json]) -> Result<Ermine, TestCaseError> {
    let docs = event_projection("Docs", |event: &Recorded<DocEvent>, views: &mut ViewChanges<Json>| {
        let DocEvent::Put { doc } = event.data();
        views.store(event.stream().as_str(), doc)
    });
    let ermine = Ermine::with_store(fresh.store()).project(docs).start().await.map_err(unexpected)?;
    if !documents.is_empty() {
        let put = |(nth, doc): (usize, &Json)| {
            let event = NewEvent::of(&DocEvent::Put { doc: doc.clone() }).unwrap();
            StreamAppend::new(id(nth).parse().unwrap(), vec![event])
        };
        let batch = documents.iter().enumerate().map(put).fold(AppendBatch::new(), AppendBatch::stream);
        ermine.append_batch(batch).await.map_err(unexpected)?;
        ermine.catch_up().await.map_err(unexpected)?;
    }
    Ok(ermine)
}

type Answer = (Vec<String>, u64, Vec<Alike>);

async fn ask(ermine: &Ermine, question: &Question) -> ermine::Result<Answer> {
    let query = || -> ermine::Result<_> {
        let query = ermine.query_of::<Alike>("Docs")?;
        let query = question.filter.iter().cloned().fold(query, ermine::Query::filter);
        let query = question.order.iter().cloned().fold(query, ermine::Query::order_by);
        let query = query.offset(question.offset).limit(question.limit);
        Ok(match question.after {
            Some(nth) => query.after(id(nth).parse()?),
            None => query,
        })
    };
    let (ids, views) = query()?.list().await?.into_iter().map(|(id, view)| (id.to_string(), view)).unzip();
    Ok((ids, query()?.count().await?, views))
}

fn document() -> impl Strategy<Value = Json> {
    let members = || vec((select(vec!["a", "b", "c"]), leaf()), 0..4);
    let object = |members: Vec<(&'static str, Json)>| {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    };
    let deep = (members(), option::of(members())).prop_map(move |(mut outer, inner)| {
        outer.extend(inner.map(|inner| ("a", object(inner))));
        object(outer)
    });
    prop_oneof![9 => deep, 1 => leaf()]
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        1 => Just(Json::Null),
        2 => any::<bool>().prop_map(Json::from),
        4 => integer().prop_map(Json::from),
        1 => Just(Json::from(u64::MAX)),
        4 => real().prop_map(Json::from),
        4 => text().prop_map(Json::from),
        1 => vec(integer().prop_map(Json::from), 0..3).prop_map(Json::from),
        1 => Just(Json::Object(Map::new())),
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    let edges = vec![i64::MIN, i64::MAX, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1];
    prop_oneof![4 => -3..4i64, 1 => select(edges)]
}

fn real() -> impl Strategy<Value = f64> {
    select(vec![
        -0.0,
        0.0,
        0.5,
        -2.5,
        1.0,
        2.0,
        0.1,
        1e-9,
        1e300,
        -1e300,
        9_007_199_254_740_992.0,
        9.3e18,
        1e16,
    ])
}

fn text() -> impl Strategy<Value = String> {
    let texts =
        ["", "a", "A", "b", "1", "true", "null", "á", "a\u{301}", "z", "🦦", "\u{ffff}", "'", "\"\\", "a b"];
    select(texts.to_vec()).prop_map(Into::into)
}

fn question() -> impl Strategy<Value = Question> {
    let page = prop_oneof![Just(100usize), 1..5usize];
    let after = option::weighted(0.3, 0..9usize);
    (option::weighted(0.8, filter()), vec(order(), 0..3), after, 0..3usize, page)
        .prop_map(|(filter, order, after, offset, limit)| Question { filter, order, after, offset, limit })
}

fn path() -> impl Strategy<Value = ermine::core::Field> {
    select(vec!["a", "b", "c", "a.a", "a.b", "a.c", "a.b.c", "none"]).prop_map(|path| field(path).unwrap())
}

fn order() -> impl Strategy<Value = Order> {
    (path(), any::<bool>()).prop_map(|(field, up)| if up { field.ascending() } else { field.descending() })
}

fn filter() -> impl Strategy<Value = Filter> {
    compare().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Filter::And),
            vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(Filter::negated),
        ]
    })
}

fn compare() -> impl Strategy<Value = Filter> {
    let comparison = select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    (path(), comparison, value()).prop_map(|(field, comparison, value)| Filter::Compare {
        field,
        comparison,
        value,
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => integer().prop_map(Value::from),
        4 => real().prop_map(Value::from),
        4 => text().prop_map(Value::from),
    ]
}
