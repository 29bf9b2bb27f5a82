use ermine_core::{EffectId, Message, Operation, ports::Store};

use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, at_most, message, outbox, shard},
    outcome::ensure_eq,
};

pub(crate) async fn pending_messages_are_in_order_until_they_are_settled(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    ensure_eq!(pending(&*store, 10).await?, [0; 0], "pending messages of an empty store");
    let mut balance = Worker::take(&*store, shard("Balance", 1)).await?;
    let mut ride = Worker::take(&*other, shard("Ride", 1)).await?;
    // Neither in the order of the events nor of the ids, and from two shards.
    balance.commit(&*store, 1, publish(&[9, 2])).await?;
    ride.commit(&*other, 1, publish(&[7])).await?;
    balance.commit(&*store, 2, publish(&[1, 8, 3])).await?;
    let order = [9, 2, 7, 1, 8, 3];
    for limit in [1, 4, 6, 100] {
        let found = pending(&*other, limit).await?;
        ensure_eq!(found, order[..limit.min(6)], "pending messages, at most {limit}");
    }
    let given = outbox(&*store)?.pending_messages(at_most(1)).await?;
    ensure_same(&given[0], &message(9))?;

    settle(&*store, &[2, 1]).await?;
    ensure_eq!(pending(&*other, 3).await?, [9, 7, 8], "the first three after two were settled");
    settle(&*other, &[]).await?;
    settle(&*other, &[9, 7, 2]).await?;
    balance.commit(&*store, 3, publish(&[4])).await?;
    ensure_eq!(pending(&*store, 100).await?, [8, 3, 4], "what is left, and a new one");
    Ok(())
}

pub(crate) async fn a_settled_message_does_not_come_back(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    outbox(&*store)?;
    worker.commit(&*store, 1, publish(&[1, 2])).await?;
    settle(&*store, &[1]).await?;
    worker.commit(&*store, 2, publish(&[1, 3, 1])).await?;
    ensure_eq!(
        pending(&*store, 100).await?,
        [2, 3],
        "pending messages after a settled one was published again"
    );
    settle(&*store, &[2, 3]).await?;
    settle(&*store, &[2, 3]).await?;
    worker.commit(&*store, 3, publish(&[3, 2, 1])).await?;
    ensure_eq!(
        pending(&*store, 100).await?,
        [0; 0],
        "pending messages after all were settled and published again"
    );
    if bench.restart().await {
        let found = crate::bench::patiently(|| async { pending_of(&*store, 100).await }).await?;
        ensure_eq!(found, [0; 0], "pending messages after a restart");
    }
    Ok(())
}

pub(crate) fn publish(numbers: &[u64]) -> Vec<Operation> {
    numbers.iter().map(|nth| Operation::Publish(message(*nth))).collect()
}

/// The numbers of the first pending messages.
pub(crate) async fn pending(store: &dyn Store, limit: usize) -> Result<Vec<u64>, Stop> {
    outbox(store)?;
    Ok(pending_of(store, limit).await?)
}

async fn pending_of(store: &dyn Store, limit: usize) -> ermine_core::Result<Vec<u64>> {
    let Some(outbox) = store.outbox() else { return Ok(Vec::new()) };
    let messages = outbox.pending_messages(at_most(limit)).await?;
    Ok(messages.iter().map(|message| message.seq.get()).collect())
}

async fn settle(store: &dyn Store, numbers: &[u64]) -> Outcome {
    let ids: Vec<EffectId> = numbers.iter().map(|nth| message(*nth).id).collect();
    Ok(outbox(store)?.settle_messages(&ids).await?)
}

/// However a store spells the JSON of the body.
fn ensure_same(found: &Message, wanted: &Message) -> Outcome {
    ensure_eq!(crate::bench::json(&found.body)?, crate::bench::json(&wanted.body)?, "the body of a message");
    ensure_eq!(
        Message { body: wanted.body.clone(), ..found.clone() },
        *wanted,
        "a message as it was published"
    );
    Ok(())
}
