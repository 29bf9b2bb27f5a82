//! What each response to a refused event comes to, where the log is followed and where it is caught up with.

use std::time::Duration;

use ermine::{
    ErrorKind, Result,
    core::{LetterQuery, Projected, Seq, SingleStream},
    daemon::ShardState,
    policy::{halt, ignore, pause, pause_all, retry_later, skip, stop, stop_all},
    prelude::*,
};

use crate::{
    stores::{Fresh, on_every_store},
    troubles::{Items, SOON, cure, fall_ill, host, items, placed, reason, refunded},
};

type Response = ermine::policy::Response;

/// What comes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// The event is passed, and leaves a letter after so many attempts, or none.
    Passed(Option<u32>),
    /// The shard stands still, or all shards do, for a while.
    Paused { all: bool },
    /// A run that ends fails; any other stands still for a while.
    Halted,
    /// The shard stands still, or all shards do, until it is resumed.
    Stopped { all: bool },
}

fn table(pauses_for: Duration) -> [(&'static str, Response, Comes); 8] {
    let ms = Duration::from_millis;
    [
        ("Skips", skip(), Comes::Passed(Some(1))),
        ("Ignores", ignore(), Comes::Passed(None)),
        ("Retries", retry_later([ms(1), ms(1)]).then(skip()), Comes::Passed(Some(3))),
        ("Pauses", pause(pauses_for), Comes::Paused { all: false }),
        ("PausesAll", pause_all(pauses_for), Comes::Paused { all: true }),
        ("Halts", halt(), Comes::Halted),
        ("Stops", stop(), Comes::Stopped { all: false }),
        ("StopsAll", stop_all(), Comes::Stopped { all: true }),
    ]
}

fn orders(name: &'static str) -> Projected<SingleStream<Items>> {
    single_stream::<Items>(name)
}

async fn view(ermine: &Ermine, name: &str) -> Result<Option<Items>> {
    ermine.query_of::<Items>(name)?.load("o-1").await
}

/// The event is passed: so says everything that is stored.
async fn is_passed(ermine: &Ermine, name: &str, attempts: Option<u32>) -> Result<()> {
    assert_eq!(view(ermine, name).await?, Some(items(&["pen", "cup"])), "{name}");
    let of = LetterQuery { projection: Some(name.parse()?), ..LetterQuery::default() };
    let letters = ermine.dead_letters()?.list(of).await?;
    let found: Vec<(Seq, u32)> = letters.iter().map(|letter| (letter.id.seq, letter.attempts)).collect();
    assert_eq!(found, attempts.map(|attempts| (Seq::new(2), attempts)).as_slice(), "{name}");
    let progress = ermine.progress().await?;
    let progress = progress.iter().find(|p| p.shard.projection().as_str() == name).expect("it has run");
    let skipped = u64::from(attempts.is_none());
    assert_eq!((progress.seq, progress.skipped_events), (Seq::new(3), skipped), "{name}");
    Ok(())
}

/// Nothing of the event is to be seen: everything before it is there, and that is all.
async fn stands_before_it(ermine: &Ermine, name: &str) -> Result<()> {
    assert_eq!(view(ermine, name).await?, Some(items(&["pen"])), "{name}");
    let of = LetterQuery { projection: Some(name.parse()?), ..LetterQuery::default() };
    assert_eq!(ermine.dead_letters()?.count(of).await?, 0, "{name}");
    assert_eq!(ermine.progress_of(&ShardName::all(name.parse()?, 1)).await?, Seq::new(1), "{name}");
    Ok(())
}

async fn stands_still(ermine: &Ermine, comes: Comes, shard: usize) {
    ermine_testkit::eventually(SOON, || async {
        let status = ermine.status().remove(shard);
        match (&status.state, comes) {
            (ShardState::Paused { by, retry_at: Some(_), .. }, Comes::Paused { .. } | Comes::Halted)
                if by == "policy" =>
            {
                Ok(())
            }
            (ShardState::Stopped { .. }, Comes::Stopped { .. }) => Ok(()),
            _ => Err(format!("{status}")),
        }
    })
    .await;
}

async fn each_response_where_the_log_is_followed(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "followed");
    let log = Ermine::with_store(fresh.store()).start().await?;
    log.append("o-1", [placed("pen"), refunded("pen", &why), placed("cup")]).await?;
    for (name, response, comes) in table(Duration::from_secs(600)) {
        fall_ill(&why);
        let other = orders("Other").only(["order.placed"]);
        let others = [orders(name).on_error(ErrorClass::Apply, response).into(), other.into()];
        let ermine = host(&fresh, others).await?;
        let all = match comes {
            Comes::Passed(attempts) => {
                ermine.wait_for_non_stale(SOON).await?;
                is_passed(&ermine, name, attempts).await?;
                ermine.stop().await?;
                continue;
            }
            Comes::Paused { all } | Comes::Stopped { all } => all,
            Comes::Halted => false,
        };
        stands_still(&ermine, comes, 0).await;
        assert_eq!(ermine.status()[0].halted_at, Some(Seq::new(2)), "{name}");
        stands_before_it(&ermine, name).await?;
        if all {
            stands_still(&ermine, comes, 1).await;
        } else {
            ermine.wait_for_non_stale_of("Other", SOON).await?;
        }
        cure(&why);
        if all {
            ermine.resume_all().await?;
        } else {
            ermine.resume(name).await?;
        }
        ermine_testkit::eventually(SOON, || async {
            let seen = view(&ermine, name).await.unwrap();
            if seen == Some(items(&["pen", "-pen", "cup"])) {
                Ok(())
            } else {
                Err(format!("{name}: {seen:?}"))
            }
        })
        .await;
        ermine.wait_for_non_stale(SOON).await?;
        ermine.stop().await?;
    }
    Ok(())
}

async fn each_response_where_the_log_is_caught_up_with(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "caught up with");
    let log = Ermine::with_store(fresh.store()).start().await?;
    log.append("o-1", [placed("pen"), refunded("pen", &why), placed("cup")]).await?;
    for (name, response, comes) in table(Duration::from_millis(1)) {
        fall_ill(&why);
        let rules = ErrorPolicy::new().on_error(ErrorClass::Apply, response);
        let orders = orders(name).rebuild_errors(rules);
        let ermine = Ermine::with_store(fresh.store()).project(orders).start().await?;
        match comes {
            Comes::Passed(attempts) => {
                ermine.catch_up().await?;
                is_passed(&ermine, name, attempts).await?;
                continue;
            }
            Comes::Paused { .. } => {
                let mend = async {
                    let shard = ShardName::all(name.parse()?, 1);
                    ermine_testkit::eventually(SOON, || async {
                        ermine.progress_of(&shard).await.unwrap() == Seq::new(1)
                    })
                    .await;
                    stands_before_it(&ermine, name).await?;
                    cure(&why);
                    Ok::<(), ermine::Error>(())
                };
                let (caught_up, mended) = tokio::join!(ermine.catch_up(), mend);
                mended?;
                caught_up?;
            }
            Comes::Halted | Comes::Stopped { .. } => {
                let refused = ermine.catch_up().await.unwrap_err();
                assert_eq!(*refused.kind(), ErrorKind::Apply { seq: Seq::new(2) }, "{}", refused.chain());
                stands_before_it(&ermine, name).await?;
                cure(&why);
                ermine.catch_up().await?;
            }
        }
        assert_eq!(view(&ermine, name).await?, Some(items(&["pen", "-pen", "cup"])), "{name}");
    }
    Ok(())
}

on_every_store!(each_response_where_the_log_is_followed, each_response_where_the_log_is_caught_up_with);
