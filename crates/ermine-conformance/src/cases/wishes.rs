use ermine_core::{ShardName, Wish, ports::WishStore};

use super::{letters::moment, wakeup::ensure_wakes};
use crate::{
    Outcome, Stop,
    bench::{Bench, patiently, wish_store},
    outcome::ensure_eq,
};

/// What is wanted of a shard for the `nth` time.
pub(crate) fn wish(shard: &str, nth: u64) -> Wish {
    Wish {
        shard: shard.parse().expect("the suite's names are names"),
        by: format!("o'brien {nth}: \u{e4}").into(),
        reason: format!("maintenance {nth}\n\"for a while\" '); $1"),
        since: moment(nth),
        until: nth.is_multiple_of(2).then(|| moment(nth + 1)),
    }
}

fn shard(name: &str) -> ShardName {
    name.parse().expect("the suite's names are names")
}

pub(crate) async fn a_wish_takes_the_place_of_the_earlier_and_survives_a_restart(
    bench: &Bench<'_>,
) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let (mine, theirs) = (wish_store(&*store)?, wish_store(&*other)?);
    ensure_eq!(theirs.wishes().await?, [], "wishes of an empty store");
    // Nobody has to have run the shard, and its time may be over.
    for nth in 1..=4 {
        mine.put_wish(wish("Balance:All", nth)).await?;
        ensure_eq!(theirs.wishes().await?, [wish("Balance:All", nth)], "wishes after {nth} for one shard");
    }
    let empty = Wish { by: "".into(), reason: String::new(), ..wish("it's \u{e4}:V2:1of2:a:b", 5) };
    theirs.put_wish(empty.clone()).await?;
    mine.put_wish(wish("Balance:All", 6)).await?;
    let wanted = [wish("Balance:All", 6), empty];
    ensure_eq!(theirs.wishes().await?, wanted, "wishes for two shards");
    if bench.restart().await {
        ensure_eq!(patiently(|| mine.wishes()).await?, wanted, "wishes after a restart");
    }
    Ok(())
}

pub(crate) async fn clearing_removes_the_wishes_named_and_counts_them(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let (mine, theirs) = (wish_store(&*store)?, wish_store(&*other)?);
    let names = ["A:All", "A:All:acme", "A:V2:All", "B:All", "a:All"];
    for name in names {
        mine.put_wish(wish(name, 1)).await?;
    }
    for (cleared, count, left) in [
        (&[][..], 0, &names[..]),
        (&["C:All", "A:1of2"], 0, &names),
        (&["B:All", "A:All", "C:All"], 2, &["A:All:acme", "A:V2:All", "a:All"]),
        (&["A:All", "a:All", "a:All"], 1, &["A:All:acme", "A:V2:All"]),
        (&["A:All:acme", "A:V2:All"], 2, &[]),
        (&names, 0, &[]),
    ] {
        let shards: Vec<ShardName> = cleared.iter().map(|name| shard(name)).collect();
        ensure_eq!(theirs.clear_wishes(&shards).await?, count, "wishes cleared by {cleared:?}");
        ensure_eq!(written(mine).await?, left, "wishes left by {cleared:?}");
    }
    mine.put_wish(wish("A:All", 2)).await?;
    ensure_eq!(theirs.wishes().await?, [wish("A:All", 2)], "wishes after one was cleared and put again");
    Ok(())
}

pub(crate) async fn wishes_are_in_the_bytewise_order_of_the_names(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let wishes = wish_store(&*store)?;
    let mut names = [
        "b:All",
        "A:V10:All",
        "A:V2:All",
        "A:All",
        "A:2of10",
        "A:10of10",
        "\u{e4}:All",
        "A b:All",
        "A-b:All",
        "a:All",
        "A:All:Z",
        "A:All:a",
        "Z:All",
        "\u{1f9a6}:All",
        "\u{e000}:All",
    ];
    for name in names {
        wishes.put_wish(wish(name, 1)).await?;
    }
    names.sort_unstable();
    ensure_eq!(written(wishes).await?, names, "the shards of all wishes");
    Ok(())
}

/// The shards of all wishes, as their names are written.
async fn written(wishes: &dyn WishStore) -> Result<Vec<String>, Stop> {
    Ok(wishes.wishes().await?.iter().map(|wish| wish.shard.to_string()).collect())
}

pub(crate) async fn putting_and_clearing_wake_a_waiter(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let theirs = wish_store(&*other)?;
    for nth in 1..=2 {
        let put = async { Ok(theirs.put_wish(wish("Balance:All", nth)).await?) };
        ensure_wakes(&*store, "putting a wish", put).await?;
    }
    let clear = async {
        let cleared = theirs.clear_wishes(&[shard("Balance:All")]).await?;
        ensure_eq!(cleared, 1, "wishes cleared");
        Ok(())
    };
    ensure_wakes(&*store, "clearing a wish", clear).await
}
