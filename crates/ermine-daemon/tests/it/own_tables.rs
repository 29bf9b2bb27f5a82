//! Projections that reach for the views of another one.

use std::{num::NonZeroUsize, sync::Arc};

use ermine_core::{
    ApplyError, Body, ErrorKind, Filter, NewEvent, Operation, PageError, PageProjection, ProjectionName,
    Recorded, Seq, ShardName, StoredView, Version, ViewChanges, ViewKey, ViewTable, Views, custom,
    event_projection,
    ports::{EventReader, SchemaAdmin},
    single_stream,
};
use ermine_daemon::{Daemon, DaemonBuilder, ShardState};
use ermine_memory::MemoryStore;

use crate::support::{Count, Rig, SOON, Trip, TripEvent, builder, km, settings, stored, travelled};

/// What a projection might do to a view of the trips.
const REACHES: [Reach; 4] = [overwrite, delete, delete_all, append];
type Reach = fn() -> Operation;

fn overwrite() -> Operation {
    put(&trips(), "a", &Trip { km: vec![666] })
}

fn delete() -> Operation {
    Operation::Delete { table: trips(), key: key("a") }
}

fn delete_all() -> Operation {
    Operation::DeleteWhere { table: trips(), tenant: Default::default(), filter: Filter::And(Vec::new()) }
}

/// No table's at all: an effect, which an operation is not.
fn append() -> Operation {
    let events = vec![NewEvent::of(&TripEvent::Travelled { km: 666 }).unwrap()];
    Operation::Append { tenant: Default::default(), stream: "a".parse().unwrap(), events }
}

fn trips() -> ViewTable {
    ViewTable::new(ProjectionName::new("Trip").unwrap(), 1)
}

fn key(id: &str) -> ViewKey {
    ViewKey::new(id.parse().unwrap())
}

fn put(table: &ViewTable, id: &str, view: &impl serde::Serialize) -> Operation {
    let view = StoredView { body: Body::encode(view).unwrap(), version: Version::new(9), seq: Seq::new(1) };
    Operation::Store { table: table.clone(), key: key(id), view }
}

/// Counts in its own table, and reaches for the trips.
struct Magpie(Reach);

impl PageProjection for Magpie {
    type Event = TripEvent;

    fn apply(
        &self,
        page: &[Recorded<TripEvent>],
        _: &Views,
        table: &ViewTable,
    ) -> Result<Vec<Operation>, PageError> {
        let count = Count { events: page.len() as u64 };
        Ok(vec![put(table, "own", &count), (self.0)()])
    }
}

/// The same by event.
fn reaching(
    reach: Reach,
) -> impl Fn(&Recorded<TripEvent>, &mut ViewChanges<Count>) -> Result<(), ApplyError> {
    move |_, views| {
        views.store("own", &Count { events: 1 })?;
        views.native(reach());
        Ok(())
    }
}

fn assert_named(said: &str) {
    assert!(said.contains("projection Magpie makes an operation that is not on its own table: "), "{said}");
}

/// The shard of the one that reaches stands still and says why; the trips are as they were, and go on.
async fn is_refused(with_magpie: impl FnOnce(DaemonBuilder) -> DaemonBuilder) {
    let store = MemoryStore::new();
    let rig = Rig::run(&store, with_magpie(builder(&store)).settings(settings()));
    let magpie: ShardName = "Magpie:All".parse().unwrap();
    let trips: ShardName = "Trip:All".parse().unwrap();
    rig.append(travelled("a", [1, 2])).await;
    let said = ermine_testkit::eventually(SOON, || async {
        match rig.handle.status_of(&magpie).unwrap().state {
            ShardState::Paused { reason, .. } => Ok(reason),
            state => Err(format!("it is {state}")),
        }
    })
    .await;
    assert_named(&said);
    let position = rig.append(travelled("a", [3])).await;
    rig.handle.wait_for_shards(&[trips], position, SOON).await.unwrap();
    assert_eq!(km(&store, "a").await, Some(vec![1, 2, 3]), "somebody else's view was changed");
    assert_eq!(stored::<Count>(&store, "Magpie", "own").await, None, "a part of the page was stored");
    assert_eq!(rig.handle.status_of(&magpie).unwrap().progress, Seq::ZERO);
}

#[tokio::test]
async fn a_page_that_reaches_for_the_views_of_another_projection_is_refused() {
    for reach in REACHES {
        is_refused(|daemon| daemon.projection(custom("Magpie", Magpie(reach)))).await;
    }
}

#[tokio::test]
async fn an_event_that_reaches_for_the_views_of_another_projection_is_refused() {
    for reach in REACHES {
        is_refused(|daemon| daemon.projection(event_projection("Magpie", reaching(reach)))).await;
    }
}

#[tokio::test]
async fn an_append_that_reaches_for_the_views_of_another_projection_is_refused() {
    for reach in REACHES {
        let store = MemoryStore::new();
        let daemon = Daemon::builder(Arc::new(store.clone()))
            .projection(single_stream::<Trip>("Trip").inline())
            .projection(event_projection("Magpie", reaching(reach)).inline())
            .build()
            .unwrap();
        store.migrate(daemon.registration()).await.unwrap();
        let refused = daemon.inline().append(travelled("a", [1])).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Configuration);
        assert_named(&refused.chain());
        assert!(refused.chain().contains("nothing was appended"), "{}", refused.chain());
        assert_eq!(km(&store, "a").await, None);
        assert_eq!(stored::<Count>(&store, "Magpie", "own").await, None);
        let (tenant, stream) = (Default::default(), "a".parse().unwrap());
        let limit = NonZeroUsize::new(9).unwrap();
        assert!(store.read_stream(&tenant, &stream, Version::ZERO, limit).await.unwrap().is_empty());
    }
}
