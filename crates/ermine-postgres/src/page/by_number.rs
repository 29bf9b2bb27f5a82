use ermine_core::{Error, Event, Result, Seq};

use super::row;
use crate::{Store, error::Effect};

/// The events that there are among `seqs`, in order, with their bodies: marks of skipping are for pages.
pub(crate) async fn by_number(store: &Store, seqs: &[Seq]) -> Result<Vec<Event>> {
    let doing = || format!("reading {} events by their numbers", seqs.len());
    let numbers: Vec<i64> = seqs.iter().map(|seq| seq.as_i64()).collect();
    let loan = store.loan().await.map_err(|err| err.context(doing()))?;
    let rows = loan.query(&store.inner.sql.read_events, &[&numbers]).await;
    let rows = rows.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let raw = row::decode(row, &[]).map_err(|err| Error::fatal(doing()).with_source(err))?;
        events.extend(raw.map(|raw| raw.event));
    }
    Ok(events)
}
