//! Letters from other processes, and of other versions.

use ermine::{
    Result,
    core::{LetterQuery, LetterState, LetterStatus, Registered, Seq},
    daemon::Retried,
    prelude::*,
};

use crate::{
    stores::{Fresh, on_every_store},
    troubles::{Items, SOON, by_item, cure, host, items, placed, reason, refunded},
};

const ONE: Retried = Retried { replayed: 1, refused: 0 };

fn parks(version: u32) -> Registered {
    by_item().version(version).dead_letters(DeadLetters::park()).into()
}

async fn of_item(ermine: &Ermine, version: u32, item: &str) -> Result<Option<Items>> {
    ermine.query_of::<Items>("ByItem")?.version(version)?.load(item).await
}

fn of_version(version: u32) -> Result<LetterQuery> {
    let shard = ShardName::all("ByItem".parse()?, version);
    Ok(LetterQuery { shard: Some(shard), ..LetterQuery::default() })
}

async fn a_process_without_a_daemon_decides_about_the_letters_of_another(fresh: Fresh) -> Result<()> {
    let (cured, never) = (reason(&fresh, "cured elsewhere"), reason(&fresh, "never cured"));
    let runs = host(&fresh, [parks(1)]).await?;
    let asks =
        Ermine::with_store(fresh.elsewhere().await).project(parks(1)).wait_timeout(SOON).start().await?;
    asks.append("o-1", [refunded("pen", &cured), placed("pen")]).await?;
    let last = asks.append("o-2", [refunded("cup", &never), placed("cup"), placed("hat")]).await?;
    asks.wait_for(last.position()).await?;
    assert_eq!(of_item(&asks, 1, "hat").await?, Some(items(&["hat"])));
    assert_eq!((of_item(&asks, 1, "pen").await?, of_item(&asks, 1, "cup").await?), (None, None));
    let dead = asks.dead_letters()?;
    let letters = dead.list(LetterQuery::default()).await?;
    assert_eq!(letters.iter().map(|letter| letter.id.seq.get()).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(letters, runs.dead_letters()?.list(LetterQuery::default()).await?);

    cure(&cured);
    let pen = LetterQuery { key: letters[0].id.key.clone(), ..LetterQuery::default() };
    assert_eq!(dead.retry(pen, "ada").await?.run(SOON).await?, ONE);
    assert_eq!(of_item(&asks, 1, "pen").await?, Some(items(&["-pen", "pen"])));
    assert_eq!(dead.show(&letters[1].id).await?.state, LetterState::Waiting);

    let cup = LetterQuery { seq: Some(Seq::new(3)), ..LetterQuery::default() };
    assert_eq!(dead.discard(cup, "ada", "it was a test").await?, 1);
    ermine_testkit::eventually(SOON, || async {
        let state = dead.show(&letters[1].id).await.unwrap().state;
        if state.status() == LetterStatus::Discarded { Ok(()) } else { Err(format!("{state:?}")) }
    })
    .await;
    assert_eq!(of_item(&asks, 1, "cup").await?, Some(items(&["cup"])));
    runs.stop().await
}

async fn what_waits_in_one_version_goes_on_in_the_next(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "next version");
    let first = host(&fresh, [parks(1)]).await?;
    let last = first.append("o-1", [placed("pen"), refunded("pen", &why), placed("pen")]).await?;
    first.wait_for(last.position()).await?;
    first.stop().await?;
    cure(&why);
    let both = host(&fresh, [parks(1), parks(2)]).await?;
    let last = both.append("o-2", [placed("pen")]).await?;
    both.wait_for(last.position()).await?;
    assert_eq!(of_item(&both, 1, "pen").await?, Some(items(&["pen"])));
    assert_eq!(of_item(&both, 2, "pen").await?, Some(items(&["pen", "-pen", "pen", "pen"])));
    let dead = both.dead_letters()?;
    assert_eq!((dead.count(of_version(1)?).await?, dead.count(of_version(2)?).await?), (1, 0));
    assert_eq!(dead.retry(LetterQuery::default(), "ada").await?.run(SOON).await?, ONE);
    assert_eq!(of_item(&both, 1, "pen").await?, of_item(&both, 2, "pen").await?);
    both.stop().await
}

async fn each_version_has_letters_of_its_own(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "versions");
    let both = host(&fresh, [parks(1), parks(2)]).await?;
    let last = both.append("o-1", [placed("pen"), refunded("pen", &why), placed("pen")]).await?;
    both.wait_for(last.position()).await?;
    let dead = both.dead_letters()?;
    assert_eq!((dead.count(of_version(1)?).await?, dead.count(of_version(2)?).await?), (1, 1));
    cure(&why);
    assert_eq!(dead.retry(of_version(2)?, "ada").await?.run(SOON).await?, ONE);
    assert_eq!(of_item(&both, 1, "pen").await?, Some(items(&["pen"])));
    assert_eq!(of_item(&both, 2, "pen").await?, Some(items(&["pen", "-pen", "pen"])));
    let left =
        dead.list(LetterQuery { statuses: vec![LetterStatus::Waiting], ..LetterQuery::default() }).await?;
    assert_eq!(left.iter().map(|letter| letter.id.shard.version()).collect::<Vec<_>>(), [1]);
    both.stop().await
}

on_every_store!(
    a_process_without_a_daemon_decides_about_the_letters_of_another,
    what_waits_in_one_version_goes_on_in_the_next,
    each_version_has_letters_of_its_own,
);
