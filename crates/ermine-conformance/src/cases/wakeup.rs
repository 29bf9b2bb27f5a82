use std::{pin::pin, time::Duration};

use ermine_core::{
    Bell, Observe, Seq,
    ports::{Store, WakeReason},
};
use tokio::time::Instant;

use crate::{
    Outcome, Stop,
    bench::{Bench, batch, log, poll_times},
    outcome::{ensure, ensure_eq},
};

/// How long the suite arms the bell for, and the most it waits for a ring.
const ARMED: Duration = Duration::from_secs(20);

pub(crate) async fn an_append_after_arming_wakes_the_waiter(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    for nth in 1..=3 {
        quieten(&*store).await?;
        arm(&*store).await?;
        let mut wait = pin!(store.wait(ARMED));
        // The waiter waits before the append begins.
        tokio::select! {
            woken = &mut wait => heard(woken, nth)?,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        other.append(batch(&[("a", 1)])).await?;
        heard(wait.await, nth)?;
    }
    Ok(())
}

pub(crate) async fn nothing_correct_rests_on_a_wake_up(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.observe(Observe { mark: Seq::ZERO, bell: Bell::Silence }).await?;
    let position = store.append(batch(&[("a", 2)])).await?.position.seq();
    let seen = store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave }).await?;
    ensure_eq!(seen.highest_visible, position, "the highest event, though nobody was to ring");
    ensure_eq!(log(&*store).await?.len(), 2, "events, though nobody was to ring");

    quieten(&*store).await?;
    let begun = Instant::now();
    store.wait(Duration::from_millis(100)).await;
    let waited = begun.elapsed();
    ensure!(waited < Duration::from_secs(10), "a wait of 100 ms that nobody cut short took {waited:?}");
    Ok(())
}

pub(crate) async fn a_wake_up_between_two_waits_is_not_lost(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    quieten(&*store).await?;
    arm(&*store).await?;
    other.append(batch(&[("a", 1)])).await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    heard(store.wait(ARMED).await, 1)?;

    // A wait that is given up has not used the wake-up either.
    quieten(&*store).await?;
    arm(&*store).await?;
    poll_times(2, store.wait(ARMED)).await;
    other.append(batch(&[("a", 1)])).await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    heard(store.wait(ARMED).await, 2)
}

/// Ends the case unless `news` wakes a waiter for whom no bell is armed.
pub(crate) async fn ensure_wakes(
    store: &dyn Store,
    what: &str,
    news: impl Future<Output = Outcome>,
) -> Outcome {
    store.observe(Observe { mark: Seq::ZERO, bell: Bell::Silence }).await?;
    quieten(store).await?;
    let told = async {
        // The waiter waits before the news come.
        tokio::time::sleep(Duration::from_millis(50)).await;
        news.await
    };
    let (woken, told) = tokio::join!(store.wait(ARMED), told);
    told?;
    match woken {
        WakeReason::Rang => Ok(()),
        WakeReason::Deaf => Err(deaf()),
        WakeReason::TimedOut => Err(Stop::Broken(format!("{what} woke nobody in {} s", ARMED.as_secs()))),
    }
}

async fn arm(store: &dyn Store) -> Outcome {
    store.observe(Observe { mark: Seq::ZERO, bell: Bell::Arm(2 * ARMED) }).await?;
    Ok(())
}

/// Uses up the wake-ups of earlier appends.
async fn quieten(store: &dyn Store) -> Outcome {
    for _ in 0..100 {
        match store.wait(Duration::from_millis(200)).await {
            WakeReason::TimedOut => return Ok(()),
            WakeReason::Deaf => return Err(deaf()),
            WakeReason::Rang => {}
        }
    }
    Err(Stop::Broken("the bell rings without end, and nothing is appended".into()))
}

fn heard(woken: WakeReason, nth: usize) -> Outcome {
    match woken {
        WakeReason::Rang => Ok(()),
        WakeReason::Deaf => Err(deaf()),
        WakeReason::TimedOut => {
            let seconds = ARMED.as_secs();
            Err(Stop::Broken(format!("the bell was armed, and append {nth} woke nobody in {seconds} s")))
        }
    }
}

fn deaf() -> Stop {
    Stop::Skipped("this store says that nobody can ring for it".into())
}
