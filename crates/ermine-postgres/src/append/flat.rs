use ermine_core::{AppendBatch, Appended, Error, Metadata, Position, Result, Seq, Uuid, Version};
use postgres_types::ToSql;
use tokio_postgres::Row;

use super::expected;
use crate::{
    job::Param,
    value::{RawJson, Shared},
};

/// A batch as columns, the streams in the order in which they are locked.
pub(super) struct Flat<'a> {
    tenants: Vec<&'a str>,
    streams: Vec<&'a str>,
    expected: Vec<Option<i64>>,
    counts: Vec<i64>,
    /// Where each stream of the batch stands in the columns above.
    places: Vec<usize>,
    of_tenant: Vec<&'a str>,
    of_stream: Vec<&'a str>,
    stream_index: Vec<i32>,
    nth: Vec<i32>,
    ids: Vec<Uuid>,
    types: Vec<&'a str>,
    bodies: Vec<RawJson<'a>>,
    correlations: Vec<Option<&'a str>>,
    causations: Vec<Option<&'a str>>,
    headers: Vec<Option<RawJson<'a>>>,
    idempotent: bool,
    stream_types: Vec<Option<&'a str>>,
}

impl<'a> Flat<'a> {
    pub(super) fn of(batch: &'a AppendBatch) -> Result<Self> {
        let streams = batch.streams();
        let mut order: Vec<usize> = (0..streams.len()).collect();
        order.sort_unstable_by_key(|n| (streams[*n].tenant.as_str(), streams[*n].stream.as_str()));
        let mut places = vec![0; streams.len()];
        for (place, n) in order.iter().enumerate() {
            places[*n] = place;
        }
        let events =
            || streams.iter().flat_map(|append| append.events.iter().map(move |event| (append, event)));
        let metadata = || events().map(|(_, event)| event.metadata());
        let mut flat = Self {
            tenants: order.iter().map(|n| streams[*n].tenant.as_str()).collect(),
            streams: order.iter().map(|n| streams[*n].stream.as_str()).collect(),
            expected: order.iter().map(|n| expected(streams[*n].expected)).collect(),
            counts: Vec::with_capacity(streams.len()),
            places,
            of_tenant: events().map(|(append, _)| append.tenant.as_str()).collect(),
            of_stream: events().map(|(append, _)| append.stream.as_str()).collect(),
            stream_index: Vec::with_capacity(batch.len()),
            nth: Vec::with_capacity(batch.len()),
            ids: events().map(|(_, event)| *event.id().as_uuid()).collect(),
            types: events().map(|(_, event)| event.type_name().as_str()).collect(),
            bodies: events().map(|(_, event)| RawJson(event.body())).collect(),
            correlations: metadata().map(|it| it?.correlation.as_deref()).collect(),
            causations: metadata().map(|it| it?.causation.as_deref()).collect(),
            headers: metadata().map(headers).collect(),
            idempotent: batch.is_idempotent(),
            stream_types: order.iter().map(|n| streams[*n].stream_type.as_deref()).collect(),
        };
        for n in &order {
            flat.counts.push(i64::from(number(streams[*n].events.len())?));
        }
        for (n, append) in streams.iter().enumerate() {
            let index = number(flat.places[n] + 1)?;
            for nth in 1..=number(append.events.len())? {
                flat.stream_index.push(index);
                flat.nth.push(nth);
            }
        }
        Ok(flat)
    }

    pub(super) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.tenants,
            &self.streams,
            &self.expected,
            &self.counts,
            &self.of_tenant,
            &self.of_stream,
            &self.stream_index,
            &self.nth,
            &self.ids,
            &self.types,
            &self.bodies,
            &self.correlations,
            &self.causations,
            &self.headers,
            &self.idempotent,
            &self.stream_types,
        ]
    }

    pub(super) fn answer(&self, row: &Row) -> Result<Appended, tokio_postgres::Error> {
        let versions: Vec<i64> = row.try_get(1)?;
        Ok(Appended {
            position: Position::new(Seq::from_i64(row.try_get(0)?)),
            versions: self.versions_of_batch(&versions),
            recorded_at: row.try_get(2)?,
            repeated: row.try_get(3)?,
        })
    }

    /// Versions in the order of the batch, out of those in the order of locks.
    pub(super) fn versions_of_batch(&self, versions: &[i64]) -> Vec<Version> {
        let version = |place: &usize| Version::from_i64(versions.get(*place).copied().unwrap_or_default());
        self.places.iter().map(version).collect()
    }

    /// What `begin_append` looks at.
    pub(super) fn checks(&'a self) -> Vec<Param<'a>> {
        vec![
            Box::new(&self.tenants),
            Box::new(&self.streams),
            Box::new(&self.expected),
            Box::new(&self.stream_types),
            Box::new(&self.of_tenant),
            Box::new(&self.of_stream),
            Box::new(&self.stream_index),
            Box::new(&self.ids),
            Box::new(self.idempotent),
        ]
    }

    pub(super) fn boxed_params(&'a self) -> Vec<Param<'a>> {
        self.params().into_iter().map(|param| -> Param<'a> { Box::new(Shared(param)) }).collect()
    }
}

fn headers(metadata: Option<&Metadata>) -> Option<RawJson<'_>> {
    metadata?.headers.as_ref().map(RawJson)
}

/// PostgreSQL numbers array elements with 32 bits.
fn number(count: usize) -> Result<i32> {
    i32::try_from(count).map_err(|_| Error::configuration("an append of more than 2^31 events: split it"))
}
