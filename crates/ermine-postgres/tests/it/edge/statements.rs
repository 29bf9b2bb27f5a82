use super::{INSERT, ROW, Scene, add, run};

/// The floor is taken before the statement draws its first number, in every form that an insert can have.
#[tokio::test]
async fn every_form_of_insert_takes_its_floor_first() {
    let scene = Scene::new().await;
    let setup = scene.session().await;
    run(
        &setup,
        "create view ermine.ev as select stream_id, version, id, type, data from ermine.events; \
         create table src as select gen_random_uuid() as u from generate_series(1, 3); \
         create function ermine.two() returns int language plpgsql set search_path = pg_catalog as $$ begin \
           insert into ermine.events (stream_id, version, id, type, data) values \
           (gen_random_uuid()::text, 1, gen_random_uuid(), 'T', '{}'), (gen_random_uuid()::text, 1, gen_random_uuid(), 'T', '{}'); \
           return 2; end $$",
    )
    .await;
    let known = "'00000000-0000-0000-0000-0000000000aa'::uuid";
    run(&setup, &format!("{INSERT} values ('known', 1, {known}, 'T', '{{}}')")).await;
    let forms = [
        format!("{INSERT} values ({ROW})"),
        format!("{INSERT} values ({ROW}), ({ROW}), ({ROW})"),
        format!("{INSERT} select u::text, 1, u, 'T', '{{}}' from src order by src.u desc"),
        format!("with i as ({INSERT} values ({ROW}) returning seq) select seq from i"),
        format!("with i as ({INSERT} values ({ROW})) select 1"),
        format!(
            "with i as ({INSERT} values ({ROW}) returning seq), j as ({INSERT} select {ROW} from i returning seq) select * from j"
        ),
        "select ermine.two()".to_owned(),
        format!("{INSERT} values ('known', 1, {known}, 'T', '{{}}'), ({ROW}) on conflict do nothing"),
        format!(
            "{INSERT} values ('x', 1, {known}, 'T', '{{}}'), ({ROW}) on conflict (id) do update set type = 'U'"
        ),
        format!("insert into ermine.ev values ({ROW})"),
        "insert into ermine.events (seq, stream_id, version, id, type, data) overriding system value \
         select nextval('ermine.events_seq_seq'), gen_random_uuid()::text, 1, gen_random_uuid(), 'T', '{}'"
            .to_owned(),
        "with n as materialized (select nextval('ermine.events_seq_seq') as v) \
         insert into ermine.events (seq, stream_id, version, id, type, data) overriding system value \
         select v, gen_random_uuid()::text, 1, gen_random_uuid(), 'T', '{}' from n"
            .to_owned(),
    ];
    for form in forms {
        let before = scene.look().await.0;
        let open = scene.begun().await;
        run(&open, &form).await;
        let (last, mark) = scene.look().await;
        assert!(mark == before && last > before, "{form}: {before} -> ({last}, {mark})");
        run(&open, "commit").await;
        assert_eq!(scene.look().await, (last, last), "{form}");
    }
}

#[tokio::test]
async fn merge_takes_its_floor_first() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    let version: String = open.query_one("show server_version_num", &[]).await.unwrap().get(0);
    if version.parse::<u32>().unwrap() < 150_000 {
        return; // MERGE is new in 15.
    }
    let merge = "merge into ermine.events e using (select gen_random_uuid() as u from generate_series(1, 3)) x \
                 on e.id = x.u when not matched then \
                 insert (stream_id, version, id, type, data) values (u::text, 1, u, 'T', '{}')";
    run(&open, merge).await;
    assert_eq!(scene.look().await, (3, 0));
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (3, 3));
}

#[tokio::test]
async fn an_insert_of_no_rows_holds_the_mark_as_well() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(&open, &format!("{INSERT} select {ROW} where false")).await;
    run(&scene.session().await, &add(1)).await;
    assert_eq!((scene.look().await, scene.locks().await), ((1, 0), 1), "cautious, and right");
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (1, 1));
}
