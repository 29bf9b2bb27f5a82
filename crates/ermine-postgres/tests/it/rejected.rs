//! What the database refuses of a batch.

use ermine_core::{
    ErrorClass, ErrorKind, LetterChanges, LetterQuery, Operation, Seq,
    ports::{DeadLetterStore, ProgressStore, ViewStore},
};

use crate::{
    common::{Fixture, key, table},
    letters::letter,
    worker::{Worker, put},
};

/// A text that stays long when the server compresses it.
fn noise(bytes: usize) -> String {
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from(seed >> 33 & 63).unwrap())
    };
    std::iter::repeat_with(&mut next).filter(|it| !matches!(it, '"' | '\\')).take(bytes).collect()
}

/// Statements, `{table}` for the table of views; what the database then says of a view.
const RULES: &[(&str, &str, &str)] = &[
    ("create unique index on {table} ((data->>'plate'))", "{\"plate\":\"taken\"}", "23505"),
    ("alter table {table} add check ((data->'km')::int < 1000)", "{\"km\":1000}", "23514"),
    (
        "create function public.refuse() returns trigger language plpgsql as $$ \
         begin if new.data ? 'sunday' then raise exception 'not on a sunday'; end if; return new; end $$; \
         create trigger refuse before insert on {table} for each row execute function public.refuse()",
        "{\"sunday\":true}",
        "not on a sunday (P0001)",
    ),
    (
        "create function public.refuse_late() returns trigger language plpgsql as $$ \
         begin if new.data ? 'late' then raise 'too late' using errcode = 'P0004'; end if; return null; end $$; \
         create constraint trigger refuse_late after insert on {table} deferrable initially deferred \
         for each row execute function public.refuse_late()",
        "{\"late\":true}",
        "too late (P0004)",
    ),
    ("create index on {table} (((data->>'n')::int))", "{\"n\":\"many\"}", "22P02"),
    ("create index on {table} ((data->>'note'))", "{\"note\":\"{noise}\"}", "54000"),
];

#[tokio::test]
async fn what_the_database_refuses_is_rejected_and_changes_nothing() {
    let it = Fixture::new().await;
    let sql = it.sql().await;
    let row = sql.query_one("select 'ermine.' || table_name from ermine.projections", &[]).await.unwrap();
    let views: String = row.get(0);
    let worker = Worker::take(&it.store).await;
    worker.commit(vec![put(&table(), "first", "{\"plate\":\"taken\"}")]).await.unwrap();
    for (rule, refused, told) in RULES {
        sql.batch_execute(&rule.replace("{table}", &views)).await.unwrap();
        let refused = refused.replace("{noise}", &noise(20_000));
        let operations = vec![put(&table(), "fine", "{}"), put(&table(), "poison", &refused)];
        let changes = LetterChanges { letters: vec![letter(1, None)], ..Default::default() };
        let error = worker.commit_to(1, operations, changes).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Rejected, "{rule}: {}", error.chain());
        assert_eq!((error.class(), error.is_transient()), (ErrorClass::Apply, false));
        assert!(error.chain().contains(told), "{}", error.chain());
        let there = it.store.load_views(&table(), &[key("fine"), key("poison")]).await.unwrap();
        assert_eq!(there, [None, None], "{rule}");
        assert_eq!(it.store.count_letters(LetterQuery::default()).await.unwrap(), 0, "{rule}");
        assert_eq!(it.store.read_progress().await.unwrap()[0].seq, Seq::ZERO, "{rule}");
    }
    let changes = LetterChanges { letters: vec![letter(1, None)], ..Default::default() };
    worker.commit_to(1, vec![put(&table(), "fine", "{}")], changes).await.unwrap();
    assert_eq!(it.store.count_letters(LetterQuery::default()).await.unwrap(), 1, "its neighbours go through");
}

#[tokio::test]
async fn a_statement_that_breaks_the_batch_is_not_held_against_an_event() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    for breaks in ["select set_config('ermine.batch', '', true)", "do $$ begin commit; end $$"] {
        let native: Operation = ermine_postgres::sql(&table(), breaks, []);
        let error = worker.commit(vec![native]).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Fatal, "{breaks}: {}", error.chain());
    }
}
